#include "destination/duckdb/types.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace wallaby {
namespace {

struct Widening {
  std::string_view from, to;
};
// Only casts that keep every value. JSON and UUID as text keep their text.
constexpr Widening kWidenings[] = {
    {"SMALLINT", "INTEGER"}, {"SMALLINT", "BIGINT"}, {"SMALLINT", "HUGEINT"}, {"INTEGER", "BIGINT"},
    {"INTEGER", "HUGEINT"},  {"BIGINT", "HUGEINT"},  {"UINTEGER", "BIGINT"},  {"UINTEGER", "UBIGINT"},
    {"UINTEGER", "HUGEINT"}, {"SMALLINT", "DOUBLE"}, {"INTEGER", "DOUBLE"},   {"FLOAT", "DOUBLE"},
    {"JSON", "VARCHAR"},     {"UUID", "VARCHAR"},
};

bool ParseDecimal(std::string_view type, int* precision, int* scale) {
  constexpr std::string_view kPrefix = "DECIMAL(";
  const size_t comma = type.find(',');
  if (!type.starts_with(kPrefix) || !type.ends_with(")") || comma == type.npos) return false;
  return absl::SimpleAtoi(type.substr(kPrefix.size(), comma - kPrefix.size()), precision) &&
         absl::SimpleAtoi(type.substr(comma + 1, type.size() - comma - 2), scale);
}

}  // namespace

std::string DuckdbType(const PgType& type) {
  switch (type.logical) {
    case LogicalType::kText:
      return "VARCHAR";
    case LogicalType::kBool:
      return "BOOLEAN";
    case LogicalType::kInt16:
      return "SMALLINT";
    case LogicalType::kInt32:
      return "INTEGER";
    case LogicalType::kInt64:
      return "BIGINT";
    case LogicalType::kUInt32:
      return "UINTEGER";
    case LogicalType::kFloat32:
      return "FLOAT";
    case LogicalType::kFloat64:
      return "DOUBLE";
    case LogicalType::kDecimal:
      return absl::StrCat("DECIMAL(", type.precision, ",", type.scale, ")");
    case LogicalType::kBytes:
      return "BLOB";
    case LogicalType::kDate:
      return "DATE";
    case LogicalType::kTime:
      return "TIME";
    case LogicalType::kTimestamp:
      return "TIMESTAMP";
    case LogicalType::kTimestampTz:
      return "TIMESTAMP WITH TIME ZONE";
    case LogicalType::kUuid:
      return "UUID";
    case LogicalType::kJson:
      return "JSON";
  }
  return "VARCHAR";
}

bool DuckdbTypeHolds(std::string_view present, std::string_view wanted) {
  if (present == wanted) return true;
  int precision, scale, wanted_precision, wanted_scale;
  if (ParseDecimal(present, &precision, &scale) && ParseDecimal(wanted, &wanted_precision, &wanted_scale)) {
    return scale >= wanted_scale && precision - scale >= wanted_precision - wanted_scale;
  }
  return std::any_of(std::begin(kWidenings), std::end(kWidenings),
                     [&](const Widening& w) { return w.from == wanted && w.to == present; });
}

}  // namespace wallaby
