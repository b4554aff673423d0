// Shapes of tables for the tests of schema changes.
#ifndef WALLABY_DESTINATION_TEST_SHAPES_H_
#define WALLABY_DESTINATION_TEST_SHAPES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "change/schema_change.h"

namespace wallaby {

struct ColumnSpec {
  std::string name;
  PgType type = BuiltinType(/*text*/ 25, -1);
  int attnum = 0;  // 0: its place
  std::optional<std::string> fill = std::nullopt;
  bool not_null = false;
};

// The first `keys` columns are the key; a table without one has identity full.
inline TableShape ShapeOfColumns(const std::vector<ColumnSpec>& columns, const std::string& name = "items",
                                 const std::string& schema = "public", int keys = 1) {
  TableShape shape;
  shape.relation.schema = schema;
  shape.relation.name = name;
  if (keys == 0) shape.relation.identity = ReplicaIdentity::kFull;
  for (size_t i = 0; i < columns.size(); ++i) {
    const bool key = static_cast<int>(i) < keys;
    shape.relation.columns.push_back({columns[i].name, columns[i].type, key});
    shape.details.push_back({.attnum = columns[i].attnum == 0 ? static_cast<int>(i) + 1 : columns[i].attnum,
                             .not_null = columns[i].not_null || key,
                             .fill = columns[i].fill});
    if (key) shape.relation.key.push_back(static_cast<int>(i));
  }
  return shape;
}

// The typmod of numeric(precision,scale).
constexpr int32_t NumericTypmod(int precision, int scale) {
  return ((precision << 16) | scale) + 4;
}

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_TEST_SHAPES_H_
