// Flows as people read them.
#ifndef WALLABY_CLI_FLOW_TEXT_H_
#define WALLABY_CLI_FLOW_TEXT_H_

#include <string>

#include "absl/time/time.h"
#include "wallaby/v1/services.pb.h"

namespace wallaby {

// "running"; "unknown" for a state of a newer server.
std::string StateText(v1::FlowState state);
// All about one flow, and while tables are being copied a table of them.
std::string FlowText(const v1::Flow& flow, absl::Time now);
// One line a flow.
std::string FlowsText(const v1::ListFlowsResponse& flows, absl::Time now);
// "orders: paused (operator)".
std::string FlowLine(const v1::Flow& flow);
// "0/16B3748", "-" when there is none.
std::string CheckpointText(const v1::Checkpoint& checkpoint);
// How long ago the checkpoint was made; "-" when there is none.
std::string CheckpointAge(const v1::Checkpoint& checkpoint, absl::Time now);
std::string FindingsText(const v1::ValidateFlowResponse& response);

}  // namespace wallaby

#endif  // WALLABY_CLI_FLOW_TEXT_H_
