// DbosDispatcher: runs of flows are durable workflows in the DBOS system database, which is the control store's
// PostgreSQL. Any server on it takes them off the queue, and clients of the DBOS SDKs can list, cancel, resume and fork
// them, or queue one.
//
// The control store says what should be, as for every dispatcher: a flow in `running` whose run ended gets the next
// one, unless somebody cancelled that run or it was recovered too often; with a schedule, the next tick brings it.
#ifndef WALLABY_DISPATCH_DBOS_DBOS_DISPATCHER_H_
#define WALLABY_DISPATCH_DBOS_DBOS_DISPATCHER_H_

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "base/backoff.h"
#include "base/event.h"
#include "dispatch/dbos/admin.h"
#include "dispatch/dbos/database.h"
#include "dispatch/dbos/executor.h"
#include "dispatch/dbos/flow_runs.h"
#include "dispatch/dbos/scheduler.h"
#include "dispatch/dbos/store.h"
#include "dispatch/dispatcher.h"

namespace wallaby {

struct DbosOptions {
  std::string dsn;
  std::string application = "wallaby";
  std::string queue = "wallaby";
  std::string schedule;  // "": none
  DbosRunOptions run;    // run.worker "": as WorkerProgram() finds it
  DbosExecutorOptions executor;
  bool spools = false;  // there is a spool
  // How often the store is compared with what runs.
  absl::Duration review_interval = absl::Seconds(5);
  absl::Duration backoff_base = absl::Seconds(1);
  absl::Duration backoff_cap = absl::Seconds(10);
};

class DbosDispatcher final : public Dispatcher {
 public:
  // `store` holds flows and leases, `checkpoints` the checkpoints (often the same); both outlive it.
  DbosDispatcher(ControlStore* store, ControlStore* checkpoints, DbosOptions options);
  // Hands the runs back to the queue and ends their workers.
  ~DbosDispatcher() override;

  // Sees to it that the system database is there, so that requests may come. FAILED_PRECONDITION, without a write, when
  // it is of another version.
  absl::Status Prepare();
  // Prepares too.
  absl::Status Start() override;
  absl::Status Ensure(const std::string& flow_id, const DispatchOptions& options) override;
  void Stop(const std::string& flow_id) override;
  void Restart(const std::string& flow_id) override;
  bool IsActive(const std::string& flow_id) override;

  DbosAdmin& admin() { return admin_; }

 private:
  // A flow in `running` without a run.
  struct Missing {
    explicit Missing(const DbosOptions& options) : backoff(options.backoff_base, options.backoff_cap) {}
    Backoff backoff;
    absl::Duration due;      // monotonic; zero: not missing now
    absl::Duration queued;   // monotonic; when its last run was
    std::string left_alone;  // the run that somebody ended on purpose, once it was told
  };

  // False when it could not be done; the review tries again.
  bool CancelRuns(const std::string& flow_id, int* cancelled);
  // Whether the flow is `stopped` now, or somebody has moved it.
  bool SettleStopping(const std::string& flow_id);
  void ReviewLoop();
  // Whether some flow is still stopping.
  absl::StatusOr<bool> Review();
  absl::Status ReviewRunning(const StoredFlow& flow);
  bool IsLeftAlone(const StoredFlow& flow, const DbosStore::FlowRun& newest, Missing& missing);

  ControlStore* const store_;
  const DbosOptions options_;
  DbosDatabase database_;
  DbosStore dbos_;
  FlowRuns flow_runs_;
  DbosExecutor executor_;
  DbosScheduler scheduler_;
  DbosAdmin admin_;
  Event review_wake_;
  Event end_;
  std::map<std::string, Missing> missing_;  // of the review
  std::thread reviewer_;
  // A flow that does not run has no workflow: who fills its spool is a process of this machine, and outlives this one.
  std::unique_ptr<Dispatcher> spoolers_;
};

}  // namespace wallaby

#endif  // WALLABY_DISPATCH_DBOS_DBOS_DISPATCHER_H_
