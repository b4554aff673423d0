// CallGuard: what every gRPC call passes before it is answered: who calls, whether they may, whether there is room; and
// the line of the audit log when it has been answered.
#ifndef WALLABY_SERVICE_CALL_GUARD_H_
#define WALLABY_SERVICE_CALL_GUARD_H_

#include <atomic>
#include <memory>
#include <string>

#include "absl/functional/function_ref.h"
#include "access/access.h"
#include "flow/access_settings.h"
#include "google/protobuf/message.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/server_interceptor.h"
#include "grpcpp/support/status.h"

namespace wallaby {

// Safe from any thread.
class CallGuard {
 public:
  // `access` outlives the guard.
  CallGuard(Access* access, const AccessSettings& settings) : access_(access), settings_(settings) {}

  // Calls `answer`, unless the caller may not or too many calls are being answered. `method` is
  // "/wallaby.v1.FlowService/GetFlow". The flow's id in the audit log is the request's, or else the response's.
  grpc::Status Run(const std::string& method, const grpc::ServerContext& context,
                   const google::protobuf::Message& request, const google::protobuf::Message& response,
                   absl::FunctionRef<grpc::Status()> answer);

  // Ends calls of services that are not ours, such as reflection, whose caller may not. Only calls with a role in
  // access/method_roles.h are looked at. The guard outlives the server.
  std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> ForeignServices();

 private:
  class Foreign;
  class ForeignCall;
  struct Caller;
  absl::Status Admit(const Credentials& credentials, Role needed, const std::string& method, Caller* caller) const;

  Access* const access_;
  const AccessSettings settings_;
  std::atomic<int64_t> running_{0};
};

}  // namespace wallaby

#endif  // WALLABY_SERVICE_CALL_GUARD_H_
