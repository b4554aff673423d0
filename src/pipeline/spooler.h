// Spooler: reads a slot into its spool, so that the source may forget what flows have not delivered yet: because they
// are gated or paused, or their destinations are slow or down.
//
// Every worker of a flow with a spool has one. Of the flows that share a slot, the one that takes the spool's lock
// first reads it; the others follow, ask the source nothing, and take the lock when it is free. A thread of its own;
// what fails is tried again, with backoff, for as long as it lives.
#ifndef WALLABY_PIPELINE_SPOOLER_H_
#define WALLABY_PIPELINE_SPOOLER_H_

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "absl/status/status.h"
#include "base/clock.h"
#include "base/event.h"
#include "base/lsn.h"
#include "pipeline/source.h"
#include "pipeline/spool_budget.h"
#include "spool/spool.h"
#include "spool/spool_writer.h"
#include "store/control_store.h"

namespace wallaby {

class Spooler {
 public:
  // Told of what no further try will mend; the thread has ended then.
  using Failed = std::function<void(const absl::Status&)>;

  // All pointers outlive the object. Begins at once, if one of the slot's flows has a cursor. `policy`: of flows that
  // do not say.
  Spooler(Source* source, const SourceOptions* source_options, ControlStore* store, Clock* clock, SpoolOptions spool,
          SpoolPolicy policy, Failed failed);
  // Ends the thread; whole transactions that were read are durable then.
  ~Spooler();

  const SpoolOptions& spool() const { return spool_; }
  const std::string& publication() const { return source_options_->publication; }

  // The slot or a cursor may be there now, or somebody waits for news of how far the server is. Any thread.
  void Poke();
  // Which spool it is, once the source has told.
  std::optional<SpoolName> name() const;
  // Why the slot is not being read by anybody, or no further, for people; "" when it is.
  std::string trouble() const;

 private:
  // The state of one try.
  struct Try {
    std::unique_ptr<SourceSession> session;
    std::unique_ptr<SpoolWriter> writer;
    std::unique_ptr<SpoolBudget> budget;
    std::unique_ptr<ReplicationStream> stream;
    Lsn received;
    Lsn told;            // what the server last heard to be durable
    Lsn idle;            // the server has sent everything up to here
    bool dirty = false;  // appended since the last flush
    bool reply_requested = false;
    bool poked = false;
    bool room = true;
    std::optional<std::string> noted;  // why there is no room, for those who follow
    absl::Duration synced_at;
    absl::Duration told_at;
    absl::Duration looked_at;  // for room
    int64_t unlooked = 0;      // bytes appended since then
    int64_t unsynced = 0;      // bytes
  };

  void Run();
  // Until the end, or an error.
  absl::Status SpoolOnce();
  absl::Status Open(Try& t);
  // Another has the spool.
  absl::Status Follow(const SpoolName& name);
  // This one has it, and somebody else the slot.
  absl::Status AwaitSlot(const SlotInfo& slot);
  absl::Status Step(Try& t);
  // True when the stream had more.
  absl::StatusOr<bool> Drain(Try& t);
  absl::Status ProveHistory(const Try& t, const ServerInfo& server, Lsn confirmed) const;
  absl::Status OtherHistory(std::string_view what) const;
  absl::Status TakeIdle(Try& t);
  bool MustLook(const Try& t) const;
  absl::Status LookForRoom(Try& t);
  absl::Status Tell(Try& t, bool request_reply);
  absl::Status Close(Try& t);
  void SetTrouble(std::string trouble);

  Source* const source_;
  const SourceOptions* const source_options_;
  ControlStore* const store_;
  Clock* const clock_;
  const SpoolOptions spool_;
  const SpoolPolicy policy_;
  const Failed failed_;

  Event end_;
  Event wake_;
  mutable std::mutex mutex_;  // guards all below
  std::optional<SpoolName> name_;
  std::string trouble_ = "starting";
  bool poked_ = false;

  std::optional<absl::Duration> in_use_since_;  // monotonic; of the thread

  std::thread thread_;  // last: it uses all above
};

}  // namespace wallaby

#endif  // WALLABY_PIPELINE_SPOOLER_H_
