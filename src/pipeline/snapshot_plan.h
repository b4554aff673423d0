// SnapshotPlan: how the copy of a table is cut into parts, and what each of them shows. Kept with the table in the
// control store (TableSync::plan), so that a copy that was interrupted goes on with the parts that are left.
#ifndef WALLABY_PIPELINE_SNAPSHOT_PLAN_H_
#define WALLABY_PIPELINE_SNAPSHOT_PLAN_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "base/lsn.h"
#include "pgoutput/skip_rule.h"
#include "postgres/catalog.h"
#include "postgres/table_copy.h"
#include "store/control_store.h"

namespace wallaby {

struct SnapshotPlan {
  struct Part {
    Lsn lsn;           // of the snapshot it is copied under
    int64_t rows = 0;  // that it had; known when all are read
  };

  std::string shape;            // of the table when the plan was made
  uint32_t file = 0;            // TablePart::file
  std::string column;           // the key; "" for one part
  std::vector<int64_t> bounds;  // between the parts
  std::vector<Part> parts;      // one more than bounds

  Lsn highest() const;
};

// For parts that PlanTableParts made, to be copied under the snapshot at `lsn`. Nothing when they are ranges of
// something else than the table's one integer key: such a copy starts over.
std::optional<SnapshotPlan> MakePlan(const PublishedTable& table, const std::vector<TablePart>& parts, Lsn lsn);

// The table's parts by the plan, in its order.
std::vector<TablePart> PlannedParts(const Relation& relation, const SnapshotPlan& plan);

// The plan still fits: same table, columns, key, row filter, and not rewritten or truncated since.
bool PlanFits(const SnapshotPlan& plan, const PublishedTable& table, uint32_t file);

// The stored form: JSON, read and written here only.
std::string PlanToText(const SnapshotPlan& plan);
// DATA_LOSS for anything else than a plan.
absl::StatusOr<SnapshotPlan> PlanFromText(std::string_view text);

// Which streamed changes of the table its snapshot shows.
absl::StatusOr<pgoutput::SkipRule> SkipRuleOf(const TableSync& sync);

}  // namespace wallaby

#endif  // WALLABY_PIPELINE_SNAPSHOT_PLAN_H_
