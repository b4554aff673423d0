// What a flow says to one of its destinations, in the destination's own terms.
#ifndef WALLABY_FLOW_DESTINATION_CONFIG_H_
#define WALLABY_FLOW_DESTINATION_CONFIG_H_

#include "absl/status/statusor.h"
#include "destination/destination.h"
#include "flow/flow.h"

namespace wallaby {

// With references as they stand: for checks that open nothing.
DestinationConfig UnresolvedConfig(const Flow& flow, const Endpoint& endpoint);
// With every reference followed (secret_reference.h): for MakeDestination(). Generation and memory are the caller's to
// set.
absl::StatusOr<DestinationConfig> ResolvedConfig(const Flow& flow, const Endpoint& endpoint);

}  // namespace wallaby

#endif  // WALLABY_FLOW_DESTINATION_CONFIG_H_
