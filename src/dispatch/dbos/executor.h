// DbosExecutor: takes workflows off the queues and runs each in a thread of its own, and sees to it that a run whose
// row was cancelled, resumed or recovered by somebody stops. Nothing tells of such a change, so the database is asked.
#ifndef WALLABY_DISPATCH_DBOS_EXECUTOR_H_
#define WALLABY_DISPATCH_DBOS_EXECUTOR_H_

#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/event.h"
#include "dispatch/dbos/database.h"
#include "dispatch/dbos/instance_lock.h"
#include "dispatch/dbos/run.h"
#include "dispatch/dbos/store.h"

namespace wallaby {

struct DbosExecutorOptions {
  // How often queues are looked at; an enqueue by this process wakes it at once.
  absl::Duration poll_interval = absl::Seconds(1);
  // How often a run's right to its row is looked at.
  absl::Duration watch_interval = absl::Milliseconds(500);
  absl::Duration progress_interval = absl::Seconds(5);
  // Ended workflows are kept so long.
  absl::Duration retention = absl::Hours(24 * 7);
  int max_runs = 256;
  // At the end workers have so long until they are killed.
  absl::Duration stop_limit = absl::Seconds(10);
};

class DbosExecutor {
 public:
  // Pointers outlive it.
  DbosExecutor(DbosDatabase* database, DbosStore* dbos, DbosRun::Context context, DbosExecutorOptions options);
  ~DbosExecutor();

  // Recovers what this executor left when it died, then begins.
  absl::Status Start();
  // Hands all runs back to their queues, so that others go on with them, and ends the workers.
  void Stop();

  // There is work, or a row was changed: looks at once.
  void Wake();
  // Whether a run of the flow in this process has a worker.
  bool HasWorker(const std::string& flow_id);
  // Ends the runs of the flow in this process, whose rows were cancelled.
  void AbandonRuns(const std::string& flow_id);

 private:
  bool TakePlace(DbosRun* run);
  void Loop();
  absl::Status Turn(bool chores);
  absl::Status Watch();
  absl::Status Claim();
  void RemoveEnded();
  void NoteProgress();
  void Retain();

  DbosStore* const dbos_;
  DbosRun::Context context_;
  const DbosExecutorOptions options_;
  InstanceLock alive_;
  Event wake_;
  Event end_;
  std::mutex mutex_;  // guards runs_
  std::list<std::unique_ptr<DbosRun>> runs_;
  bool answers_ = true;  // the database; of the loop
  std::thread loop_;
};

}  // namespace wallaby

#endif  // WALLABY_DISPATCH_DBOS_EXECUTOR_H_
