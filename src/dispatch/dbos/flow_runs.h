// FlowRuns: puts runs of flows into the queue. Ids are stable, `wallaby-flow:<flow>:g-<generation>` and a suffix, where
// the generation is the flow's revision in the control store. One run of a flow is queued or runs at a time: the flow
// is the deduplication id.
#ifndef WALLABY_DISPATCH_DBOS_FLOW_RUNS_H_
#define WALLABY_DISPATCH_DBOS_FLOW_RUNS_H_

#include <string>

#include "absl/status/statusor.h"
#include "dispatch/dbos/store.h"
#include "store/control_store.h"

namespace wallaby {

class FlowRuns {
 public:
  // `scheduled`: a schedule brings one run after the other, so each ends when it has delivered what waits.
  FlowRuns(DbosStore* dbos, ControlStore* store, bool scheduled) : dbos_(dbos), store_(store), scheduled_(scheduled) {}

  bool scheduled() const { return scheduled_; }

  // Sees to it that a run of the flow is queued or runs. True when this call queued it.
  absl::StatusOr<bool> Ensure(const std::string& flow_id, int max_empty_reads);

  struct Ticked {
    int enqueued = 0;
    int skipped = 0;  // the run before has not ended
  };
  // One run for each flow in `running`, for the tick of this time, by workflow `parent`.
  absl::StatusOr<Ticked> Tick(absl::Time at, const std::string& parent);

 private:
  absl::StatusOr<DbosStore::Enqueued> Enqueue(const StoredFlow& flow, const std::string& suffix, const char* kind,
                                              int64_t max_empty_reads, const std::string& parent);

  DbosStore* const dbos_;
  ControlStore* const store_;
  const bool scheduled_;
};

}  // namespace wallaby

#endif  // WALLABY_DISPATCH_DBOS_FLOW_RUNS_H_
