// DbosScheduler: fires the application's schedule. Its row in workflow_schedules is what counts, so that clients can
// pause, resume and change it. A tick is a workflow whose id is the tick's time: of several servers that fire, one
// makes it.
#ifndef WALLABY_DISPATCH_DBOS_SCHEDULER_H_
#define WALLABY_DISPATCH_DBOS_SCHEDULER_H_

#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "base/event.h"
#include "dispatch/dbos/cron.h"
#include "dispatch/dbos/store.h"

namespace wallaby {

class DbosScheduler {
 public:
  // `schedule` as CronSchedule takes it; "" takes the application's schedule away. `fired` is called after a tick was
  // queued. `dbos` outlives it.
  DbosScheduler(DbosStore* dbos, std::string schedule, std::function<void()> fired);
  ~DbosScheduler();

  // Writes the schedule's row and begins. INVALID_ARGUMENT for a bad schedule.
  absl::Status Start();
  // No tick from now on; what runs goes on.
  void Deactivate() { deactivated_ = true; }

  // "<application>-flow-dispatch"
  const std::string& name() const { return name_; }

 private:
  void Loop();
  // Reads the row, fires when it is time.
  absl::Status Turn();
  absl::Status Fire(absl::Time at);

  DbosStore* const dbos_;
  const std::string text_;
  const std::string name_;
  const std::function<void()> fired_;
  std::atomic<bool> deactivated_{false};
  // Of the loop.
  std::optional<DbosStore::Schedule> row_;
  std::optional<CronSchedule> schedule_;
  absl::Time next_ = absl::InfiniteFuture();
  Event end_;
  std::thread thread_;
};

}  // namespace wallaby

#endif  // WALLABY_DISPATCH_DBOS_SCHEDULER_H_
