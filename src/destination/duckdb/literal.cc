#include "destination/duckdb/literal.h"

#include "absl/strings/str_cat.h"
#include "base/sql_text.h"
#include "destination/options.h"

namespace wallaby {
namespace {

// "0044-03-15 10:00:00 BC" -> "0044-03-15 (BC) 10:00:00": DuckDB wants the era behind the date.
std::string WithEra(std::string_view text) {
  constexpr std::string_view kEra = " BC";
  if (!text.ends_with(kEra)) return std::string(text);
  text.remove_suffix(kEra.size());
  const size_t date = text.find(' ');
  if (date == text.npos) return absl::StrCat(text, " (BC)");
  return absl::StrCat(text.substr(0, date), " (BC)", text.substr(date));
}

// "\x00ff" -> "\x00\xff".
std::string WithEscapes(std::string_view hex) {
  std::string bytes;
  for (size_t i = 2; i + 1 < hex.size(); i += 2) absl::StrAppend(&bytes, "\\x", hex.substr(i, 2));
  return bytes;
}

}  // namespace

std::string DuckdbLiteral(std::string_view text, const PgType& type) {
  switch (type.logical) {
    case LogicalType::kBytes:
      return SqlLiteral(text.starts_with("\\x") ? WithEscapes(text) : text);
    case LogicalType::kDate:
    case LogicalType::kTimestamp:
    case LogicalType::kTimestampTz:
      return SqlLiteral(WithEra(text));
    default:
      return SqlLiteral(text);
  }
}

std::string DuckdbTextOf(std::string_view column, std::string_view type) {
  if (type == "BOOLEAN") return absl::StrCat("CASE WHEN ", column, " THEN 't' WHEN NOT ", column, " THEN 'f' END");
  if (type == "BLOB") return absl::StrCat("'\\x' || lower(hex(", column, "))");
  return absl::StrCat("CAST(", column, " AS VARCHAR)");
}

}  // namespace wallaby
