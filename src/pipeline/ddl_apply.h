// What becomes of a DDL event: the destinations follow it, somebody says that they have, or it is rejected.
// Used by the worker where DDL is applied by itself, and by the control plane where an operator asks for it.
#ifndef WALLABY_PIPELINE_DDL_APPLY_H_
#define WALLABY_PIPELINE_DDL_APPLY_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/lsn.h"
#include "flow/ddl_event.h"
#include "flow/flow.h"
#include "store/control_store.h"

namespace wallaby {

struct DdlApplyOptions {
  int64_t generation = 0;  // of the lease that the caller holds: no worker writes meanwhile
  int64_t memory_limit = 64 << 20;
};

// Runs the event's plan at every destination that has no receipt for it yet, and settles it as applied. Destinations
// that go at their own pace follow when they get there (SettleDdlAtLane). From approved,
// failed or applying (a crash half-way is finished, not repeated). FAILED_PRECONDITION when the event is not approved
// or an earlier one of the flow is not settled; any error of a destination makes the event failed, with that error.
absl::StatusOr<DdlEvent> ApplyDdlEvent(ControlStore& store, const Flow& flow, int64_t id,
                                       const DdlApplyOptions& options);

// Asks the flow's worker to apply an event that only its tables wait for; it does so between two attempts
// (worker_holds.cc), and the event becomes applied or failed. Errors as above.
absl::StatusOr<DdlEvent> RequestDdlApply(ControlStore& store, int64_t id);

// An operator has changed the destinations by hand: settles an approved or failed event as applied.
absl::StatusOr<DdlEvent> MarkDdlEventApplied(ControlStore& store, int64_t id);

// Columns that a rejected event adds stay out of the destinations, and the flow can go on. Any other rejected event
// holds the flow until it is approved after all.
absl::StatusOr<DdlEvent> RejectDdlEvent(ControlStore& store, int64_t id);
absl::StatusOr<DdlEvent> ApproveDdlEvent(ControlStore& store, int64_t id);

// What becomes of the settled events of the transaction at `commit` at a destination that goes at its own pace, once
// its lane has delivered everything before them: the destination follows what was applied, unless it has a receipt, and
// the lane's shapes are those behind the events. False: one of `found`, or another event there, is not settled yet.
absl::StatusOr<bool> SettleDdlAtLane(ControlStore& store, const Flow& flow, const Endpoint& endpoint, Lsn commit,
                                     const std::vector<DdlEvent>& found, const DdlApplyOptions& options);
// OK when a lane that is at `position` has passed every event of the flow that is settled.
absl::Status CheckLanePassedDdl(ControlStore& store, const std::string& flow_id, const std::string& destination,
                                Lsn position);

// Whether the event does nothing but add columns.
bool OnlyAddsColumns(const DdlEvent& event);
// Whether the flow may go on behind it: applied, or rejected and left out.
bool IsSettled(const DdlEvent& event);

// Whether the flow goes on meanwhile, and only the event's tables wait.
absl::StatusOr<bool> HoldsTablesOnly(ControlStore& store, const DdlEvent& event);

// OK when the flow has no event that holds it as a whole; else FAILED_PRECONDITION that names the first and says what
// to do.
absl::Status CheckDdlSettled(ControlStore& store, const std::string& flow_id);

}  // namespace wallaby

#endif  // WALLABY_PIPELINE_DDL_APPLY_H_
