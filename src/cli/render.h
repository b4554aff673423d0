// What people read on a terminal: tables, "key: value" lines, sizes and ages.
#ifndef WALLABY_CLI_RENDER_H_
#define WALLABY_CLI_RENDER_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "base/units.h"

namespace wallaby {

// Shown in place of what is not known or does not apply.
inline constexpr std::string_view kNothing = "-";

// Columns as wide as their widest cell, two blanks apart; no blanks at a line's end. Line breaks and other control
// characters in a cell become blanks, an empty cell becomes "-".
class Table {
 public:
  // A header that begins with '>' has its column aligned to the right; the mark is not shown.
  explicit Table(std::vector<std::string> headers);
  // As many cells as there are headers.
  void Add(std::vector<std::string> cells);
  std::string Text() const;

 private:
  std::vector<bool> right_;
  std::vector<std::vector<std::string>> rows_;
};

// "key: value" lines, the values under each other.
class Fields {
 public:
  void Add(std::string key, std::string value) { lines_.emplace_back(std::move(key), std::move(value)); }
  std::string Text() const;

 private:
  std::vector<std::pair<std::string, std::string>> lines_;
};

// Each line two blanks in and ended, blank ones left out; other control characters become blanks. "  -" for nothing.
std::string Indented(std::string_view text);

// In the two largest units at most: "3s", "2m 5s", "4h", "12d 3h"; below a second "0.2s". "-" for a negative number.
std::string SecondsText(double seconds);
// In UTC: "2026-01-31 17:04:05 UTC".
std::string TimeText(absl::Time time);
// "42%", never 100% unless all is done.
std::string PercentText(int64_t done, int64_t total);

}  // namespace wallaby

#endif  // WALLABY_CLI_RENDER_H_
