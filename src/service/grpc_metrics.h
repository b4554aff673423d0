// Counts and times every call that the gRPC server answers.
#ifndef WALLABY_SERVICE_GRPC_METRICS_H_
#define WALLABY_SERVICE_GRPC_METRICS_H_

#include <memory>

#include "grpcpp/support/server_interceptor.h"

namespace wallaby {

// For the server's builder. The metrics of all methods of wallaby.v1 are there at 0 from now on; calls of other
// services (health, reflection) are counted as method "other".
std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> CallMetrics();

}  // namespace wallaby

#endif  // WALLABY_SERVICE_GRPC_METRICS_H_
