#include "cli/render.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "base/check.h"

namespace wallaby {
namespace {

// Characters, not bytes: all but the continuation bytes of UTF-8.
size_t Width(std::string_view text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

// One line that cannot steer a terminal.
std::string Cell(std::string text) {
  if (text.empty()) return std::string(kNothing);
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  return text;
}

}  // namespace

Table::Table(std::vector<std::string> headers) {
  for (std::string& header : headers) {
    right_.push_back(header.starts_with('>'));
    if (right_.back()) header.erase(0, 1);
  }
  rows_.push_back(std::move(headers));
}

void Table::Add(std::vector<std::string> cells) {
  WALLABY_CHECK(cells.size() == right_.size(), "a row has as many cells as the table has headers");
  for (std::string& cell : cells) cell = Cell(std::move(cell));
  rows_.push_back(std::move(cells));
}

std::string Table::Text() const {
  std::vector<size_t> widths(right_.size());
  for (const auto& row : rows_) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], Width(row[i]));
  }
  std::string out;
  for (const auto& row : rows_) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      const std::string fill(widths[i] - Width(row[i]), ' ');
      absl::StrAppend(&line, i == 0 ? "" : "  ", right_[i] ? fill : "", row[i], right_[i] ? "" : fill);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    absl::StrAppend(&out, line, "\n");
  }
  return out;
}

std::string Fields::Text() const {
  size_t width = 0;
  for (const auto& [key, value] : lines_) width = std::max(width, Width(key));
  std::string out;
  for (const auto& [key, value] : lines_) {
    absl::StrAppend(&out, key, ":", std::string(width - Width(key) + 1, ' '), Cell(value), "\n");
  }
  return out;
}

std::string Indented(std::string_view text) {
  std::string out;
  for (const std::string_view line : absl::StrSplit(text, '\n')) {
    const std::string_view shown = absl::StripTrailingAsciiWhitespace(line);
    if (!shown.empty()) absl::StrAppend(&out, "  ", Cell(std::string(shown)), "\n");
  }
  return out.empty() ? absl::StrCat("  ", kNothing, "\n") : out;
}

std::string SecondsText(double seconds) {
  if (!(seconds >= 0)) return std::string(kNothing);
  if (seconds < 0.95) return seconds < 0.05 ? "0s" : absl::StrFormat("%.1fs", seconds);
  constexpr double kMost = 1e15;
  const int64_t whole = std::llround(std::min(seconds, kMost));
  struct Unit {
    int64_t seconds;
    std::string_view name;
  };
  constexpr std::array<Unit, 4> kUnits = {{{86400, "d"}, {3600, "h"}, {60, "m"}, {1, "s"}}};
  for (size_t i = 0; i < kUnits.size(); ++i) {
    if (whole < kUnits[i].seconds) continue;
    std::string text = absl::StrCat(whole / kUnits[i].seconds, kUnits[i].name);
    if (i + 1 < kUnits.size()) {
      const int64_t rest = whole % kUnits[i].seconds / kUnits[i + 1].seconds;
      if (rest > 0) absl::StrAppend(&text, " ", rest, kUnits[i + 1].name);
    }
    return text;
  }
  return "0s";
}

std::string TimeText(absl::Time time) {
  return absl::FormatTime("%Y-%m-%d %H:%M:%S UTC", time, absl::UTCTimeZone());
}

std::string PercentText(int64_t done, int64_t total) {
  if (total <= 0) return std::string(kNothing);
  if (done >= total) return "100%";
  return absl::StrFormat("%d%%", static_cast<int>(static_cast<double>(done) / static_cast<double>(total) * 100));
}

}  // namespace wallaby
