// Dispatcher: sees to it that a flow which should run has a worker, and only one. The lease in the control store is
// what keeps two workers apart; the dispatcher only starts, stops and restarts them.
//
// The control store says what should be: a flow in `running` gets a worker again whatever ended the last one; a flow in
// `stopping` becomes `stopped` when its worker is gone. With a spool a flow in `paused` or `failed` has one that
// delivers nothing and keeps the source from holding its WAL for it (wallaby-worker -mode spool). All others are left
// alone.
#ifndef WALLABY_DISPATCH_DISPATCHER_H_
#define WALLABY_DISPATCH_DISPATCHER_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "store/control_store.h"

namespace wallaby {

struct DispatchOptions {
  // > 0: the worker ends after so many polls in a row that brought nothing, and is not restarted unless the flow is
  // `running` by then.
  int max_empty_reads = 0;
  bool spool = false;  // the worker only fills the spool
};

// The worker that the flow's state asks for, if any; `spools`: there is a spool.
std::optional<DispatchOptions> WantedWorker(const StoredFlow& flow, bool spools);

// Safe from any thread.
class Dispatcher {
 public:
  virtual ~Dispatcher() = default;

  // Finds the workers that an earlier dispatcher left, starts those that are missing, and supervises from now on.
  virtual absl::Status Start() = 0;

  // A worker of the flow runs or is being started after this. Idempotent: an active one is success; one that was asked
  // to end is followed by the next. An error says why no worker could be started; it is not tried again by itself then,
  // unless the flow is `running`.
  virtual absl::Status Ensure(const std::string& flow_id, const DispatchOptions& options = {}) = 0;

  // Asks the worker to end and returns at once. Without a worker, a flow in `stopping` is `stopped` on return.
  virtual void Stop(const std::string& flow_id) = 0;

  // The worker ends and the next one begins, so that it sees the flow's new definition. Nothing when none runs.
  virtual void Restart(const std::string& flow_id) = 0;

  // Whether a worker of the flow runs now.
  virtual bool IsActive(const std::string& flow_id) = 0;

  // What keeps the flow's worker from running, for people; "" when nothing is known to.
  virtual std::string Trouble(const std::string& flow_id) {
    static_cast<void>(flow_id);
    return "";
  }
};

// A worker's exit status when another process holds the flow's lease.
inline constexpr int kExitLeaseHeld = 3;

struct LocalDispatcherOptions {
  // Empty: WALLABY_WORKER_BIN, else `wallaby-worker` in the folder of this program.
  std::string worker;
  std::string config_file;  // handed on as -config
  bool spools = false;      // there is a spool
  // Flows that run are another dispatcher's: this one has workers for the spool alone, of its own accord.
  bool only_spools = false;
  // A worker that was asked to end and has not is killed after this; what it had not made durable is read again.
  absl::Duration kill_after = absl::Minutes(2);
  // How often the store is compared with what runs.
  absl::Duration review_interval = absl::Seconds(5);
  absl::Duration backoff_base = absl::Seconds(1);
  absl::Duration backoff_cap = absl::Seconds(10);
  // A worker that lived so long begins the backoff anew.
  absl::Duration stable_after = absl::Seconds(20);
};

// Workers are processes of this machine, each in a session of its own: they go on when this process ends, and the next
// dispatcher on the same store finds them by pid and start time. `store` must outlive the dispatcher.
std::unique_ptr<Dispatcher> MakeLocalDispatcher(ControlStore* store, LocalDispatcherOptions options);

}  // namespace wallaby

#endif  // WALLABY_DISPATCH_DISPATCHER_H_
