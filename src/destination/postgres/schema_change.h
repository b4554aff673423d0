// How a table in the destination's database follows a schema change of its source.
#ifndef WALLABY_DESTINATION_POSTGRES_SCHEMA_CHANGE_H_
#define WALLABY_DESTINATION_POSTGRES_SCHEMA_CHANGE_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "change/schema_change.h"
#include "destination/options.h"
#include "destination/postgres/progress.h"
#include "destination/postgres/session.h"
#include "destination/postgres/table_plan.h"

namespace wallaby {

// What FollowSchemaChange() runs on a table that is as the source's was before, with remarks.
std::vector<std::string> PostgresDdl(const SchemaChange& change, const TableOptions& options);

// In the session's open transaction, which the caller commits.
absl::Status FollowSchemaChange(Session& session, const SchemaChange& change, const TableOptions& options,
                                const ProgressTables& progress, TablePlans& plans);

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_POSTGRES_SCHEMA_CHANGE_H_
