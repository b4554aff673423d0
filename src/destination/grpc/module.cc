// The only symbol that grpc.so gives to MakeDestination().
#include <memory>
#include <utility>

#include "destination/destination.h"
#include "destination/grpc/grpc_destination.h"

extern "C" __attribute__((visibility("default"))) absl::Status wallaby_make_destination(
    const wallaby::DestinationConfig& config, std::unique_ptr<wallaby::Destination>* out);

absl::Status wallaby_make_destination(const wallaby::DestinationConfig& config,
                                      std::unique_ptr<wallaby::Destination>* out) {
  auto made = wallaby::MakeGrpcDestination(config);
  if (!made.ok()) return made.status();
  *out = std::move(*made);
  return absl::OkStatus();
}
