#include "base/lsn.h"

#include <charconv>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace wallaby {
namespace {

bool ParseHalf(std::string_view digits, uint32_t* out) {
  if (digits.empty() || digits.size() > 8) return false;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), *out, 16);
  return error == std::errc() && end == digits.data() + digits.size();
}

}  // namespace

std::string Lsn::ToString() const {
  return absl::StrFormat("%X/%X", static_cast<uint32_t>(value >> 32), static_cast<uint32_t>(value));
}

absl::StatusOr<Lsn> Lsn::Parse(std::string_view text) {
  const size_t slash = text.find('/');
  uint32_t high = 0;
  uint32_t low = 0;
  if (slash == std::string_view::npos || !ParseHalf(text.substr(0, slash), &high) ||
      !ParseHalf(text.substr(slash + 1), &low)) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", text,
                     "' is not an LSN; write two hexadecimal numbers with a slash between, "
                     "as in 16/B374D848"));
  }
  return Lsn{(static_cast<uint64_t>(high) << 32) | low};
}

std::string Position::ToString() const {
  return absl::StrCat(commit.ToString(), ":", seq);
}

}  // namespace wallaby
