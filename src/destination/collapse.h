// Collapse: the last state of each key in a batch, so that `target` mode writes every row once.
//
// Handles key changes (the old key is deleted, the new one takes its state), delete then insert of one key, truncate,
// and updates whose unchanged TOASTed values were not sent: these are taken from an earlier state in the same batch
// where there is one, else left absent with the key under which the destination's row still holds them.
// Tables without a key but with identity full are a multiset: the result is how many copies of a row to add or remove.
#ifndef WALLABY_DESTINATION_COLLAPSE_H_
#define WALLABY_DESTINATION_COLLAPSE_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "change/change_batch.h"

namespace wallaby {

// One row to bring to the destination. All views point into the batch's arena or into CollapsedTable::scratch.
struct CollapsedRow {
  // Key to delete, or row to insert-or-replace. Wire form of a tuple (change/tuple.h) with all the table's columns;
  // for a delete only the key's columns count.
  const char* row = nullptr;
  bool is_delete = false;
  // Some column of `row` is absent: its value is what the destination holds, before any of this table's rows is
  // applied, in the row with the key columns of `origin` (a tuple with all the table's columns, of which only the key's
  // count). Most often that is the row's own key. Null when the row is whole.
  const char* origin = nullptr;
  // The first that the batch did to this key was to insert it, so the destination has no such row. To be applied last:
  // a new row may take a unique value that another one gives up. Whole always.
  bool is_new = false;
};

// A row of a keyless table with identity full, and by how many copies its number changes (never 0).
struct RowDelta {
  const char* row = nullptr;
  int64_t copies = 0;
};

struct CollapsedTable {
  RelationPtr relation;
  bool truncate = false;           // first of all, empty the table
  std::vector<CollapsedRow> rows;  // tables with a key: at most one upsert or delete per key; apply deletes first
  std::vector<RowDelta> deltas;    // tables without one
  bool has_absent = false;         // some row has an origin
  bool only_reads = false;         // all rows come from a snapshot
  std::string scratch;             // owner of rows that had to be put together
};

// One entry per table and schema version, in order of first appearance. A table whose shape changes within the batch
// has one entry per shape, to be applied in order. FAILED_PRECONDITION for an update or delete that carries no
// identity, and for an absent value that neither the batch nor the destination can hold. The result points into
// `batch`.
absl::StatusOr<std::vector<CollapsedTable>> Collapse(const ChangeBatch& batch);

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_COLLAPSE_H_
