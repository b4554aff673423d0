// The module files.so, for every type that writes files.
#include "destination/files/files_destination.h"

extern "C" absl::Status wallaby_make_destination(const wallaby::DestinationConfig& config,
                                                 std::unique_ptr<wallaby::Destination>* out) {
  auto made = wallaby::FilesDestination::Make(config.type, config);
  if (!made.ok()) return made.status();
  *out = *std::move(made);
  return absl::OkStatus();
}
