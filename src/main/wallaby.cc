// wallaby: the control plane. Serves gRPC and keeps a worker running for each flow that should run.
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "cli/flags.h"
#include "destination/null/null_destination.h"
#include "destination/postgres/postgres_destination.h"
#include "destination/registry.h"
#include "dispatch/dispatcher.h"
#include "dispatch/kubernetes/kubernetes_dispatch.h"
#include "flow/settings.h"
#include "main/data_dir_lock.h"
#include "service/server.h"
#include "service/server_telemetry.h"
#include "store/stores.h"
#include "telemetry/log.h"
#include "telemetry/metric_table.h"
#include "telemetry/otlp.h"
#include "telemetry/trace_events.h"

namespace wallaby {
namespace {

// A store that hangs must not keep the server from ending; whatever is cut off is as after a crash.
constexpr unsigned kEndLimitSeconds = 2;

void WarnOfOpenListener(const Settings& settings) {
  if (!IsLoopback(ListenAddress(settings.grpc_listen))) {
    Log(LogLevel::kWarn, "the listener can be reached from other machines, without TLS and without a password",
        {{"listen", settings.grpc_listen}, {"remedy", "listen on 127.0.0.1, or let a proxy with TLS stand in front"}});
  }
}

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

absl::StatusOr<std::unique_ptr<Dispatcher>> MakeDispatcher(const Settings& settings, ControlStore* store) {
  if (settings.kubernetes.enabled) {
    KubernetesDispatcherOptions options;
    options.settings = settings.kubernetes;
    RETURN_IF_ERROR(CompleteJobEnvironment(settings, &options.settings));
    return MakeKubernetesDispatcher(store, std::move(options));
  }
  LocalDispatcherOptions options;
  options.config_file = settings.config_file;
  return MakeLocalDispatcher(store, options);
}

absl::Status Serve(const std::string& config_file) {
  ASSIGN_OR_RETURN(const Settings settings, LoadSettings(config_file));
  WarnOfOpenListener(settings);
  // Its workers write there; a place where nobody can is told now.
  RETURN_IF_ERROR(OpenTraceFile(settings.trace_path));
  std::unique_ptr<DataDirLock> lock;
  if (settings.postgres_dsn.empty()) {
    ASSIGN_OR_RETURN(lock, DataDirLock::Take(settings.data_dir));
  }
  const sigset_t end_signals = BlockEndSignals();
  std::signal(SIGPIPE, SIG_IGN);
  ASSIGN_OR_RETURN(const Stores stores, OpenStores(settings));
  // Schema changes are applied by this process; the other destinations are modules.
  RegisterDestination("null", MakeNullDestination);
  RegisterDestination("postgres", MakePostgresDestination);
  ASSIGN_OR_RETURN(const std::unique_ptr<Dispatcher> dispatcher, MakeDispatcher(settings, stores.control.get()));
  // Listens first: a server that cannot must not start workers.
  ASSIGN_OR_RETURN(const std::unique_ptr<ControlServer> server,
                   ControlServer::Start(stores.control.get(), stores.checkpoints(), dispatcher.get(), settings));
  MetricRegistry::Process().GetGauge(kBuildInfo, {{"version", std::string(WallabyVersion())}}).Set(1);
  ASSIGN_OR_RETURN(const std::unique_ptr<ServerTelemetry> telemetry,
                   ServerTelemetry::Start(stores.control.get(), stores.checkpoints(), settings));
  // Workers send theirs themselves.
  const auto collect = [&telemetry] { return telemetry->Collect(FlowMetrics::Workers::kLeaveOut); };
  ASSIGN_OR_RETURN(const std::unique_ptr<Otlp> otlp,
                   Otlp::Start(settings.otel_metrics_interval, {"wallaby", std::string(WallabyVersion()), collect}));
  RETURN_IF_ERROR(dispatcher->Start());
  Log(LogLevel::kInfo, "serving",
      {{"version", std::string(WallabyVersion())},
       {"listen", settings.grpc_listen},
       {"port", absl::StrCat(server->port())},
       {"store", settings.postgres_dsn.empty() ? absl::StrCat("sqlite in ", settings.data_dir) : "postgres"}});
  int number = 0;
  sigwait(&end_signals, &number);
  Log(LogLevel::kInfo, "ending; workers go on", {{"signal", absl::StrCat(number)}});
  EndBy(kEndLimitSeconds);
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
