#include "destination/grpc/grpc_destination.h"

#include "base/status.h"
#include "destination/grpc/grpc_sender.h"
#include "destination/options.h"
#include "destination/push/push_destination.h"

namespace wallaby {

absl::StatusOr<std::unique_ptr<Destination>> MakeGrpcDestination(const DestinationConfig& config) {
  ASSIGN_OR_RETURN(const TableOptions table, ParseTableOptions("grpc", config));
  ASSIGN_OR_RETURN(const GrpcOptions options, ParseGrpcOptions(config));
  return MakePushDestination(config, table, options.push,
                             [options, cut_short = config.cut_short] { return MakeGrpcSender(options, cut_short); });
}

}  // namespace wallaby
