// Checks of a flow before it is stored, and the dry run that a user asks for.
#ifndef WALLABY_SERVICE_FLOW_VALIDATION_H_
#define WALLABY_SERVICE_FLOW_VALIDATION_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "flow/flow.h"
#include "store/control_store.h"
#include "wallaby/v1/services.pb.h"

namespace wallaby {

// ValidateFlow's verdict as a client is told: INVALID_ARGUMENT that names the field, also for what is not built yet
// (UNIMPLEMENTED would say that the method is missing).
absl::Status CheckFlow(const Flow& flow);

// What is wrong with the destinations' mappings, and other options that name columns and types, for the tables at the
// source, one text each. Empty where no destination has such options, where secrets cannot be followed here, and when
// the source cannot be reached: its worker checks them too.
std::vector<std::string> CheckMappingsNow(const Flow& flow);

// Every finding about the definition and, when that is right, about the source as it is now. Nothing is changed.
// Secrets that show the mask are taken from the stored flow of the same id. An error only when the store fails.
absl::Status ValidateFlowRequest(const v1::Flow& proto, ControlStore* store, v1::ValidateFlowResponse* response);

}  // namespace wallaby

#endif  // WALLABY_SERVICE_FLOW_VALIDATION_H_
