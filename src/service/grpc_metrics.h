// Counts and times every call that the gRPC server answers.
#ifndef WALLABY_SERVICE_GRPC_METRICS_H_
#define WALLABY_SERVICE_GRPC_METRICS_H_

namespace grpc {
class ServerBuilder;
}

namespace wallaby {

// Before BuildAndStart(). The metrics of all methods of wallaby.v1 are there at 0 from now on; calls of other services
// (health, reflection) are counted as method "other".
void CountCalls(grpc::ServerBuilder* builder);

}  // namespace wallaby

#endif  // WALLABY_SERVICE_GRPC_METRICS_H_
