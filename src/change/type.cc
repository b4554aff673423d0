#include "change/type.h"

#include <algorithm>
#include <iterator>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"

namespace wallaby {
namespace {

struct Builtin {
  uint32_t oid;
  uint32_t array_oid;  // 0: none
  std::string_view name;
  LogicalType logical = LogicalType::kText;
  bool binary = false;
  // The value's text means something only in the database it comes from (names of its objects) or is not accepted as
  // input, so that elsewhere it can only be text.
  bool source_only = false;
};

constexpr LogicalType kText = LogicalType::kText;

// In order of OID.
constexpr Builtin kBuiltins[] = {
    {16, 1000, "boolean", LogicalType::kBool, true},
    {17, 1001, "bytea", LogicalType::kBytes, true},
    {18, 1002, "\"char\""},
    {19, 1003, "name", kText, true},
    {20, 1016, "bigint", LogicalType::kInt64, true},
    {21, 1005, "smallint", LogicalType::kInt16, true},
    {22, 1006, "int2vector"},
    {23, 1007, "integer", LogicalType::kInt32, true},
    {24, 1008, "regproc", kText, false, true},
    {25, 1009, "text", kText, true},
    {26, 1028, "oid", LogicalType::kUInt32, true},
    {27, 1010, "tid"},
    {28, 1011, "xid"},
    {29, 1012, "cid"},
    {30, 1013, "oidvector"},
    {71, 210, "pg_type", kText, false, true},
    {75, 270, "pg_attribute", kText, false, true},
    {81, 272, "pg_proc", kText, false, true},
    {83, 273, "pg_class", kText, false, true},
    {114, 199, "json", LogicalType::kJson, true},
    {142, 143, "xml"},
    {194, 0, "pg_node_tree", kText, false, true},
    {600, 1017, "point"},
    {601, 1018, "lseg"},
    {602, 1019, "path"},
    {603, 1020, "box"},
    {604, 1027, "polygon"},
    {628, 629, "line"},
    {650, 651, "cidr"},
    {700, 1021, "real", LogicalType::kFloat32, true},
    {701, 1022, "double precision", LogicalType::kFloat64, true},
    {718, 719, "circle"},
    {774, 775, "macaddr8"},
    {790, 791, "money"},
    {829, 1040, "macaddr"},
    {869, 1041, "inet"},
    {1033, 1034, "aclitem", kText, false, true},
    {1042, 1014, "bpchar", kText, true},
    {1043, 1015, "character varying", kText, true},
    {1082, 1182, "date", LogicalType::kDate, true},
    {1083, 1183, "time", LogicalType::kTime, true},
    {1114, 1115, "timestamp", LogicalType::kTimestamp, true},
    {1184, 1185, "timestamp", LogicalType::kTimestampTz, true},
    {1186, 1187, "interval"},
    {1248, 0, "pg_database", kText, false, true},
    {1266, 1270, "time"},
    {1560, 1561, "bit"},
    {1562, 1563, "bit varying"},
    {1700, 1231, "numeric", kText, true},
    {1790, 2201, "refcursor"},
    {2202, 2207, "regprocedure", kText, false, true},
    {2203, 2208, "regoper", kText, false, true},
    {2204, 2209, "regoperator", kText, false, true},
    {2205, 2210, "regclass", kText, false, true},
    {2206, 2211, "regtype", kText, false, true},
    {2275, 1263, "cstring", kText, false, true},
    {2842, 0, "pg_authid", kText, false, true},
    {2843, 0, "pg_auth_members", kText, false, true},
    {2950, 2951, "uuid", LogicalType::kUuid, true},
    {2970, 2949, "txid_snapshot"},
    {3220, 3221, "pg_lsn"},
    {3361, 0, "pg_ndistinct", kText, false, true},
    {3402, 0, "pg_dependencies", kText, false, true},
    {3614, 3643, "tsvector"},
    {3615, 3645, "tsquery"},
    {3642, 3644, "gtsvector", kText, false, true},
    {3734, 3735, "regconfig", kText, false, true},
    {3769, 3770, "regdictionary", kText, false, true},
    {3802, 3807, "jsonb", LogicalType::kJson, true},
    {3904, 3905, "int4range"},
    {3906, 3907, "numrange"},
    {3908, 3909, "tsrange"},
    {3910, 3911, "tstzrange"},
    {3912, 3913, "daterange"},
    {3926, 3927, "int8range"},
    {4066, 0, "pg_shseclabel", kText, false, true},
    {4072, 4073, "jsonpath"},
    {4089, 4090, "regnamespace", kText, false, true},
    {4096, 4097, "regrole", kText, false, true},
    {4191, 4192, "regcollation", kText, false, true},
    {4451, 6150, "int4multirange"},
    {4532, 6151, "nummultirange"},
    {4533, 6152, "tsmultirange"},
    {4534, 6153, "tstzmultirange"},
    {4535, 6155, "datemultirange"},
    {4536, 6157, "int8multirange"},
    {4600, 0, "pg_brin_bloom_summary", kText, false, true},
    {4601, 0, "pg_brin_minmax_multi_summary", kText, false, true},
    {5017, 0, "pg_mcv_list", kText, false, true},
    {5038, 5039, "pg_snapshot"},
    {5069, 271, "xid8"},
    {6101, 0, "pg_subscription", kText, false, true},
};

constexpr bool OidsRise() {
  for (size_t i = 1; i < std::size(kBuiltins); ++i) {
    if (kBuiltins[i - 1].oid >= kBuiltins[i].oid) return false;
  }
  return true;
}
static_assert(OidsRise());

const Builtin* FindBuiltin(uint32_t oid) {
  const auto* found = std::lower_bound(std::begin(kBuiltins), std::end(kBuiltins), oid,
                                       [](const Builtin& b, uint32_t o) { return b.oid < o; });
  return found != std::end(kBuiltins) && found->oid == oid ? found : nullptr;
}

const Builtin* FindArray(uint32_t oid) {
  const auto* found =
      std::find_if(std::begin(kBuiltins), std::end(kBuiltins), [oid](const Builtin& b) { return b.array_oid == oid; });
  return oid != 0 && found != std::end(kBuiltins) ? found : nullptr;
}

// numeric's typmod is (precision << 16 | scale) + 4. Since PostgreSQL 15 the scale is a signed number in the low 11
// bits; for the scales that older versions allow the two readings are the same.
int NumericPrecision(int32_t typmod) {
  return ((typmod - 4) >> 16) & 0xffff;
}
int NumericScale(int32_t typmod) {
  return (((typmod - 4) & 0x7ff) ^ 1024) - 1024;
}

// interval's typmod has the fields it is limited to in the high half (a bit set of src/include/utils/datetime.h and
// timestamp.h) and the fraction's digits in the low half, each all ones for "as it comes".
std::string IntervalName(int32_t typmod) {
  if (typmod < 0) return "interval";
  constexpr int kMonth = 1 << 1, kYear = 1 << 2, kDay = 1 << 3, kHour = 1 << 10, kMinute = 1 << 11, kSecond = 1 << 12,
                kFull = 0x7fff;
  static constexpr std::pair<int, std::string_view> kFields[] = {
      {kFull, ""},
      {kYear, " year"},
      {kMonth, " month"},
      {kDay, " day"},
      {kHour, " hour"},
      {kMinute, " minute"},
      {kSecond, " second"},
      {kYear | kMonth, " year to month"},
      {kDay | kHour, " day to hour"},
      {kDay | kHour | kMinute, " day to minute"},
      {kDay | kHour | kMinute | kSecond, " day to second"},
      {kHour | kMinute, " hour to minute"},
      {kHour | kMinute | kSecond, " hour to second"},
      {kMinute | kSecond, " minute to second"},
  };
  std::string name = "interval";
  for (const auto& [bits, text] : kFields) {
    if (((typmod >> 16) & 0x7fff) == bits) name += text;
  }
  const int digits = typmod & 0xffff;
  if (digits != 0xffff) absl::StrAppend(&name, "(", digits, ")");
  return name;
}

std::string Digits(int32_t typmod) {
  return typmod < 0 ? "" : absl::StrCat("(", typmod, ")");
}

std::string SqlName(const Builtin& b, int32_t typmod) {
  if (b.source_only) return "text";
  switch (b.oid) {
    case 1042:  // an unadorned "character" would mean one character
      return typmod >= 4 ? absl::StrCat("character(", typmod - 4, ")") : "bpchar";
    case 1043:
      return absl::StrCat(b.name, typmod >= 4 ? Digits(typmod - 4) : "");
    case 1083:
    case 1114:
      return absl::StrCat(b.name, Digits(typmod), " without time zone");
    case 1184:
    case 1266:
      return absl::StrCat(b.name, Digits(typmod), " with time zone");
    case 1186:
      return IntervalName(typmod);
    case 1560:
      return typmod >= 0 ? absl::StrCat("bit", Digits(typmod)) : "\"bit\"";
    case 1562:
      return absl::StrCat(b.name, Digits(typmod));
    case 1700:
      return typmod < 4 ? "numeric"
                        : absl::StrCat("numeric(", NumericPrecision(typmod), ",", NumericScale(typmod), ")");
    default:
      return std::string(b.name);
  }
}

// For people and for type_mappings: without length or precision.
std::string SourceName(const Builtin& b) {
  return b.source_only ? std::string(b.name) : b.oid == 1560 ? "bit" : SqlName(b, -1);
}

}  // namespace

PgType BuiltinType(uint32_t oid, int32_t typmod) {
  PgType type;
  type.oid = oid;
  type.typmod = typmod;
  if (const Builtin* b = FindBuiltin(oid)) {
    type.logical = b->logical;
    type.binary = b->binary;
    type.sql_name = SqlName(*b, typmod);
    type.source_name = SourceName(*b);
    if (oid == 1700 && typmod >= 4) {
      const int precision = NumericPrecision(typmod);
      const int scale = NumericScale(typmod);
      if (precision >= 1 && precision <= 38 && scale >= 0 && scale <= precision) {
        type.logical = LogicalType::kDecimal;
        type.precision = static_cast<uint8_t>(precision);
        type.scale = static_cast<uint8_t>(scale);
      }
    }
  } else if (const Builtin* element = FindArray(oid)) {
    const std::string name = SqlName(*element, typmod);
    type.sql_name = element->source_only ? "text" : absl::StrCat(name, "[]");
    type.source_name = absl::StrCat(SourceName(*element), "[]");
  } else {
    type.source_name = absl::StrCat("type ", oid);
  }
  return type;
}

TypeKept WhereKept(const PgType& type) {
  constexpr uint32_t kChar = 18, kName = 19, kTextOid = 25, kBpchar = 1042, kVarchar = 1043;
  if (type.logical != LogicalType::kText) return TypeKept::kEverywhere;
  switch (type.oid) {
    case kChar:
    case kName:
    case kTextOid:
    case kBpchar:
    case kVarchar:
      return TypeKept::kEverywhere;
    default:
      break;
  }
  const bool is_enum = !IsBuiltinOid(type.oid) && type.binary;
  if (is_enum) return TypeKept::kEverywhere;
  return type.sql_name == "text" ? TypeKept::kNowhere : TypeKept::kPostgresOnly;
}

std::optional<PgType> ElementType(const PgType& array) {
  const Builtin* element = FindArray(array.oid);
  if (element == nullptr) return std::nullopt;
  return BuiltinType(element->oid, array.typmod);
}

PgType EnumType(uint32_t oid, std::string source_name) {
  PgType type;
  type.oid = oid;
  type.binary = true;
  type.source_name = std::move(source_name);
  return type;
}

}  // namespace wallaby
