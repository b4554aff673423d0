#include "destination/postgres/column_types.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace wallaby {
namespace {

// "numeric(10,2)" -> 10 and 2; "character varying(20)" -> 20 and 0.
bool ParseModifiers(std::string_view type, std::string_view name, int* first, int* second) {
  if (!type.starts_with(name)) return false;
  type.remove_prefix(name.size());
  if (!type.starts_with("(") || !type.ends_with(")")) return false;
  type = type.substr(1, type.size() - 2);
  const size_t comma = type.find(',');
  *second = 0;
  return absl::SimpleAtoi(type.substr(0, comma), first) &&
         (comma == type.npos || absl::SimpleAtoi(type.substr(comma + 1), second));
}

int IntegerBytes(std::string_view type) {
  return type == "smallint" ? 2 : type == "integer" ? 4 : type == "bigint" ? 8 : 0;
}

bool IsNumber(std::string_view type) {
  return IntegerBytes(type) > 0 || type.starts_with("numeric") || type == "real" || type == "double precision";
}

}  // namespace

bool PostgresTypeHolds(std::string_view present, std::string_view wanted) {
  constexpr std::string_view kVarchar = "character varying", kNumeric = "numeric";
  if (present == wanted) return true;
  const int bytes = IntegerBytes(wanted);
  if (bytes > 0) return IntegerBytes(present) >= bytes || present == kNumeric;
  if (wanted == "real") return present == "double precision";
  const bool open = present == "text" || present == kVarchar;
  if (wanted == "text" || wanted == kVarchar) return open;
  int length = 0, scale = 0, wanted_length = 0, wanted_scale = 0;
  if (ParseModifiers(wanted, kVarchar, &wanted_length, &wanted_scale)) {
    return open || (ParseModifiers(present, kVarchar, &length, &scale) && length >= wanted_length);
  }
  if (ParseModifiers(wanted, kNumeric, &wanted_length, &wanted_scale)) {
    return present == kNumeric ||
           (ParseModifiers(present, kNumeric, &length, &scale) && scale == wanted_scale && length >= wanted_length);
  }
  return false;
}

std::string PostgresCast(std::string_view value, std::string_view from, std::string_view to) {
  return absl::StrCat(value, IsNumber(from) && IsNumber(to) ? "::" : "::text::", to);
}

}  // namespace wallaby
