// The `grpc` destination: changes as calls of a receiver's IngestService. For users: docs/destinations/grpc.md.
#ifndef WALLABY_DESTINATION_GRPC_GRPC_DESTINATION_H_
#define WALLABY_DESTINATION_GRPC_GRPC_DESTINATION_H_

#include <memory>

#include "absl/status/statusor.h"
#include "destination/destination.h"

namespace wallaby {

// INVALID_ARGUMENT names the option that is wrong. Does no I/O.
absl::StatusOr<std::unique_ptr<Destination>> MakeGrpcDestination(const DestinationConfig& config);

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_GRPC_GRPC_DESTINATION_H_
