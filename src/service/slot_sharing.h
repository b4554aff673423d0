// Flows that share a slot: with a spool several may, and then all of them read the same publication, and the slot is
// there for all.
#ifndef WALLABY_SERVICE_SLOT_SHARING_H_
#define WALLABY_SERVICE_SLOT_SHARING_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "flow/flow.h"
#include "store/control_store.h"

namespace wallaby {

// The other stored flows whose source is the slot of `flow`, by their definitions: the server is told by the DSN.
absl::StatusOr<std::vector<StoredFlow>> FlowsOnSlotOf(const Flow& flow, ControlStore& store);

// INVALID_ARGUMENT when one of those reads it with another publication.
absl::Status CheckSharedPublication(const Flow& flow, ControlStore& store);

// Of those, and of flows that have read the slot `slot` of the server `system_identifier` under another DSN: the ones
// that run, or stand at a position in the slot.
absl::StatusOr<std::vector<StoredFlow>> FlowsThatNeedSlot(const Flow& flow, const std::string& system_identifier,
                                                          const std::string& slot, ControlStore& store,
                                                          ControlStore& checkpoints);

// "'a', 'b'"
std::string IdsOf(const std::vector<StoredFlow>& flows);

}  // namespace wallaby

#endif  // WALLABY_SERVICE_SLOT_SHARING_H_
