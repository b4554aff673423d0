// wallaby-worker: runs one flow in this process.
#include <sys/prctl.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/status.h"
#include "cli/flags.h"
#include "destination/null/null_destination.h"
#include "destination/pgstream/pgstream_destination.h"
#include "destination/postgres/postgres_destination.h"
#include "destination/registry.h"
#include "flow/settings.h"
#include "main/arm_failpoints.h"
#include "pipeline/worker.h"
#include "store/stores.h"
#include "telemetry/log.h"
#include "telemetry/otlp.h"
#include "telemetry/trace_events.h"

namespace wallaby {
namespace {

Worker* running = nullptr;
volatile std::sig_atomic_t signalled = 0;

// The first signal asks for a clean end; a second one does not wait for it. What is durable stays durable either way.
void OnSignal(int) {
  if (signalled != 0) _Exit(kExitFailed);
  signalled = 1;
  running->Stop();
}

std::optional<SpoolOptions> SpoolOf(const Settings& settings) {
  if (settings.spool_dir.empty()) return std::nullopt;
  return SpoolOptions{.root = settings.spool_dir, .limit = settings.spool_limit, .key = settings.spool_key};
}

int Fail(const absl::Status& status) {
  std::fprintf(stderr, "wallaby-worker: %s\n", std::string(status.message()).c_str());
  return kExitFailed;
}

struct CommandLine {
  std::string config;
  std::string mode = "cdc";
  std::string start_lsn;
  int parent = 0;
  WorkerOptions options;
};

std::optional<int> ParseCommandLine(int argc, char** argv, CommandLine* line) {
  Flags flags("wallaby-worker", "runs one flow until it is stopped");
  flags.String("flow-id", &line->options.flow_id, "ID", "the flow to run");
  flags.Require("flow-id");
  flags.String("config", &line->config, "FILE", "settings file (YAML); the environment wins over it");
  flags.String(
      "mode", &line->mode, "cdc|backfill|spool",
      "cdc: copy what is due, then stream; backfill: copy tables again, then end; spool: deliver nothing, only "
      "read the slot into the spool while the flow is paused or failed");
  flags.Int("max-empty-reads", &line->options.max_empty_reads, "N",
            "end after N polls in a row that brought nothing; 1: deliver what is waiting, then end; 0: never");
  flags.List("tables", &line->options.tables, "TABLE,...", "backfill: only these tables (schema.table)");
  flags.List("schemas", &line->options.schemas, "SCHEMA,...", "backfill: only tables of these schemas");
  flags.String("start-lsn", &line->start_lsn, "LSN",
               "begin here instead of at the checkpoint; changes before it are left out");
  flags.Int("snapshot-workers", &line->options.snapshot_workers, "N",
            "connections that copy in parallel; 0: as the flow says");
  flags.String("partition-column", &line->options.partition.column, "COLUMN",
               "cut large tables by this column instead of by primary key or ctid");
  flags.Int("partition-count", &line->options.partition.count, "N", "parts to cut a large table into; 0: by its size");
  flags.Int("parent", &line->parent, "PID", "end when this process, which started it, has ended; 0: live on");
  if (const auto status = flags.Parse(argc, argv)) return status;
  if (line->mode == "backfill") {
    line->options.mode = WorkerMode::kBackfill;
  } else if (line->mode == "spool") {
    line->options.mode = WorkerMode::kSpool;
  } else if (line->mode != "cdc") {
    return flags.UsageError("-mode is '" + line->mode + "'; allowed: cdc, backfill or spool");
  }
  if (line->options.mode != WorkerMode::kBackfill &&
      (!line->options.tables.empty() || !line->options.schemas.empty())) {
    return flags.UsageError("-tables and -schemas go with -mode backfill");
  }
  if (line->options.max_empty_reads < 0 || line->options.snapshot_workers < 0 || line->options.partition.count < 0) {
    return flags.UsageError("-max-empty-reads, -snapshot-workers and -partition-count are 0 or more");
  }
  if (!line->start_lsn.empty()) {
    auto lsn = Lsn::Parse(line->start_lsn);
    if (!lsn.ok()) return flags.UsageError("-start-lsn: " + std::string(lsn.status().message()));
    line->options.start_lsn = *lsn;
  }
  return std::nullopt;
}

// From here on the parent's end asks for a clean end. False when it has ended already.
bool FollowParent(int parent) {
  if (parent <= 0) return true;
  // Comes once for each thread of the parent that dies, so it must not count as a second request.
  struct sigaction action = {};
  action.sa_handler = [](int) { running->Stop(); };
  sigaction(SIGUSR1, &action, nullptr);
  return prctl(PR_SET_PDEATHSIG, SIGUSR1) == 0 && getppid() == parent;
}

int Main(int argc, char** argv) {
  CommandLine line;
  if (const auto status = ParseCommandLine(argc, argv, &line)) return *status;
  SetLogFlowId(line.options.flow_id);
  if (const absl::Status armed = ArmFailpointsFromEnvironment(); !armed.ok()) return Fail(armed);
  auto settings = LoadSettings(line.config);
  if (!settings.ok()) return Fail(settings.status());
  if (const absl::Status trace = OpenTraceFile(settings->trace_path); !trace.ok()) return Fail(trace);
  auto otlp = Otlp::Start(settings->otel_metrics_interval, {"wallaby-worker", std::string(WallabyVersion()),
                                                            [] { return MetricRegistry::Process().Collect(); }});
  if (!otlp.ok()) return Fail(otlp.status());
  line.options.checkpoint_backend = CheckpointBackend(*settings);
  line.options.spool = SpoolOf(*settings);
  line.options.spool_policy = settings->spool_policy;
  auto stores = OpenStores(*settings);
  if (!stores.ok()) return Fail(stores.status());

  RegisterDestination("null", MakeNullDestination);
  RegisterDestination("postgres", MakePostgresDestination);
  RegisterPgstreamDestination(settings->postgres_dsn);
  Worker worker(stores->control.get(), stores->checkpoints(), Clock::Real(), settings->memory_limit, settings->ddl,
                line.options);
  running = &worker;
  struct sigaction action = {};
  action.sa_handler = OnSignal;
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGINT, &action, nullptr);
  if (!FollowParent(line.parent)) return Fail(absl::CancelledError("the process that started this worker has ended"));
  // A log reader or a peer that goes away shows as an error of the write, not as the process's end.
  std::signal(SIGPIPE, SIG_IGN);
  const absl::Status status = worker.Run();
  return status.ok() ? kExitDone : Fail(status);
}

}  // namespace
}  // namespace wallaby

int main(int argc, char** argv) {
  return wallaby::Main(argc, argv);
}
