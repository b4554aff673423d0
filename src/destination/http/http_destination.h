// The `http` destination: changes as requests to a URL. For users: docs/destinations/http.md.
#ifndef WALLABY_DESTINATION_HTTP_HTTP_DESTINATION_H_
#define WALLABY_DESTINATION_HTTP_HTTP_DESTINATION_H_

#include <memory>

#include "absl/status/statusor.h"
#include "destination/destination.h"

namespace wallaby {

// INVALID_ARGUMENT names the option that is wrong. Does no I/O.
absl::StatusOr<std::unique_ptr<Destination>> MakeHttpDestination(const DestinationConfig& config);

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_HTTP_HTTP_DESTINATION_H_
