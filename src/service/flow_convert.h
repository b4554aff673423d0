// Flows and what belongs to them, between the wire and the program. Changes nothing and judges nothing but what cannot
// be expressed on the other side.
#ifndef WALLABY_SERVICE_FLOW_CONVERT_H_
#define WALLABY_SERVICE_FLOW_CONVERT_H_

#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "flow/flow.h"
#include "wallaby/v1/types.pb.h"

namespace wallaby {

// INVALID_ARGUMENT names the field: an enum's value that does not exist, a source or destination without a type.
absl::StatusOr<Flow> FlowFromProto(const v1::Flow& proto);

// The definition only. INVALID_ARGUMENT for an endpoint type that the wire has no name for.
absl::Status FlowToProto(const Flow& flow, v1::Flow* proto);

// "postgres"; "" for unspecified.
std::string_view EndpointTypeName(v1::EndpointType type);
// Unspecified for a name that does not exist.
v1::EndpointType EndpointTypeFromName(std::string_view name);

// The enums have the same values on both sides.
inline v1::FlowState FlowStateToProto(FlowState state) {
  return static_cast<v1::FlowState>(state);
}
inline FlowState FlowStateFromProto(v1::FlowState state) {
  return static_cast<FlowState>(state);
}

}  // namespace wallaby

#endif  // WALLABY_SERVICE_FLOW_CONVERT_H_
