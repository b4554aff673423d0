// The only symbol that http.so gives to MakeDestination().
#include <memory>
#include <utility>

#include "destination/destination.h"
#include "destination/http/http_destination.h"

extern "C" __attribute__((visibility("default"))) absl::Status wallaby_make_destination(
    const wallaby::DestinationConfig& config, std::unique_ptr<wallaby::Destination>* out);

absl::Status wallaby_make_destination(const wallaby::DestinationConfig& config,
                                      std::unique_ptr<wallaby::Destination>* out) {
  auto made = wallaby::MakeHttpDestination(config);
  if (!made.ok()) return made.status();
  *out = std::move(*made);
  return absl::OkStatus();
}
