// The merge of many rows: by COPY into a temporary table, and from there with one statement per kind of work.
#ifndef WALLABY_DESTINATION_POSTGRES_STAGE_H_
#define WALLABY_DESTINATION_POSTGRES_STAGE_H_

#include <vector>

#include "absl/status/status.h"
#include "destination/collapse.h"
#include "destination/postgres/session.h"
#include "destination/postgres/table_plan.h"

namespace wallaby {

// Rows of a table with a key, in the open transaction.
absl::Status MergeThroughStage(Session& session, TablePlan& plan, const std::vector<CollapsedRow>& rows);

// Rows of a table without one: copies to add and to take away. FAILED_PRECONDITION when a row to take away is not
// there.
absl::Status MergeDeltasThroughStage(Session& session, TablePlan& plan, const std::vector<RowDelta>& deltas);

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_POSTGRES_STAGE_H_
