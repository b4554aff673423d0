// PgType: what WALlaby knows of a column's PostgreSQL type, and the logical type that carries it.
//
// Source of the numbers: src/include/catalog/pg_type.dat of PostgreSQL; built-in OIDs never change.
// The written rule for each type is docs/types.md.
#ifndef WALLABY_CHANGE_TYPE_H_
#define WALLABY_CHANGE_TYPE_H_

#include <cstdint>
#include <optional>
#include <string>

namespace wallaby {

// What a value means to a destination. All that is not listed is kText: the value exactly as PostgreSQL prints it
// (DateStyle ISO, IntervalStyle postgres, extra_float_digits 3, bytea_output hex, TimeZone UTC).
enum class LogicalType : uint8_t {
  kText,
  kBool,
  kInt16,
  kInt32,
  kInt64,
  kUInt32,  // oid
  kFloat32,
  kFloat64,
  kDecimal,  // numeric(p,s), p <= 38, 0 <= s <= p; other numerics are kText
  kBytes,
  kDate,         // days since 1970-01-01; infinity is INT32_MAX / -INT32_MAX
  kTime,         // microseconds since midnight, 24:00 allowed
  kTimestamp,    // microseconds since 1970-01-01 without zone; infinity is INT64_MAX / -INT64_MAX
  kTimestampTz,  // the same in UTC
  kUuid,
  kJson,  // json and jsonb, text
};

struct PgType {
  uint32_t oid = 0;
  int32_t typmod = -1;
  LogicalType logical = LogicalType::kText;
  uint8_t precision = 0;  // kDecimal only
  uint8_t scale = 0;
  // True when this library reads the type's binary form; false when it must be sent as text.
  bool binary = false;
  // How a PostgreSQL destination declares the column: "integer", "numeric(10,2)", "int4range[]"; "text" for types that
  // only the source knows (enums, composites). Domains stand as their base type.
  std::string sql_name = "text";
  // As the source calls it, for people: "shop.order_status".
  std::string source_name;

  friend bool operator==(const PgType&, const PgType&) = default;
  // The same at the source, whatever is known of it here.
  bool SameAs(const PgType& other) const { return oid == other.oid && typmod == other.typmod; }
};

// The type for a built-in OID. For an OID that is not built in: kText, binary=false, sql_name "text".
PgType BuiltinType(uint32_t oid, int32_t typmod);

// The type of an array's elements; nothing for what is no array of a built-in type.
std::optional<PgType> ElementType(const PgType& array);

// True for OIDs that PostgreSQL fixes for ever (below 10000).
constexpr bool IsBuiltinOid(uint32_t oid) {
  return oid < 10000;
}

// An enum: its label as text; the binary form is the label too.
PgType EnumType(uint32_t oid, std::string source_name);

// Where a column of this type keeps it; elsewhere it is text, which loses no value (docs/types.md).
enum class TypeKept {
  kEverywhere,    // text and enums, whose labels are text, among them
  kPostgresOnly,  // intervals, arrays, numeric without a precision, ...
  kNowhere,       // composites, types of extensions
};
TypeKept WhereKept(const PgType& type);

}  // namespace wallaby

#endif  // WALLABY_CHANGE_TYPE_H_
