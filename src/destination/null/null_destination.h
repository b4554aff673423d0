// The `null` destination: takes every change and keeps nothing. It shows what reading and decoding alone can do, and
// lets a flow be tried without a place to write to. For users: docs/destinations/null.md.
#ifndef WALLABY_DESTINATION_NULL_NULL_DESTINATION_H_
#define WALLABY_DESTINATION_NULL_NULL_DESTINATION_H_

#include <memory>

#include "absl/status/status.h"
#include "destination/destination.h"

namespace wallaby {

// Fits MakeDestinationFn. INVALID_ARGUMENT names the option that is wrong.
absl::Status MakeNullDestination(const DestinationConfig& config, std::unique_ptr<Destination>* out);

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_NULL_NULL_DESTINATION_H_
