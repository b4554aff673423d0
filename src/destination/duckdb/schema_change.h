// How a table in a DuckDB file follows a schema change of its source.
#ifndef WALLABY_DESTINATION_DUCKDB_SCHEMA_CHANGE_H_
#define WALLABY_DESTINATION_DUCKDB_SCHEMA_CHANGE_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "change/schema_change.h"
#include "destination/duckdb/database.h"
#include "destination/duckdb/progress.h"
#include "destination/duckdb/tables.h"
#include "destination/options.h"

namespace wallaby {

// What FollowSchemaChange() runs on a table that is as the source's was before, with remarks.
std::vector<std::string> DuckdbDdl(const SchemaChange& change, const TableOptions& options, const DuckdbTables& tables);

// In the connection's open transaction, which the caller commits.
absl::Status FollowSchemaChange(DuckdbConnection* connection, const SchemaChange& change, const TableOptions& options,
                                const DuckdbProgress& progress, DuckdbTables* tables);

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_DUCKDB_SCHEMA_CHANGE_H_
