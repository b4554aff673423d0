// Mapping: what a user wants to be different at a destination, as written: names, which tables, columns and rows,
// masked values, types, soft delete, columns of metadata. docs/mapping.md is its page. No I/O.
#ifndef WALLABY_MAPPING_MAPPING_H_
#define WALLABY_MAPPING_MAPPING_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "change/relation.h"
#include "mapping/row_filter.h"

namespace wallaby {

enum class Mask : uint8_t {
  kNone,
  kHash,    // HMAC-SHA256 of the value's text, in hex
  kRedact,  // a fixed text
  kNull,
};

struct ColumnRule {
  std::string to;    // its name at the destination; "": as at the source
  std::string type;  // as ParseMappedType() takes it; "": as at the source
  Mask mask = Mask::kNone;
  std::string redacted;  // kRedact: the text
  bool drop = false;

  // Its values must not reach the destination.
  bool hides() const { return drop || mask != Mask::kNone; }
};

enum class OnTruncate : uint8_t {
  kUnset,   // as kEmpty; an error where rows are deleted softly
  kEmpty,   // the destination's table is emptied
  kIgnore,  // its rows stay
};

struct TableRule {
  std::string tables;  // "public.orders", or a pattern with * and ?
  std::string to;      // "table" or "schema.table", in which {schema} and {table} stand for the source's; "": the same
  bool drop = false;
  std::optional<RowFilter> rows;
  std::map<std::string, ColumnRule> columns;
  std::vector<std::string> only;  // the columns that are carried; empty: all
  std::optional<bool> soft_delete;
  OnTruncate on_truncate = OnTruncate::kUnset;

  bool is_pattern() const { return tables.find_first_of("*?") != std::string::npos; }
  const ColumnRule* Find(std::string_view column) const;
  // The column is not carried.
  bool LeavesOut(std::string_view column) const;
};

enum class Metadata : uint8_t { kOp, kLsn, kSeq, kCommitTime, kSchema, kTable };
struct MetadataColumn {
  Metadata what;
  std::string name;
};

struct Mapping {
  std::vector<TableRule> tables;
  std::vector<MetadataColumn> metadata;
  std::optional<bool> soft_delete;

  // The one rule that a table follows: that of its exact name, else the pattern that fits and has the most characters
  // besides * and ?. Null: none. INVALID_ARGUMENT when two patterns fit as well.
  absl::StatusOr<const TableRule*> RuleOf(const Relation& relation) const;
  // Some column's values may be hidden.
  bool hides() const;
  // Some column is masked by hash, for which there must be a secret.
  bool hashes() const;
};

// Of YAML or JSON text. INVALID_ARGUMENT begins with `title` and names what is wrong, down to the row filters' syntax.
// Columns are looked for by TableMapping, where they are known.
absl::StatusOr<Mapping> ParseMapping(std::string_view text, const std::string& title);

}  // namespace wallaby

#endif  // WALLABY_MAPPING_MAPPING_H_
