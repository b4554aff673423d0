#include "dispatch/dispatcher.h"

namespace wallaby {

std::optional<DispatchOptions> WantedWorker(const StoredFlow& flow, bool spools) {
  // Its worker could not read it either.
  if (!flow.definition.ok()) return std::nullopt;
  if (flow.state == FlowState::kRunning) return DispatchOptions();
  if (spools && IsSpooled(flow.state)) return DispatchOptions{.spool = true};
  return std::nullopt;
}

}  // namespace wallaby
