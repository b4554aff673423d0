// GuardedService: a gRPC service whose every method passes the CallGuard. gRPC is given these instead of the services
// themselves, so that a method which nobody added here is not served at all, rather than served to everybody.
#ifndef WALLABY_SERVICE_GUARDED_SERVICE_H_
#define WALLABY_SERVICE_GUARDED_SERVICE_H_

#include <list>
#include <memory>
#include <string>
#include <utility>

#include "grpcpp/impl/rpc_service_method.h"
#include "grpcpp/impl/service_type.h"
#include "grpcpp/support/method_handler.h"
#include "service/call_guard.h"

namespace wallaby {

template <typename Implementation>
class GuardedService final : public grpc::Service {
 public:
  // `name` is "wallaby.v1.FlowService". Pointers outlive the object.
  GuardedService(std::string name, Implementation* service, CallGuard* guard)
      : name_(std::move(name)), service_(service), guard_(guard) {}

  // The way in which generated code adds methods, with the guard in between.
  template <typename Request, typename Response>
  void Add(const std::string& method_name,
           grpc::Status (Implementation::*method)(grpc::ServerContext*, const Request*, Response*)) {
    const std::string& path = paths_.emplace_back("/" + name_ + "/" + method_name);
    const auto answer = [this, method, &path](GuardedService*, grpc::ServerContext* context, const Request* request,
                                              Response* response) {
      return guard_->Run(path, *context, *request, *response,
                         [&] { return (service_->*method)(context, request, response); });
    };
    using Handler = grpc::internal::RpcMethodHandler<GuardedService, Request, Response, grpc::protobuf::MessageLite,
                                                     grpc::protobuf::MessageLite>;
    // gRPC owns both.
    AddMethod(std::make_unique<grpc::internal::RpcServiceMethod>(path.c_str(), grpc::internal::RpcMethod::NORMAL_RPC,
                                                                 std::make_unique<Handler>(answer, this).release())
                  .release());
  }

 private:
  const std::string name_;
  Implementation* const service_;
  CallGuard* const guard_;
  std::list<std::string> paths_;  // gRPC keeps pointers to them
};

}  // namespace wallaby

#endif  // WALLABY_SERVICE_GUARDED_SERVICE_H_
