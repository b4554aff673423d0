// The module s3.so.
#include "destination/files/files_destination.h"

extern "C" absl::Status wallaby_make_destination(const wallaby::DestinationConfig& config,
                                                 std::unique_ptr<wallaby::Destination>* out) {
  auto made = wallaby::FilesDestination::Make("s3", config);
  if (!made.ok()) return made.status();
  *out = *std::move(made);
  return absl::OkStatus();
}
