// The copy of a table's rows out of an exported snapshot, in parts that can be read in parallel.
#ifndef WALLABY_POSTGRES_TABLE_COPY_H_
#define WALLABY_POSTGRES_TABLE_COPY_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "change/change_batch.h"
#include "postgres/catalog.h"
#include "postgres/connection.h"

namespace wallaby {

// A part's rows are those for which `condition` holds (SQL on the table, "" for all). The plan for a table must be
// the same in a later try when it is resumed, so `name` says all: public.orders/3:"id" >= 1000 AND "id" < 2000.
struct TablePart {
  std::string name;       // unique within the flow; begins with "schema.table/"
  std::string condition;  // "id" >= 1000 AND "id" < 2000; ctid >= '(0,0)'::tid AND ctid < '(8192,0)'::tid; ""
  bool by_key = false;    // by ranges of a key column: the part can be resumed under another snapshot
  // The table's file when the plan was made. VACUUM FULL, CLUSTER, TRUNCATE and rewriting ALTER TABLEs change it, and
  // with it every ctid and what an old snapshot shows. 0: not known.
  uint32_t file = 0;
  // For ranges of a table's one key column, when that is an integer: rows with from <= column < to, open where there is
  // no bound. `column` is "" for other parts.
  std::string column = {};
  std::optional<int64_t> from = {};
  std::optional<int64_t> to = {};
};

struct PartitionOptions {
  // Empty, or not a column of the table: an integer-like single primary key column where there is one, else ctid.
  std::string column;
  int count = 0;  // 0: by size
};

// Cuts a table. Key ranges when the primary key is one column of int2, int4, int8, or for `column` of any type that has
// statistics; else ctid ranges for ordinary tables; one part for partitioned roots without a key and, unless `count`
// says otherwise, small tables (< 8192 pages). The first and the last part are open, so that together they hold every
// row. At most 512 parts.
absl::StatusOr<std::vector<TablePart>> PlanTableParts(PgConnection& sql, const PublishedTable& table,
                                                      const PartitionOptions& options);

// The parts between ascending bounds of the table's one integer key column, as PlanTableParts makes them. No bounds:
// the whole table. Names are the same in every try.
std::vector<TablePart> KeyRangeParts(const Relation& relation, const std::string& column,
                                     const std::vector<int64_t>& bounds);

// For TablePart::file: the table's file as it is now.
absl::StatusOr<uint32_t> TableFile(PgConnection& sql, const Relation& relation);

// Reads one part under the snapshot (REPEATABLE READ READ ONLY, SET TRANSACTION SNAPSHOT), with the publication's row
// filter and column list, by COPY: binary when every column's type has `binary`, else text. `emit` gets batches of
// kRead changes of about `batch_bytes`, each with snapshot_part() set to the part's name, transaction
// {commit=end=`consistent`}, and `last` true exactly once, on the last batch (which may be empty of changes). An error
// from `emit` ends the copy and is returned; the connection stays usable. ABORTED, to be tried again from a new
// snapshot and plan: the snapshot is gone, or the table was rewritten, changed or dropped since the plan was made.
absl::Status CopyTablePart(PgConnection& sql, const PublishedTable& table, const TablePart& part,
                           const std::string& snapshot, Lsn consistent, size_t batch_bytes,
                           const std::function<absl::Status(std::unique_ptr<ChangeBatch>, bool last)>& emit);

}  // namespace wallaby

#endif  // WALLABY_POSTGRES_TABLE_COPY_H_
