// What a client sees of a flow: its definition without secrets, its state, and how its worker gets on.
#ifndef WALLABY_SERVICE_FLOW_VIEW_H_
#define WALLABY_SERVICE_FLOW_VIEW_H_

#include "absl/status/status.h"
#include "dispatch/dispatcher.h"
#include "service/slot_watch.h"
#include "service/stream_lag.h"
#include "store/control_store.h"
#include "wallaby/v1/services.pb.h"
#include "wallaby/v1/types.pb.h"

namespace wallaby {

enum class FlowDetail {
  kBrief,  // from the store alone: for lists
  kFull,   // asks the source for its slot, and adds the tables' snapshots
};

// Pointers outlive the view. Safe from any thread.
class FlowView {
 public:
  FlowView(ControlStore* store, ControlStore* checkpoints, Dispatcher* dispatcher, const SlotWatch* slots,
           const StreamLag* stream_lag)
      : store_(store), checkpoints_(checkpoints), dispatcher_(dispatcher), slots_(slots), stream_lag_(stream_lag) {}

  absl::Status Fill(const StoredFlow& stored, FlowDetail detail, v1::Flow* proto) const;
  // Where its lag is (lag_explanation.h). Asks the source.
  absl::Status Explain(const StoredFlow& stored, v1::LagExplanation* proto) const;

 private:
  absl::Status FillCheckpoint(const std::string& flow_id, v1::Flow* proto) const;
  absl::Status FillDdl(const std::string& flow_id, v1::Flow* proto) const;
  // `told`: what a worker has said lately; may be null.
  absl::Status FillDestinations(const Flow& flow, const WorkerReport* told, v1::Flow* proto) const;
  // True when the report is of now.
  bool FillWorker(const StoredFlow& stored, const std::optional<WorkerReport>& report, v1::Flow* proto) const;
  absl::Status FillTables(const std::string& flow_id, v1::Flow* proto) const;
  void FillStreamReaders(const std::string& flow_id, v1::Flow* proto) const;

  ControlStore* const store_;
  ControlStore* const checkpoints_;
  Dispatcher* const dispatcher_;
  const SlotWatch* const slots_;       // may be null
  const StreamLag* const stream_lag_;  // may be null
};

v1::Checkpoint CheckpointToProto(const Checkpoint& checkpoint);
// "pending", "copying", "done".
std::string_view TableSyncStateName(TableSyncState state);

}  // namespace wallaby

#endif  // WALLABY_SERVICE_FLOW_VIEW_H_
