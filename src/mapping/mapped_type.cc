#include "mapping/mapped_type.h"

#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "change/integer_bits.h"

namespace wallaby {
namespace {

constexpr uint32_t kInt8 = 20, kInt4 = 23, kText = 25, kNumeric = 1700;

}  // namespace

absl::StatusOr<PgType> ParseMappedType(std::string_view name) {
  const std::string lower = absl::AsciiStrToLower(absl::StripAsciiWhitespace(name));
  if (lower == "text") return BuiltinType(kText, -1);
  if (lower == "integer") return BuiltinType(kInt4, -1);
  if (lower == "bigint") return BuiltinType(kInt8, -1);
  constexpr std::string_view kBegin = "numeric(";
  if (lower.starts_with(kBegin) && lower.ends_with(')')) {
    const std::vector<std::string> parts =
        absl::StrSplit(lower.substr(kBegin.size(), lower.size() - kBegin.size() - 1), ',');
    int precision = 0, scale = 0;
    if (parts.size() <= 2 && absl::SimpleAtoi(parts[0], &precision) &&
        (parts.size() == 1 || absl::SimpleAtoi(parts[1], &scale)) && precision >= 1 && precision <= 38 && scale >= 0 &&
        scale <= precision) {
      return BuiltinType(kNumeric, ((precision << 16) | scale) + 4);
    }
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "got '", name,
      "'; allowed: text, integer, bigint or numeric(p,s) with up to 38 digits: the types that lose nothing"));
}

absl::Status CheckMappedType(const PgType& from, const PgType& to) {
  if (to.oid == kText) return absl::OkStatus();
  const int bits = IntegerBits(from.logical);
  if (to.oid == kNumeric ? from.oid == kNumeric || bits > 0 : bits > 0 && bits <= IntegerBits(to.logical)) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "a column of type ", from.source_name, " cannot become ", to.sql_name, " without losing values; ",
      bits > 0 || from.oid == kNumeric ? "it can become a wider one, numeric(p,s) or text" : "it can become text"));
}

}  // namespace wallaby
