// The module kafka.so, for the types kafka and bufstream.
#include "destination/kafka/kafka_destination.h"

extern "C" absl::Status wallaby_make_destination(const wallaby::DestinationConfig& config,
                                                 std::unique_ptr<wallaby::Destination>* out) {
  auto made = wallaby::KafkaDestination::Make(config);
  if (!made.ok()) return made.status();
  *out = *std::move(made);
  return absl::OkStatus();
}
