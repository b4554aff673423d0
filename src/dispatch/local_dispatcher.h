// LocalDispatcher: the dispatcher of worker processes on this machine. Requests stand in local_dispatcher.cc, what the
// supervising thread does in local_supervision.cc.
#ifndef WALLABY_DISPATCH_LOCAL_DISPATCHER_H_
#define WALLABY_DISPATCH_LOCAL_DISPATCHER_H_

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "base/backoff.h"
#include "base/event.h"
#include "dispatch/dispatcher.h"
#include "dispatch/process.h"

namespace wallaby {

class LocalDispatcher final : public Dispatcher {
 public:
  LocalDispatcher(ControlStore* store, LocalDispatcherOptions options);
  ~LocalDispatcher() override;

  absl::Status Start() override;
  absl::Status Ensure(const std::string& flow_id, const DispatchOptions& options) override;
  void Stop(const std::string& flow_id) override;
  void Restart(const std::string& flow_id) override;
  bool IsActive(const std::string& flow_id) override;

 private:
  // A flow that has a worker, or that is to be looked at again. Times are monotonic.
  struct Watch {
    explicit Watch(const LocalDispatcherOptions& options) : backoff(options.backoff_base, options.backoff_cap) {}

    // Only the supervising thread ends a process's life here, because it waits for the descriptors without the lock.
    std::unique_ptr<Process> process;
    int64_t attempt = 0;  // in the store; 0: could not be recorded
    bool probe = false;
    bool spool = false;  // it only fills the spool
    absl::Duration started;
    std::optional<absl::Duration> kill_at;  // set once it was asked to end
    std::optional<DispatchOptions> next;    // follows at once when this one has ended
    std::optional<absl::Duration> due;      // without a process: when to look at the flow again
    Backoff backoff;
  };
  struct UnrecordedEnd {
    int64_t attempt;
    Process::Exit exit;
  };

  // The methods below, down to Review(), are called with mutex_ held.
  Watch& WatchOf(const std::string& flow_id);
  void Adopt(const DispatchAttempt& attempt);
  absl::Status Spawn(const std::string& flow_id, Watch& watch, const DispatchOptions& options);
  void AskToEnd(const std::string& flow_id, Watch& watch);
  // The worker that the flow should have from here, if any.
  std::optional<DispatchOptions> Wanted(const StoredFlow& flow) const;
  // A flow without a process: starts one now or later, or completes a stop, as the store says. `wait` is how long a
  // flow that should run waits for its worker. False when there is nothing more to watch.
  bool Settle(const std::string& flow_id, Watch& watch, absl::Duration wait);
  bool SettleStopping(const std::string& flow_id, Watch& watch);
  void StartOrRetry(const std::string& flow_id, Watch& watch, const DispatchOptions& options);
  void SettleOrForget(const std::string& flow_id, absl::Duration wait);

  void Supervise();
  // Waits for the end of a worker, a request, or the next deadline.
  void Await();
  void HandleExits();
  void HandleExit(const std::string& flow_id, Watch& watch);
  void HandleDeadlines();
  void Review();
  void ReviewFlow(const StoredFlow& flow);
  void RecordEnd(int64_t attempt, const Process::Exit& exit);

  ControlStore* const store_;
  const LocalDispatcherOptions options_;
  const std::string worker_;

  Event wake_;
  Event end_;
  std::thread supervisor_;
  // Held over calls of the store, so that a start and an exit of the same flow cannot cross.
  std::mutex mutex_;
  std::map<std::string, Watch> watches_;
  std::vector<UnrecordedEnd> unrecorded_;
  absl::Duration review_at_;
};

}  // namespace wallaby

#endif  // WALLABY_DISPATCH_LOCAL_DISPATCHER_H_
