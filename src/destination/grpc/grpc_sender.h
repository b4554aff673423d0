// GrpcSender: calls of IngestService/IngestBatch, and what their answers mean. docs/destinations/grpc.md has both as
// tables.
#ifndef WALLABY_DESTINATION_GRPC_GRPC_SENDER_H_
#define WALLABY_DESTINATION_GRPC_GRPC_SENDER_H_

#include <memory>

#include "base/event.h"
#include "destination/push/push_sender.h"
#include "destination/push_options.h"

namespace wallaby {

// With a connection of its own. Reads the files that the options name; what cannot be read shows when something is
// sent.
// `cut_short` calls a try off; it outlives the sender, and may be null.
std::unique_ptr<PushSender> MakeGrpcSender(const GrpcOptions& options, const Event* cut_short = nullptr);

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_GRPC_GRPC_SENDER_H_
