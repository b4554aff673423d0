#include "dispatch/dbos/flow_runs.h"

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "dispatch/dbos/serialization.h"
#include "nlohmann/json.hpp"
#include "store/for_each_flow.h"

namespace wallaby {
namespace {}  // namespace

absl::StatusOr<DbosStore::Enqueued> FlowRuns::Enqueue(const StoredFlow& flow, const std::string& suffix,
                                                      const char* kind, int64_t max_empty_reads,
                                                      const std::string& parent) {
  const std::string& id = flow.flow.id;
  if (scheduled_ && max_empty_reads == 0) max_empty_reads = 1;
  DbosStore::NewRun run;
  // A flow's id has no colon, so no two flows share a prefix.
  run.id = absl::StrCat("wallaby-flow:", id, ":g-", flow.revision, suffix);
  run.name = kRunFlowWorkflow;
  run.input = PortableInput({id, flow.revision, max_empty_reads});
  run.dedup = absl::StrCat("wallaby-flow:", id);
  run.attributes = nlohmann::json{{"flow_id", id}, {"generation", flow.revision}, {"kind", kind}}.dump();
  run.parent = parent;
  return dbos_->Enqueue(run);
}

absl::StatusOr<bool> FlowRuns::Ensure(const std::string& flow_id, int max_empty_reads) {
  ASSIGN_OR_RETURN(const StoredFlow flow, store_->GetFlow(flow_id));
  // One that a client resumed has no deduplication id any more, but runs.
  ASSIGN_OR_RETURN(const auto active, dbos_->ActiveRuns(flow_id));
  if (!active.empty()) return false;
  const char* kind = max_empty_reads > 0 ? "once" : "lifecycle";
  ASSIGN_OR_RETURN(DbosStore::Enqueued enqueued, Enqueue(flow, "", kind, max_empty_reads, ""));
  if (enqueued == DbosStore::Enqueued::kExists) {
    // The first run of this generation has ended.
    ASSIGN_OR_RETURN(enqueued, Enqueue(flow, absl::StrCat("-r-", NewUuid()), kind, max_empty_reads, ""));
  }
  return enqueued == DbosStore::Enqueued::kNew;
}

absl::StatusOr<FlowRuns::Ticked> FlowRuns::Tick(absl::Time at, const std::string& parent) {
  Ticked ticked;
  ASSIGN_OR_RETURN(const auto active, dbos_->ActiveFlows());
  RETURN_IF_ERROR(ForEachFlow(*store_, [&](const StoredFlow& flow) -> absl::Status {
    if (flow.state != FlowState::kRunning || !flow.definition.ok()) return absl::OkStatus();
    if (active.contains(flow.flow.id)) {
      ++ticked.skipped;
      return absl::OkStatus();
    }
    ASSIGN_OR_RETURN(const DbosStore::Enqueued enqueued,
                     Enqueue(flow, absl::StrCat("-s-", absl::ToUnixNanos(at)), "tick", /*max_empty_reads=*/1, parent));
    ++(enqueued == DbosStore::Enqueued::kNew ? ticked.enqueued : ticked.skipped);
    return absl::OkStatus();
  }));
  return ticked;
}

}  // namespace wallaby
