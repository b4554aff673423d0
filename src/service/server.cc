#include "service/server.h"

#include <algorithm>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "access/audit.h"
#include "access/listener.h"
#include "base/event.h"
#include "base/status.h"
#include "google/protobuf/generated_message_reflection.h"
#include "grpc/health/v1/health.pb.h"
#include "grpc/support/log.h"
#include "grpcpp/ext/proto_server_reflection_plugin.h"
#include "grpcpp/grpcpp.h"
#include "grpcpp/health_check_service_interface.h"
#include "grpcpp/resource_quota.h"
#include "service/call_guard.h"
#include "service/checkpoint_service.h"
#include "service/ddl_service.h"
#include "service/dead_letter_service.h"
#include "service/flow_service.h"
#include "service/grpc_metrics.h"
#include "service/guarded_service.h"
#include "service/server_credentials.h"
#include "service/source_service.h"
#include "service/stream_catalog.h"
#include "service/stream_lag.h"
#include "service/stream_service.h"
#include "telemetry/log.h"

namespace wallaby {
namespace {

constexpr absl::Duration kLagInterval = absl::Seconds(15);
constexpr absl::Duration kHealthInterval = absl::Seconds(2);
constexpr absl::Duration kFinishLimit = absl::Milliseconds(500);
// Reflection and health stay open beside a client's calls.
constexpr int kStreamsBeside = 16;
// For a connection to say what it wants to speak.
constexpr int kHandshakeMilliseconds = 10'000;
// What requests may take together while they come in, before anybody knows who sends them: beyond, gRPC reads on only
// as memory is given back, and ends calls that hold it. Of the largest request some always fit.
constexpr int64_t kReceiveMemory = 128 << 20;
constexpr int64_t kLargestAtOnce = 4;
// For a connection without a call, and for one in all: else one that begins a request and waits would stay for ever.
// The longest call is an ApplyDDL, for which a client waits half an hour.
constexpr int kIdleMilliseconds = 5 * 60'000;
constexpr int kAgeMilliseconds = 60 * 60'000;
constexpr int kAgeGraceMilliseconds = 31 * 60'000;
// A peer that does not answer is gone, as behind a firewall that forgot the connection.
constexpr int kKeepaliveMilliseconds = 5 * 60'000;
constexpr int kKeepaliveTimeoutMilliseconds = 20'000;
// gRPC's own threads, beside one for each call.
constexpr int kThreadsBeside = 32;

// gRPC's own messages in our form; its errors are most often about single connections.
void LogOfGrpc(gpr_log_func_args* args) {
  Log(args->severity == GPR_LOG_SEVERITY_ERROR ? LogLevel::kWarn : LogLevel::kDebug, args->message, {{"from", "grpc"}});
}

class GrpcControlServer final : public ControlServer {
 public:
  GrpcControlServer(ControlStore* store, ControlStore* checkpoints, Dispatcher* dispatcher, Access* access,
                    const Settings& settings, const SlotWatch* slots)
      : store_(store),
        guard_(access, settings.access),
        catalog_(store, settings.postgres_dsn),
        stream_lag_(&catalog_, kLagInterval),
        flows_(store, checkpoints, dispatcher, settings, slots, &stream_lag_),
        checkpoints_(store, checkpoints, dispatcher),
        sources_(store, checkpoints, dispatcher, settings.ddl),
        ddl_(store),
        dead_letters_(store),
        streams_(&catalog_, settings.access) {
    AddMethods();
  }

  ~GrpcControlServer() override {
    end_.Set();
    if (health_.joinable()) health_.join();
    catalog_.End();  // who waits for messages is answered
    if (server_ != nullptr) server_->Shutdown(absl::ToChronoTime(absl::Now() + kFinishLimit));
  }

  absl::Status Listen(const std::string& address, const Settings& settings) {
    ASSIGN_OR_RETURN(const auto credentials, MakeServerCredentials(settings.access));
    gpr_set_log_function(&LogOfGrpc);
    grpc::EnableDefaultHealthCheckService(true);
    // A plugin that is registered once serves every server of the process; there is one.
    google::protobuf::LinkMessageReflection<grpc::health::v1::HealthCheckResponse>();  // so that reflection knows it
    if (settings.grpc_reflection) grpc::reflection::InitProtoReflectionServerBuilderPlugin();
    grpc::ServerBuilder builder;
    const int max_message = static_cast<int>(settings.access.max_message);
    builder.SetMaxReceiveMessageSize(max_message);
    builder.SetMaxSendMessageSize(max_message);
    // Of one connection; the guard counts over all.
    builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS,
                               static_cast<int>(settings.access.max_calls) + kStreamsBeside);
    builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, kHandshakeMilliseconds);
    BoundConnections(settings.access, &builder);
    // Else a second server would share the port in silence, and each would get half of the requests.
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
    builder.AddListeningPort(address, credentials, &port_);
    std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> interceptors;
    interceptors.push_back(CallMetrics());
    interceptors.push_back(guard_.ForeignServices());
    builder.experimental().SetInterceptorCreators(std::move(interceptors));
    builder.RegisterService(&guarded_flows_);
    builder.RegisterService(&guarded_checkpoints_);
    builder.RegisterService(&guarded_sources_);
    builder.RegisterService(&guarded_ddl_);
    builder.RegisterService(&guarded_dead_letters_);
    builder.RegisterService(&guarded_streams_);
    server_ = builder.BuildAndStart();
    if (server_ == nullptr || port_ == 0) {
      return absl::UnavailableError(
          absl::StrCat("cannot listen on ", address,
                       ": the port is in use or the address is not this machine's; set WALLABY_GRPC_LISTEN"));
    }
    TellHealth();
    health_ = std::thread([this] {
      while (!end_.Wait(kHealthInterval)) {
        TellHealth();
        AuditLeftOut();
      }
    });
    return absl::OkStatus();
  }

  int port() const override { return port_; }

 private:
  static void BoundConnections(const AccessSettings& access, grpc::ServerBuilder* builder) {
    grpc::ResourceQuota quota("wallaby");
    quota.Resize(static_cast<size_t>(std::max(kReceiveMemory, kLargestAtOnce * access.max_message)));
    quota.SetMaxThreads(static_cast<int>(access.max_calls + access.max_pulls) + kThreadsBeside);
    builder->SetResourceQuota(quota);
    builder->AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS, kIdleMilliseconds);
    builder->AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_MS, kAgeMilliseconds);
    builder->AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_GRACE_MS, kAgeGraceMilliseconds);
    builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMilliseconds);
    builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMilliseconds);
  }

  // Each method of each service, once. The guard looks its role up in access/method_roles.cc.
  void AddMethods() {
    guarded_flows_.Add("CreateFlow", &FlowServiceImpl::CreateFlow);
    guarded_flows_.Add("UpdateFlow", &FlowServiceImpl::UpdateFlow);
    guarded_flows_.Add("StartFlow", &FlowServiceImpl::StartFlow);
    guarded_flows_.Add("StopFlow", &FlowServiceImpl::StopFlow);
    guarded_flows_.Add("ResumeFlow", &FlowServiceImpl::ResumeFlow);
    guarded_flows_.Add("PauseFlow", &FlowServiceImpl::PauseFlow);
    guarded_flows_.Add("GetFlow", &FlowServiceImpl::GetFlow);
    guarded_flows_.Add("RunFlowOnce", &FlowServiceImpl::RunFlowOnce);
    guarded_flows_.Add("ListFlows", &FlowServiceImpl::ListFlows);
    guarded_flows_.Add("DeleteFlow", &FlowServiceImpl::DeleteFlow);
    guarded_flows_.Add("ValidateFlow", &FlowServiceImpl::ValidateFlow);
    guarded_flows_.Add("ExplainLag", &FlowServiceImpl::ExplainLag);
    guarded_checkpoints_.Add("GetCheckpoint", &CheckpointServiceImpl::GetCheckpoint);
    guarded_checkpoints_.Add("PutCheckpoint", &CheckpointServiceImpl::PutCheckpoint);
    guarded_checkpoints_.Add("ListCheckpoints", &CheckpointServiceImpl::ListCheckpoints);
    guarded_sources_.Add("ListSlots", &SourceServiceImpl::ListSlots);
    guarded_sources_.Add("GetSlot", &SourceServiceImpl::GetSlot);
    guarded_sources_.Add("DropSlot", &SourceServiceImpl::DropSlot);
    guarded_sources_.Add("ListPublicationTables", &SourceServiceImpl::ListPublicationTables);
    guarded_sources_.Add("SyncPublication", &SourceServiceImpl::SyncPublication);
    guarded_sources_.Add("DiagnoseFlow", &SourceServiceImpl::DiagnoseFlow);
    guarded_sources_.Add("DiagnoseDefinition", &SourceServiceImpl::DiagnoseDefinition);
    guarded_ddl_.Add("ListPendingDDL", &DdlServiceImpl::ListPendingDDL);
    guarded_ddl_.Add("ListDDL", &DdlServiceImpl::ListDDL);
    guarded_ddl_.Add("GetDDL", &DdlServiceImpl::GetDDL);
    guarded_ddl_.Add("ApproveDDL", &DdlServiceImpl::ApproveDDL);
    guarded_ddl_.Add("RejectDDL", &DdlServiceImpl::RejectDDL);
    guarded_ddl_.Add("ApplyDDL", &DdlServiceImpl::ApplyDDL);
    guarded_ddl_.Add("MarkDDLApplied", &DdlServiceImpl::MarkDDLApplied);
    guarded_dead_letters_.Add("ListDeadLetters", &DeadLetterServiceImpl::ListDeadLetters);
    guarded_dead_letters_.Add("GetDeadLetter", &DeadLetterServiceImpl::GetDeadLetter);
    guarded_dead_letters_.Add("ReplayDeadLetters", &DeadLetterServiceImpl::ReplayDeadLetters);
    guarded_dead_letters_.Add("DropDeadLetters", &DeadLetterServiceImpl::DropDeadLetters);
    guarded_streams_.Add("Pull", &StreamServiceImpl::Pull);
    guarded_streams_.Add("Ack", &StreamServiceImpl::Ack);
    guarded_streams_.Add("Replay", &StreamServiceImpl::Replay);
    guarded_streams_.Add("ListStreams", &StreamServiceImpl::ListStreams);
    guarded_streams_.Add("ListStreamGroups", &StreamServiceImpl::ListStreamGroups);
    guarded_streams_.Add("DeleteStreamGroup", &StreamServiceImpl::DeleteStreamGroup);
  }

  void TellHealth() {
    const absl::Status status = store_->Ping();
    if (status.ok() != healthy_) {
      healthy_ = status.ok();
      Log(healthy_ ? LogLevel::kInfo : LogLevel::kError,
          healthy_ ? "the control store answers" : "the control store does not answer",
          {{"error", std::string(status.message())}});
    }
    server_->GetHealthCheckService()->SetServingStatus(healthy_);
    for (const char* service : {"wallaby.v1.FlowService", "wallaby.v1.CheckpointService", "wallaby.v1.SourceService",
                                "wallaby.v1.DDLService", "wallaby.v1.StreamService", "wallaby.v1.DeadLetterService"}) {
      server_->GetHealthCheckService()->SetServingStatus(service, healthy_);
    }
  }

  ControlStore* const store_;
  CallGuard guard_;
  StreamCatalog catalog_;
  StreamLag stream_lag_;
  FlowServiceImpl flows_;
  CheckpointServiceImpl checkpoints_;
  SourceServiceImpl sources_;
  DdlServiceImpl ddl_;
  DeadLetterServiceImpl dead_letters_;
  StreamServiceImpl streams_;
  GuardedService<FlowServiceImpl> guarded_flows_{"wallaby.v1.FlowService", &flows_, &guard_};
  GuardedService<CheckpointServiceImpl> guarded_checkpoints_{"wallaby.v1.CheckpointService", &checkpoints_, &guard_};
  GuardedService<SourceServiceImpl> guarded_sources_{"wallaby.v1.SourceService", &sources_, &guard_};
  GuardedService<DdlServiceImpl> guarded_ddl_{"wallaby.v1.DDLService", &ddl_, &guard_};
  GuardedService<DeadLetterServiceImpl> guarded_dead_letters_{"wallaby.v1.DeadLetterService", &dead_letters_, &guard_};
  GuardedService<StreamServiceImpl> guarded_streams_{"wallaby.v1.StreamService", &streams_, &guard_};
  std::unique_ptr<grpc::Server> server_;
  int port_ = 0;
  bool healthy_ = true;  // of the health thread, once that runs
  Event end_;
  std::thread health_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<ControlServer>> ControlServer::Start(ControlStore* store, ControlStore* checkpoints,
                                                                    Dispatcher* dispatcher, Access* access,
                                                                    const Settings& settings, const SlotWatch* slots) {
  const std::string address = ListenAddress(settings.grpc_listen);
  RETURN_IF_ERROR(CheckListener(settings.access, "WALLABY_GRPC_LISTEN", address, ListenerKind::kControl));
  auto server = std::make_unique<GrpcControlServer>(store, checkpoints, dispatcher, access, settings, slots);
  RETURN_IF_ERROR(server->Listen(address, settings));
  return std::unique_ptr<ControlServer>(std::move(server));
}

}  // namespace wallaby
