// Brings collapsed or single changes into a table, within the connection's open transaction.
#ifndef WALLABY_DESTINATION_DUCKDB_MERGE_H_
#define WALLABY_DESTINATION_DUCKDB_MERGE_H_

#include "absl/status/status.h"
#include "change/change_batch.h"
#include "destination/collapse.h"
#include "destination/duckdb/database.h"
#include "destination/duckdb/tables.h"

namespace wallaby {

// Target mode. FAILED_PRECONDITION when a value that PostgreSQL did not send is not in the destination either.
absl::Status MergeCollapsed(DuckdbConnection* connection, const CollapsedTable& changes, ReadyTable* target);

// Append mode: every change of `batch` to relation number `relation` becomes its AppendRows.
absl::Status AppendChanges(DuckdbConnection* connection, const ChangeBatch& batch, uint32_t relation,
                           ReadyTable* target);

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_DUCKDB_MERGE_H_
