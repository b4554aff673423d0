#include "codec/avro_schema.h"

#include <array>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "codec/json_text.h"

namespace wallaby {
namespace {

// A schema is written in two forms from one description: for people and registries, and canonical, without what does
// not change how bytes are read.
struct Form {
  bool canonical;

  std::string Primitive(std::string_view name, std::string_view logical = "", std::string_view more = "") const {
    if (canonical || logical.empty()) return absl::StrCat("\"", name, "\"");
    return absl::StrCat(R"({"type":")", name, R"(","logicalType":")", logical, "\"", more, "}");
  }
  std::string Field(std::string_view name, std::string_view type, std::string_view more = "") const {
    return absl::StrCat(R"({"name":")", name, R"(","type":)", type, canonical ? "" : more, "}");
  }
  std::string Record(std::string_view full_name, std::string_view fields) const {
    return absl::StrCat(R"({"name":")", full_name, R"(","type":"record","fields":[)", fields, "]}");
  }
  std::string Optional(std::string_view type) const { return absl::StrCat(R"(["null",)", type, "]"); }
};

std::string TypeOf(const Form& form, const PgType& type) {
  switch (type.logical) {
    case LogicalType::kBool:
      return form.Primitive("boolean");
    case LogicalType::kInt16:
    case LogicalType::kInt32:
      return form.Primitive("int");
    case LogicalType::kInt64:
    case LogicalType::kUInt32:
      return form.Primitive("long");
    case LogicalType::kFloat32:
      return form.Primitive("float");
    case LogicalType::kFloat64:
      return form.Primitive("double");
    case LogicalType::kDecimal:
      return form.Primitive("bytes", "decimal",
                            absl::StrCat(",\"precision\":", int{type.precision}, ",\"scale\":", int{type.scale}));
    case LogicalType::kBytes:
      return form.Primitive("bytes");
    case LogicalType::kDate:
      return form.Primitive("int", "date");
    case LogicalType::kTime:
      return form.Primitive("long", "time-micros");
    case LogicalType::kTimestamp:
      return form.Primitive("long", "local-timestamp-micros");
    case LogicalType::kTimestampTz:
      return form.Primitive("long", "timestamp-micros");
    case LogicalType::kUuid:
      return form.Primitive("string", "uuid");
    case LogicalType::kText:
    case LogicalType::kJson:
      return form.Primitive("string");
  }
  return "";
}

// The columns' names in Avro, each once.
std::vector<std::string> FieldNames(const Relation& relation) {
  std::vector<std::string> names;
  std::set<std::string> used;
  for (const Column& column : relation.columns) {
    const std::string base = AvroName(column.name);
    std::string name = base;
    for (int i = 2; !used.insert(name).second; ++i) name = absl::StrCat(base, "_", i);
    names.push_back(name);
  }
  return names;
}

std::string ColumnField(const Form& form, const Column& column, const std::string& name, const PgType& type) {
  std::string more = ",\"default\":null,\"doc\":";
  if (!AppendJsonString(type.sql_name, &more)) more += "\"\"";
  if (name != column.name) {
    more += ",\"wallaby.column\":";
    AppendJsonString(column.name, &more);
  }
  return form.Field(name, form.Optional(TypeOf(form, type)), more);
}

struct Shape {
  const Relation& relation;
  const std::vector<PgType>& types;
  std::vector<std::string> names;
  std::string space;  // of the schemas' names

  std::string KeyRecord(const Form& form) const {
    std::string fields;
    for (const int index : relation.key) {
      const auto i = static_cast<size_t>(index);
      absl::StrAppend(&fields, fields.empty() ? "" : ",", ColumnField(form, relation.columns[i], names[i], types[i]));
    }
    return form.Record(space + ".Key", fields);
  }
  std::string Row(const Form& form) const {
    std::string fields;
    for (size_t i = 0; i < names.size(); ++i) {
      absl::StrAppend(&fields, fields.empty() ? "" : ",", ColumnField(form, relation.columns[i], names[i], types[i]));
    }
    return form.Record(space + ".Row", fields);
  }
  std::string Record(const Form& form) const {
    constexpr std::string_view kNull = ",\"default\":null";
    const std::string text = form.Primitive("string"), number = form.Primitive("long");
    const std::string key = relation.has_key() ? form.Optional(KeyRecord(form)) : "\"null\"";
    const std::string row_name = absl::StrCat("\"", space, ".Row\"");
    return form.Record(
        space + ".Record",
        absl::StrCat(form.Field("operation", text), ",", form.Field("namespace", text), ",", form.Field("table", text),
                     ",", form.Field("schema_version", number), ",", form.Field("lsn", number), ",",
                     form.Field("seq", number), ",", form.Field("transaction_id", number), ",",
                     form.Field("commit_time", form.Primitive("long", "timestamp-micros")), ",",
                     form.Field("key", key, kNull), ",", form.Field("before", form.Optional(Row(form)), kNull), ",",
                     form.Field("after", form.Optional(row_name), kNull), ",",
                     form.Field("unchanged", R"({"type":"array","items":"string"})", ",\"default\":[]")));
  }
};

constexpr uint64_t kEmptyFingerprint = 0xc15d213aa4d7a795u;

constexpr std::array<uint64_t, 256> kFingerprintTable = [] {
  std::array<uint64_t, 256> table{};
  for (uint64_t i = 0; i < 256; ++i) {
    uint64_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ (kEmptyFingerprint & (0 - (value & 1)));
    table[i] = value;
  }
  return table;
}();

}  // namespace

std::string AvroName(std::string_view name) {
  std::string out(name);
  for (char& c : out) {
    if (!absl::ascii_isalnum(static_cast<unsigned char>(c))) c = '_';
  }
  if (out.empty() || absl::ascii_isdigit(static_cast<unsigned char>(out[0]))) out.insert(out.begin(), '_');
  return out;
}

uint64_t AvroFingerprint(std::string_view canonical) {
  uint64_t value = kEmptyFingerprint;
  for (const char c : canonical)
    value = (value >> 8) ^ kFingerprintTable[(value ^ static_cast<unsigned char>(c)) & 0xff];
  return value;
}

AvroSchemas MakeAvroSchemas(const Relation& relation, const std::vector<PgType>& types) {
  const Shape shape{relation, types, FieldNames(relation),
                    absl::StrCat(AvroName(relation.schema), ".", AvroName(relation.name))};
  const Form full{.canonical = false}, canonical{.canonical = true};
  AvroSchemas schemas;
  schemas.record = {shape.space + ".Record", shape.Record(full), AvroFingerprint(shape.Record(canonical))};
  if (relation.has_key()) {
    schemas.key = {shape.space + ".Key", shape.KeyRecord(full), AvroFingerprint(shape.KeyRecord(canonical))};
  }
  return schemas;
}

}  // namespace wallaby
