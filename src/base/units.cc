#include "base/units.h"

#include <array>
#include <string>
#include <string_view>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace wallaby {

absl::StatusOr<absl::Duration> ParseDuration(std::string_view text) {
  constexpr int kMostDays = 36500;
  int days = 0;
  if (text.ends_with('d') && absl::SimpleAtoi(text.substr(0, text.size() - 1), &days) && days >= 0 &&
      days <= kMostDays) {
    return days * absl::Hours(24);
  }
  absl::Duration parsed;
  if (!absl::ParseDuration(text, &parsed) || parsed < absl::ZeroDuration() || parsed == absl::InfiniteDuration()) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", text, "' is not a duration; write a number with a unit, as in 200ms, 5s or 1m"));
  }
  return parsed;
}

absl::StatusOr<int64_t> ParseBytes(std::string_view text) {
  struct Unit {
    std::string_view suffix;
    int64_t factor;
  };
  static constexpr std::array<Unit, 10> kUnits{{{"kib", 1LL << 10},
                                                {"mib", 1LL << 20},
                                                {"gib", 1LL << 30},
                                                {"tib", 1LL << 40},
                                                {"kb", 1000},
                                                {"mb", 1000 * 1000},
                                                {"gb", 1000LL * 1000 * 1000},
                                                {"tb", 1000LL * 1000 * 1000 * 1000},
                                                {"b", 1},
                                                {"", 1}}};
  const std::string lower = absl::AsciiStrToLower(absl::StripAsciiWhitespace(text));
  for (const Unit& unit : kUnits) {
    if (!lower.ends_with(unit.suffix)) continue;
    int64_t count = 0;
    const std::string_view digits = std::string_view(lower).substr(0, lower.size() - unit.suffix.size());
    if (absl::SimpleAtoi(digits, &count) && count >= 0 && count <= INT64_MAX / unit.factor) {
      return count * unit.factor;
    }
    break;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("'", text, "' is not a size; write a whole number with a unit, as in 64MiB or 512KB"));
}

absl::StatusOr<bool> ParseBool(std::string_view text) {
  const std::string lower = absl::AsciiStrToLower(absl::StripAsciiWhitespace(text));
  if (lower == "true" || lower == "1" || lower == "yes" || lower == "on") return true;
  if (lower == "false" || lower == "0" || lower == "no" || lower == "off") return false;
  return absl::InvalidArgumentError(absl::StrCat("'", text, "' is not a truth value; write true or false"));
}

std::string SizeText(int64_t bytes) {
  constexpr std::array<std::string_view, 6> kUnits = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  if (bytes < 0) return "-";
  if (bytes < 1024) return absl::StrCat(bytes, " B");
  double value = static_cast<double>(bytes) / 1024;
  size_t unit = 0;
  // What would be shown as 1024 is one of the next unit.
  while (value >= 1023.5 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  return value < 9.95 ? absl::StrFormat("%.1f %s", value, kUnits[unit])
                      : absl::StrFormat("%.0f %s", value, kUnits[unit]);
}

}  // namespace wallaby
