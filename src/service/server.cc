#include "service/server.h"

#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/event.h"
#include "google/protobuf/generated_message_reflection.h"
#include "grpc/health/v1/health.pb.h"
#include "grpc/support/log.h"
#include "grpcpp/ext/proto_server_reflection_plugin.h"
#include "grpcpp/grpcpp.h"
#include "grpcpp/health_check_service_interface.h"
#include "service/checkpoint_service.h"
#include "service/ddl_service.h"
#include "service/flow_service.h"
#include "service/grpc_metrics.h"
#include "service/source_service.h"
#include "telemetry/log.h"

namespace wallaby {
namespace {

constexpr int kMaxMessage = 16 << 20;
constexpr absl::Duration kHealthInterval = absl::Seconds(2);
constexpr absl::Duration kFinishLimit = absl::Milliseconds(500);

// gRPC's own messages in our form; its errors are most often about single connections.
void LogOfGrpc(gpr_log_func_args* args) {
  Log(args->severity == GPR_LOG_SEVERITY_ERROR ? LogLevel::kWarn : LogLevel::kDebug, args->message, {{"from", "grpc"}});
}

class GrpcControlServer final : public ControlServer {
 public:
  GrpcControlServer(ControlStore* store, ControlStore* checkpoints, Dispatcher* dispatcher, const Settings& settings)
      : store_(store),
        flows_(store, checkpoints, dispatcher, settings),
        checkpoints_(store, checkpoints, dispatcher),
        sources_(store, dispatcher),
        ddl_(store) {}

  ~GrpcControlServer() override {
    end_.Set();
    if (health_.joinable()) health_.join();
    if (server_ != nullptr) server_->Shutdown(absl::ToChronoTime(absl::Now() + kFinishLimit));
  }

  absl::Status Listen(const std::string& address, bool reflection) {
    gpr_set_log_function(&LogOfGrpc);
    grpc::EnableDefaultHealthCheckService(true);
    // A plugin that is registered once serves every server of the process; there is one.
    google::protobuf::LinkMessageReflection<grpc::health::v1::HealthCheckResponse>();  // so that reflection knows it
    if (reflection) grpc::reflection::InitProtoReflectionServerBuilderPlugin();
    grpc::ServerBuilder builder;
    builder.SetMaxReceiveMessageSize(kMaxMessage);
    builder.SetMaxSendMessageSize(kMaxMessage);
    // Else a second server would share the port in silence, and each would get half of the requests.
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
    builder.AddListeningPort(address, grpc::InsecureServerCredentials(), &port_);
    CountCalls(&builder);
    builder.RegisterService(&flows_);
    builder.RegisterService(&checkpoints_);
    builder.RegisterService(&sources_);
    builder.RegisterService(&ddl_);
    server_ = builder.BuildAndStart();
    if (server_ == nullptr || port_ == 0) {
      return absl::UnavailableError(
          absl::StrCat("cannot listen on ", address,
                       ": the port is in use or the address is not this machine's; set WALLABY_GRPC_LISTEN"));
    }
    TellHealth();
    health_ = std::thread([this] {
      while (!end_.Wait(kHealthInterval)) TellHealth();
    });
    return absl::OkStatus();
  }

  int port() const override { return port_; }

 private:
  void TellHealth() {
    const absl::Status status = store_->ListFlows("", 1).status();
    if (status.ok() != healthy_) {
      healthy_ = status.ok();
      Log(healthy_ ? LogLevel::kInfo : LogLevel::kError,
          healthy_ ? "the control store answers" : "the control store does not answer",
          {{"error", std::string(status.message())}});
    }
    server_->GetHealthCheckService()->SetServingStatus(healthy_);
    for (const char* service : {"wallaby.v1.FlowService", "wallaby.v1.CheckpointService", "wallaby.v1.SourceService",
                                "wallaby.v1.DDLService"}) {
      server_->GetHealthCheckService()->SetServingStatus(service, healthy_);
    }
  }

  ControlStore* const store_;
  FlowServiceImpl flows_;
  CheckpointServiceImpl checkpoints_;
  SourceServiceImpl sources_;
  DdlServiceImpl ddl_;
  std::unique_ptr<grpc::Server> server_;
  int port_ = 0;
  bool healthy_ = true;  // of the health thread, once that runs
  Event end_;
  std::thread health_;
};

}  // namespace

std::string ListenAddress(std::string_view setting) {
  return absl::StartsWith(setting, ":") ? absl::StrCat("[::]", setting) : std::string(setting);
}

bool IsLoopback(std::string_view address) {
  return absl::StartsWith(address, "127.") || absl::StartsWith(address, "localhost:") ||
         absl::StartsWith(address, "[::1]:") || absl::StartsWith(address, "unix:");
}

absl::StatusOr<std::unique_ptr<ControlServer>> ControlServer::Start(ControlStore* store, ControlStore* checkpoints,
                                                                    Dispatcher* dispatcher, const Settings& settings) {
  auto server = std::make_unique<GrpcControlServer>(store, checkpoints, dispatcher, settings);
  const absl::Status listening = server->Listen(ListenAddress(settings.grpc_listen), settings.grpc_reflection);
  if (!listening.ok()) return listening;
  return std::unique_ptr<ControlServer>(std::move(server));
}

}  // namespace wallaby
