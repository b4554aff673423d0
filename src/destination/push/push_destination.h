// PushDestination: a destination that sends requests to a receiver and counts what is answered. At least once, with
// keys that stay the same in every replay. All of http and grpc but the sending itself. For users:
// docs/destinations/http.md.
#ifndef WALLABY_DESTINATION_PUSH_PUSH_DESTINATION_H_
#define WALLABY_DESTINATION_PUSH_PUSH_DESTINATION_H_

#include <memory>

#include "absl/status/statusor.h"
#include "destination/destination.h"
#include "destination/options.h"
#include "destination/push/push_sender.h"
#include "destination/push_options.h"

namespace wallaby {

// `table` is what ParseTableOptions() gave for the config. `make_sender` is called once for each lane. Does no
// I/O.
absl::StatusOr<std::unique_ptr<Destination>> MakePushDestination(const DestinationConfig& config,
                                                                 const TableOptions& table, const PushOptions& options,
                                                                 MakeSender make_sender);

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_PUSH_PUSH_DESTINATION_H_
