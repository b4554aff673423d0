#include "store/split_store.h"

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace wallaby {

absl::Status SplitStore::CreateFlow(const Flow& flow) {
  RETURN_IF_ERROR(control_->CreateFlow(flow));
  // One of an earlier flow with this id, whose control store was lost, says nothing of the new flow's slot.
  return checkpoints_->DeleteCheckpoint(flow.id);
}

// The checkpoint first: a flow without one begins where its slot stands, which is safe, while a checkpoint without its
// flow could be taken for that of a later flow with the same id.
absl::Status SplitStore::DeleteFlow(const std::string& id) {
  RETURN_IF_ERROR(control_->FindFlow(id).status());
  RETURN_IF_ERROR(checkpoints_->DeleteCheckpoint(id));
  return control_->DeleteFlow(id);
}

absl::Status SplitStore::PutCheckpoint(const std::string& flow_id, const Checkpoint& checkpoint, int64_t generation) {
  if (generation == 0) {
    RETURN_IF_ERROR(control_->FindFlow(flow_id).status());
  } else {
    ASSIGN_OR_RETURN(const std::optional<Lease> lease, control_->GetLease(flow_id));
    if (lease && lease->generation > generation) {
      return FencedGeneration(flow_id, generation, lease->generation, lease->holder);
    }
  }
  return checkpoints_->PutCheckpoint(flow_id, checkpoint, generation);
}

}  // namespace wallaby
