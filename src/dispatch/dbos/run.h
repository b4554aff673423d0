// DbosRun: one claimed workflow and the thread that runs it. A run of a flow starts the flow's worker as a process and
// waits for its end; a tick queues runs of flows.
#ifndef WALLABY_DISPATCH_DBOS_RUN_H_
#define WALLABY_DISPATCH_DBOS_RUN_H_

#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/event.h"
#include "base/lsn.h"
#include "dispatch/dbos/flow_runs.h"
#include "dispatch/dbos/serialization.h"
#include "dispatch/dbos/store.h"
#include "dispatch/process.h"
#include "store/control_store.h"

namespace wallaby {

struct DbosRunOptions {
  std::string worker;       // the program
  std::string config_file;  // handed on as -config
  // A worker that was asked to end and has not is killed after this; what it had not made durable is read again.
  absl::Duration kill_after = absl::Minutes(2);
  // A workflow that was recovered more often is dead; 0: no limit.
  int64_t max_retries = 100;
};

class DbosRun {
 public:
  // What all runs share; outlives them.
  struct Context {
    DbosStore* dbos;
    ControlStore* store;
    ControlStore* checkpoints;
    FlowRuns* flow_runs;
    DbosRunOptions options;
    std::function<void()> on_end;  // called on the run's thread as the last thing it does
    // Gives the run the flow's place among the workers of this process (SetWorker), unless another run has it.
    std::function<bool(DbosRun*)> take_place;
  };

  // Begins at once.
  DbosRun(const Context* context, DbosStore::ClaimedRun claimed);
  // Waits for the end.
  ~DbosRun();
  DbosRun(const DbosRun&) = delete;
  DbosRun& operator=(const DbosRun&) = delete;

  // The row is somebody else's now, or the process ends: the worker is asked to end, and nothing is written any more.
  void Abandon();
  // Ends the worker without its consent.
  void Kill();
  bool ended() const { return ended_; }
  // From before the worker starts to after it has ended.
  bool has_worker() const { return has_worker_; }
  void SetWorker() { has_worker_ = true; }
  const DbosStore::ClaimedRun& claimed() const { return claimed_; }
  // "" for a run of no flow.
  const std::string& flow_id() const { return flow_id_; }
  // Attempts before do not count once the flow's checkpoint has moved.
  void NoteProgress();

 private:
  // How the run ended. None: it was abandoned or has lost its token, and writes nothing.
  struct Result {
    bool ok = false;
    std::string text;  // portable JSON: the output or the error
  };
  using MaybeResult = std::optional<Result>;

  void Body();
  MaybeResult Execute();
  MaybeResult RunFlow(const RunFlowInput& input);
  MaybeResult RunTick();
  // "" when the flow may run; else why not.
  std::string WhyFenced(const absl::StatusOr<StoredFlow>& flow, const RunFlowInput& input) const;
  // Asks the control store until it answers. An error only when the run was abandoned or the flow is gone.
  absl::StatusOr<StoredFlow> AwaitFlow(const std::string& flow_id);
  MaybeResult RunWorker(const RunFlowInput& input);
  // Waits until no other worker of the flow is left. A result when the run ends here.
  bool AwaitPlace(const RunFlowInput& input, MaybeResult* end);
  absl::StatusOr<Process::Exit> RunProcess(const RunFlowInput& input);
  int64_t RecordAttempt(const std::string& flow_id, const Process& process);
  Process::Exit AwaitEnd(Process& process);
  std::string WhyFailed(const std::string& flow_id, const Process::Exit& exit);
  // Records the step, and says whether the run still owns its row. Tries until the database answers.
  bool Record(int number, const char* name, const Result& result, absl::Time started);
  void Write(const Result& result);
  // Calls `attempt` until it does not fail for a passing reason or the run is abandoned.
  absl::StatusOr<bool> Insist(const std::function<absl::StatusOr<bool>()>& attempt);

  const Context* const context_;
  const DbosStore::ClaimedRun claimed_;
  const absl::StatusOr<RunFlowInput> input_;
  std::string flow_id_;
  Event abandon_;
  Event kill_;
  std::atomic<bool> has_worker_{false};
  std::atomic<bool> ended_{false};
  std::optional<Lsn> began_at_;  // the flow's checkpoint when NoteProgress() first looked
  bool progress_noted_ = false;
  std::thread thread_;
};

}  // namespace wallaby

#endif  // WALLABY_DISPATCH_DBOS_RUN_H_
