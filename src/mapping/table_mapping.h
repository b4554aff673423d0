// TableMapping: a mapping compiled for one shape of one table: what its relation becomes, and what is done to each
// column of its rows.
#ifndef WALLABY_MAPPING_TABLE_MAPPING_H_
#define WALLABY_MAPPING_TABLE_MAPPING_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "change/relation.h"
#include "mapping/bound_filter.h"
#include "mapping/keyed_hash.h"
#include "mapping/mapping.h"

namespace wallaby {

inline constexpr const char* kDeletedColumn = "_wallaby_deleted";
inline constexpr const char* kDeletedAtColumn = "_wallaby_deleted_at";

// What a destination does with changes, as far as it decides which mappings make sense.
enum class Keeps {
  kRows,      // the current state of each row: what it deletes need not be there
  kLog,       // a row for every change, with columns of its own (change/append_rows.h)
  kMessages,  // a message for every change
};

// A mapping and what else it depends on.
struct MappingSetup {
  Mapping mapping;
  Keeps keeps = Keeps::kRows;
  // Where a table goes, and the type that is asked for ("": none), where no rule of the mapping says so.
  std::function<std::string(const Relation&)> schema = [](const Relation& relation) { return relation.schema; };
  std::function<std::string(const Relation&)> table = [](const Relation& relation) { return relation.name; };
  std::function<std::string(const Relation&, const Column&)> type = [](const Relation&, const Column&) { return ""; };
  std::shared_ptr<const KeyedHash> hash;  // there when Mapping::hashes()
};

struct MappedColumn {
  enum class Action : uint8_t {
    kCopy,
    kHash,
    kRedact,
    kNull,
    kText,     // the value's text
    kInteger,  // a wider whole number
    kDecimal,  // a value that must fit the type
    kMetadata,
    kDeleted,
    kDeletedAt,
  };
  Action action = Action::kCopy;
  int source = -1;       // of the source's columns; -1: none
  std::string constant;  // kRedact; kMetadata: what does not change
  Metadata metadata = Metadata::kOp;
  bool key = false;  // of Relation::key
};

struct TableMapping {
  RelationPtr source;
  RelationPtr target;                 // null: the table is left out; `source` itself: nothing is mapped
  std::vector<MappedColumn> columns;  // those of `target`
  bool same_rows = false;             // only names differ
  std::optional<BoundFilter> filter;
  // Whether a row that is updated or deleted matched before can be told: old rows have the filter's columns.
  bool filter_knows_old = true;
  bool soft_delete = false;
  OnTruncate on_truncate = OnTruncate::kUnset;

  bool passes() const { return target == source; }
};

enum class Check {
  kAll,
  // For a table's shape before or after a schema change: rules for columns that it does not have are no mistake.
  kPresentColumns,
  // The same, and the row filter is left out.
  kNames,
};

// INVALID_ARGUMENT or FAILED_PRECONDITION names table, column and remedy. `rule` is what Mapping::RuleOf() found for
// the table; null: none.
absl::StatusOr<TableMapping> CompileTableMapping(const MappingSetup& setup, const TableRule* rule, RelationPtr source,
                                                 Check check = Check::kAll);
absl::StatusOr<TableMapping> CompileTableMapping(const MappingSetup& setup, RelationPtr source);

// Columns whose rules say that the table has them and that it does not have: for errors. Empty for a pattern's rule, of
// which not every table must have all.
std::vector<std::string> MissingColumns(const TableRule& rule, const Relation& relation);

}  // namespace wallaby

#endif  // WALLABY_MAPPING_TABLE_MAPPING_H_
