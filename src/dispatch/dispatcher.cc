#include "dispatch/dispatcher.h"

namespace wallaby {

std::optional<DispatchOptions> WantedWorker(const StoredFlow& flow, bool spools) {
  if (flow.state == FlowState::kRunning) return DispatchOptions();
  if (spools && IsSpooled(flow.state)) return DispatchOptions{.spool = true};
  return std::nullopt;
}

}  // namespace wallaby
