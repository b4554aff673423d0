#include "service/grpc_metrics.h"

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/descriptor.h"
#include "grpcpp/grpcpp.h"
#include "grpcpp/support/server_interceptor.h"
#include "telemetry/metric_table.h"
#include "wallaby/v1/services.pb.h"

namespace wallaby {
namespace {

using grpc::experimental::InterceptionHookPoints;
using grpc::experimental::InterceptorBatchMethods;

std::string CodeName(grpc::StatusCode code) {
  return absl::AsciiStrToLower(absl::StatusCodeToString(static_cast<absl::StatusCode>(code)));
}

// The instruments of one method. The code is looked up only for errors.
struct MethodMetrics {
  explicit MethodMetrics(const std::string& name)
      : method(name),
        done(MetricRegistry::Process().GetCounter(kGrpcRequests, {{"method", name}, {"status", "ok"}})),
        failed(MetricRegistry::Process().GetCounter(kGrpcRequests, {{"method", name}, {"status", "error"}})),
        latency(MetricRegistry::Process().GetHistogram(kGrpcLatency, {{"method", name}})) {
    for (const auto code :
         {grpc::INVALID_ARGUMENT, grpc::NOT_FOUND, grpc::FAILED_PRECONDITION, grpc::UNAVAILABLE, grpc::INTERNAL}) {
      Errors(code);
    }
  }
  Counter& Errors(grpc::StatusCode code) const {
    return MetricRegistry::Process().GetCounter(kGrpcErrors, {{"method", method}, {"code", CodeName(code)}});
  }

  const std::string method;
  Counter& done;
  Counter& failed;
  Histogram& latency;
};

class CallInterceptor final : public grpc::experimental::Interceptor {
 public:
  explicit CallInterceptor(const MethodMetrics& metrics)
      : metrics_(metrics), began_(std::chrono::steady_clock::now()) {}

  void Intercept(InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_STATUS)) {
      const grpc::Status status = methods->GetSendStatus();
      (status.ok() ? metrics_.done : metrics_.failed).Add();
      if (!status.ok()) metrics_.Errors(status.error_code()).Add();
      metrics_.latency.Observe(std::chrono::duration<double>(std::chrono::steady_clock::now() - began_).count());
    }
    methods->Proceed();
  }

 private:
  const MethodMetrics& metrics_;
  const std::chrono::steady_clock::time_point began_;
};

class CallInterceptors final : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  CallInterceptors() : other_("other") {
    const google::protobuf::FileDescriptor* file = v1::CreateFlowRequest::descriptor()->file();
    for (int i = 0; i < file->service_count(); ++i) {
      const google::protobuf::ServiceDescriptor* service = file->service(i);
      for (int j = 0; j < service->method_count(); ++j) {
        const std::string& method = service->method(j)->name();
        by_path_.try_emplace(absl::StrCat("/", service->full_name(), "/", method),
                             absl::StrCat(service->name(), "/", method));
      }
    }
  }

  grpc::experimental::Interceptor* CreateServerInterceptor(grpc::experimental::ServerRpcInfo* info) override {
    const auto found = by_path_.find(info->method());
    // gRPC owns it.
    return std::make_unique<CallInterceptor>(found == by_path_.end() ? other_ : found->second).release();
  }

 private:
  MethodMetrics other_;
  std::map<std::string, MethodMetrics> by_path_;
};

}  // namespace

std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> CallMetrics() {
  return std::make_unique<CallInterceptors>();
}

}  // namespace wallaby
