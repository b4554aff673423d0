// CheckpointStore: where the pipeline keeps how far it has come. One of the four interfaces that the simulator
// replaces.
#ifndef WALLABY_PIPELINE_CHECKPOINT_STORE_H_
#define WALLABY_PIPELINE_CHECKPOINT_STORE_H_

#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "store/control_store.h"

namespace wallaby {

class CheckpointStore {
 public:
  virtual ~CheckpointStore() = default;
  virtual absl::StatusOr<std::optional<Checkpoint>> Get() = 0;
  // Durable on return. FAILED_PRECONDITION "fenced" when a newer generation runs the flow.
  virtual absl::Status Put(const Checkpoint& checkpoint) = 0;
  // The same, and it may be before what is stored: when a flow's acknowledgement comes to rest on other destinations.
  virtual absl::Status Reset(const Checkpoint& checkpoint) = 0;
};

// The checkpoint of one flow in a control store, written by one generation of its worker.
class FlowCheckpointStore : public CheckpointStore {
 public:
  // `store` must outlive the object; the worker's view of it, which a newer generation fences.
  FlowCheckpointStore(ControlStore* store, std::string flow_id, int64_t generation)
      : store_(store), flow_id_(std::move(flow_id)), generation_(generation) {}
  absl::StatusOr<std::optional<Checkpoint>> Get() override { return store_->GetCheckpoint(flow_id_); }
  absl::Status Put(const Checkpoint& checkpoint) override {
    return store_->PutCheckpoint(flow_id_, checkpoint, generation_);
  }
  absl::Status Reset(const Checkpoint& checkpoint) override {
    return store_->PutCheckpoint(flow_id_, checkpoint, /*generation=*/0);
  }

 private:
  ControlStore* store_;
  std::string flow_id_;
  int64_t generation_;
};

// The checkpoint of a destination that goes at its own pace.
class LaneCheckpointStore : public CheckpointStore {
 public:
  // `store` must outlive the object; likewise.
  LaneCheckpointStore(ControlStore* store, std::string flow_id, std::string destination)
      : store_(store), flow_id_(std::move(flow_id)), destination_(std::move(destination)) {}
  absl::StatusOr<std::optional<Checkpoint>> Get() override;
  absl::Status Put(const Checkpoint& checkpoint) override {
    return store_->PutLaneCheckpoint(flow_id_, destination_, checkpoint);
  }
  absl::Status Reset(const Checkpoint& checkpoint) override { return Put(checkpoint); }

 private:
  ControlStore* store_;
  std::string flow_id_;
  std::string destination_;
};

}  // namespace wallaby

#endif  // WALLABY_PIPELINE_CHECKPOINT_STORE_H_
