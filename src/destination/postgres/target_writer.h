// TargetWriter: target mode. The destination's table holds what the source's does.
//
// A few rows go as plain statements, in one round trip with the commit. Many go by COPY: rows that are new at the
// source straight into the table, others into a temporary table (stage.h) from which they are merged.
#ifndef WALLABY_DESTINATION_POSTGRES_TARGET_WRITER_H_
#define WALLABY_DESTINATION_POSTGRES_TARGET_WRITER_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "change/change_batch.h"
#include "destination/collapse.h"
#include "destination/postgres/session.h"
#include "destination/postgres/table_plan.h"

namespace wallaby {

class TargetWriter {
 public:
  TargetWriter(Session& session, TablePlans& plans) : session_(session), plans_(plans) {}

  // In the open transaction.
  absl::Status Write(const ChangeBatch& batch);

 private:
  absl::Status WriteTable(const CollapsedTable& table);
  // New rows straight into the table, the others through the stage.
  absl::Status WriteMany(const CollapsedTable& table, TablePlan& plan);
  absl::Status WriteKeyless(const CollapsedTable& table, TablePlan& plan);
  // True when the rows went in; false when some key is there already, and nothing went in.
  absl::StatusOr<bool> CopyStraightIn(const std::vector<const char*>& rows, TablePlan& plan);

  // ---- few rows: statements ----
  absl::Status WriteStatements(const CollapsedTable& table, TablePlan& plan);
  absl::Status AddDeletes(const CollapsedTable& table, const TablePlan& plan);
  absl::Status AddPartialUpdates(const CollapsedTable& table, const TablePlan& plan);
  absl::Status AddUpserts(const std::vector<const char*>& rows, const TablePlan& plan);
  absl::Status AppendKeyTuple(const TablePlan& plan, std::string* out);

  Session& session_;
  TablePlans& plans_;
  RowFields fields_;
};

// " ON CONFLICT ... " for a row whose key may be there.
std::string OnConflictSql(const TablePlan& plan);

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_POSTGRES_TARGET_WRITER_H_
