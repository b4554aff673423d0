// wallaby: the control plane. Serves gRPC and keeps a worker running for each flow that should run.
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "access/access.h"
#include "base/status.h"
#include "cli/flags.h"
#include "destination/null/null_destination.h"
#include "destination/pgstream/pgstream_destination.h"
#include "destination/postgres/postgres_destination.h"
#include "destination/registry.h"
#include "dispatch/dbos/dbos_dispatcher.h"
#include "dispatch/dispatcher.h"
#include "dispatch/kubernetes/kubernetes_dispatch.h"
#include "flow/settings.h"
#include "main/arm_failpoints.h"
#include "main/data_dir_lock.h"
#include "service/admin_http.h"
#include "service/server.h"
#include "service/server_telemetry.h"
#include "spool/spool.h"
#include "store/stores.h"
#include "telemetry/log.h"
#include "telemetry/metric_table.h"
#include "telemetry/otlp.h"
#include "telemetry/trace_events.h"

namespace wallaby {
namespace {

// A store that hangs must not keep the server from ending; whatever is cut off is as after a crash.
constexpr unsigned kEndLimitSeconds = 2;
// Workers that end with the server need a moment to make durable what they have read.
constexpr unsigned kEndLimitWithWorkersSeconds = 20;

// SIGTERM and SIGINT are waited for instead of handled, so every thread must have them blocked.
sigset_t BlockEndSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return signals;
}

void EndBy(unsigned seconds) {
  std::signal(SIGALRM, [](int) { _exit(kExitDone); });
  alarm(seconds);
}

struct Dispatch {
  std::unique_ptr<Dispatcher> dispatcher;
  HttpFallback admin;  // of the admin listener; may be none
  bool workers_end_with_server = false;
};

absl::StatusOr<Dispatch> MakeDbosDispatch(const Stores& stores, const Settings& settings) {
  if (settings.postgres_dsn.empty()) {
    return absl::FailedPreconditionError(
        "setting WALLABY_DBOS_ENABLED: needs WALLABY_POSTGRES_DSN, because workflows are kept in the control store's "
        "PostgreSQL database, in schema dbos");
  }
  DbosOptions options;
  options.dsn = settings.postgres_dsn;
  options.application = settings.dbos_app;
  options.queue = settings.dbos_queue;
  options.schedule = settings.dbos_schedule;
  options.spools = !settings.spool_dir.empty();
  options.run.config_file = settings.config_file;
  options.run.max_retries = settings.dbos_max_retries;
  auto dispatcher = std::make_unique<DbosDispatcher>(stores.control.get(), stores.checkpoints(), options);
  // The first request may come before the dispatcher starts.
  RETURN_IF_ERROR(dispatcher->Prepare());
  DbosAdmin* const admin = &dispatcher->admin();
  return Dispatch{std::move(dispatcher),
                  [admin](const ServedRequest& request) -> std::optional<HttpAnswer> {
                    DbosAnswer answer = admin->Answer(request.method, request.path, request.body);
                    if (answer.body.empty()) return HttpAnswer{answer.status, "", ""};
                    return HttpAnswer{answer.status, answer.plain ? "text/plain; charset=utf-8" : "application/json",
                                      answer.body + "\n"};
                  },
                  true};
}

absl::StatusOr<Dispatch> MakeDispatch(const Stores& stores, const Settings& settings) {
  if (settings.kubernetes.enabled) {
    KubernetesDispatcherOptions options;
    options.settings = settings.kubernetes;
    options.spools = !settings.spool_dir.empty();
    RETURN_IF_ERROR(CompleteJobEnvironment(settings, &options.settings));
    ASSIGN_OR_RETURN(std::unique_ptr<Dispatcher> dispatcher,
                     MakeKubernetesDispatcher(stores.control.get(), std::move(options)));
    return Dispatch{std::move(dispatcher), nullptr, false};
  }
  if (settings.dbos_enabled) return MakeDbosDispatch(stores, settings);
  LocalDispatcherOptions options;
  options.spools = !settings.spool_dir.empty();
  options.config_file = settings.config_file;
  return Dispatch{MakeLocalDispatcher(stores.control.get(), options), nullptr, false};
}

// The listener of WALLABY_DBOS_ADMIN_PORT; null when it is not set or DBOS is off.
absl::StatusOr<std::unique_ptr<AdminHttp>> StartDbosAdmin(Access* access, const Settings& settings,
                                                          const HttpFallback& admin) {
  if (!settings.dbos_enabled || settings.dbos_admin_listen.empty()) return nullptr;
  return AdminHttp::Start({"WALLABY_DBOS_ADMIN_PORT", ListenAddress(settings.dbos_admin_listen)}, access,
                          settings.access, {}, admin);
}

// A place where nobody can write is told now, not by each flow. Kubernetes' Jobs have volumes of their own.
absl::Status CheckSpoolDir(const Settings& settings) {
  if (settings.spool_dir.empty() || settings.kubernetes.enabled) return absl::OkStatus();
  const absl::Status status = CheckSpoolRoot(settings.spool_dir);
  // A disk that is full now is another matter: flows hold then, and say so.
  if (status.ok() || absl::IsResourceExhausted(status)) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("setting WALLABY_SPOOL_DIR: ", status.message(), "; name a folder that this user may write"));
}

absl::Status Serve(const std::string& config_file) {
  RETURN_IF_ERROR(ArmFailpointsFromEnvironment());
  ASSIGN_OR_RETURN(const Settings settings, LoadSettings(config_file));
  ASSIGN_OR_RETURN(const std::unique_ptr<Access> access, Access::Make(settings.access));
  // Workers, which inherit the environment, have no use for them.
  unsetenv("WALLABY_TOKENS");
  // Its workers write there; a place where nobody can is told now.
  RETURN_IF_ERROR(OpenTraceFile(settings.trace_path));
  RETURN_IF_ERROR(CheckSpoolDir(settings));
  std::unique_ptr<DataDirLock> lock;
  if (settings.postgres_dsn.empty()) {
    ASSIGN_OR_RETURN(lock, DataDirLock::Take(settings.data_dir));
  }
  const sigset_t end_signals = BlockEndSignals();
  std::signal(SIGPIPE, SIG_IGN);
  ASSIGN_OR_RETURN(const Stores stores,
                   OpenStores(settings, settings.secret_key_lost ? KeyUse::kReplace : KeyUse::kAdopt));
  if (settings.secret_key_lost) {
    Log(LogLevel::kWarn, "WALLABY_SECRET_KEY_LOST is set: take it out before the next start, else any key is taken");
  }
  if (stores.sealed > 0) {
    Log(LogLevel::kWarn, "flows that were stored in clear are sealed with WALLABY_SECRET_KEY now",
        {{"flows", absl::StrCat(stores.sealed)}});
  }
  // Schema changes are applied by this process; the other destinations are modules.
  RegisterDestination("null", MakeNullDestination);
  RegisterDestination("postgres", MakePostgresDestination);
  RegisterPgstreamDestination(settings.postgres_dsn);
  ASSIGN_OR_RETURN(const Dispatch dispatch, MakeDispatch(stores, settings));
  MetricRegistry::Process().GetGauge(kBuildInfo, {{"version", std::string(WallabyVersion())}}).Set(1);
  ASSIGN_OR_RETURN(
      const std::unique_ptr<ServerTelemetry> telemetry,
      ServerTelemetry::Start(stores.control.get(), stores.checkpoints(), access.get(), settings, dispatch.admin));
  // Listens first: a server that cannot must not start workers.
  ASSIGN_OR_RETURN(const std::unique_ptr<ControlServer> server,
                   ControlServer::Start(stores.control.get(), stores.checkpoints(), dispatch.dispatcher.get(),
                                        access.get(), settings, telemetry->slots()));
  ASSIGN_OR_RETURN(const std::unique_ptr<AdminHttp> dbos_admin, StartDbosAdmin(access.get(), settings, dispatch.admin));
  // Workers send theirs themselves.
  const auto collect = [&telemetry] { return telemetry->Collect(FlowMetrics::Workers::kLeaveOut); };
  ASSIGN_OR_RETURN(const std::unique_ptr<Otlp> otlp,
                   Otlp::Start(settings.otel_metrics_interval, {"wallaby", std::string(WallabyVersion()), collect}));
  RETURN_IF_ERROR(dispatch.dispatcher->Start());
  Log(LogLevel::kInfo, "serving",
      {{"version", std::string(WallabyVersion())},
       {"listen", settings.grpc_listen},
       {"port", absl::StrCat(server->port())},
       {"store", settings.postgres_dsn.empty() ? absl::StrCat("sqlite in ", settings.data_dir) : "postgres"}});
  int number = 0;
  sigwait(&end_signals, &number);
  const bool with_workers = dispatch.workers_end_with_server;
  Log(LogLevel::kInfo, with_workers ? "ending; workers end too" : "ending; workers go on",
      {{"signal", absl::StrCat(number)}});
  EndBy(with_workers ? kEndLimitWithWorkersSeconds : kEndLimitSeconds);
  return absl::OkStatus();
}

int Main(int argc, char** argv) {
  std::string config_file;
  Flags flags("wallaby", "serves the control plane and runs the workers of flows");
  flags.String("config", &config_file, "FILE", "settings file (YAML); the environment wins over it");
  if (const std::optional<int> status = flags.Parse(argc, argv)) return *status;
  const absl::Status status = Serve(config_file);
  if (status.ok()) return kExitDone;
  std::fprintf(stderr, "wallaby: %s\n", std::string(status.message()).c_str());
  return kExitFailed;
}

}  // namespace
}  // namespace wallaby

int main(int argc, char** argv) {
  return wallaby::Main(argc, argv);
}
