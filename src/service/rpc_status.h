// Status codes between absl and gRPC. The one place.
#ifndef WALLABY_SERVICE_RPC_STATUS_H_
#define WALLABY_SERVICE_RPC_STATUS_H_

#include <string>

#include "absl/status/status.h"
#include "grpcpp/support/status.h"

namespace wallaby {

// Both number their codes alike (google/rpc/code.proto).
inline grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  return grpc::Status(static_cast<grpc::StatusCode>(status.raw_code()), std::string(status.message()));
}

inline absl::Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
}

}  // namespace wallaby

#endif  // WALLABY_SERVICE_RPC_STATUS_H_
