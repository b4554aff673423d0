// Lane: a destination of a flow that goes at its own pace, behind the primary or before it (docs/fan-out.md).
//
// It is to the spool what another flow on the slot would be: attempts of its own, one after the other, with a
// checkpoint, a cursor and the tables' shapes of its own. What goes wrong is tried again here, and never ends anything
// else. Only schema changes it leaves to the flow: it waits until they are settled, and then has its destination
// follow.
#ifndef WALLABY_PIPELINE_LANE_H_
#define WALLABY_PIPELINE_LANE_H_

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/event.h"
#include "pipeline/attempt.h"
#include "pipeline/checkpoint_store.h"

namespace wallaby {

struct LaneReport {
  enum class State {
    kStarting,
    kStreaming,
    kWaiting,  // for a schema change to be settled
    kFailing,  // tried again
    kFailed,   // given up, until the flow's next start
    kDrained,  // of a probe: it has delivered what was waiting
  };
  std::string name;
  State state = State::kStarting;
  std::optional<absl::Time> failing_since;
  std::string error;  // the last one, while it fails
  Lsn position;       // everything before it is durable; 0/0: not known yet
  bool settled = false;
  int64_t changes = 0;         // delivered since the lane began
  int64_t reached_micros = 0;  // Writer::reached_micros()
  std::optional<DestinationLoad> load;
};

class Lane {
 public:
  // Begins at once. `flow`: of the flow's own attempts; what it points to outlives the object.
  Lane(const AttemptContext& flow, const Endpoint& endpoint);
  // Ends it clean: what was read is delivered, then the last checkpoint.
  ~Lane();

  // Asks for the end, and does not wait for it.
  void Stop();
  // Of a probe: the flow's own stream has ended, so no schema change is settled any more.
  void LetEnd();
  LaneReport report() const;

 private:
  void Run();
  absl::Status RunAttempt();
  absl::Status SettleHeld();
  bool TryAgain(const absl::Status& status, int tries) const;
  void NoteFailure(const absl::Status& status, LaneReport::State state);
  void Fail(const absl::Status& status);
  void SetState(LaneReport::State state);

  const Endpoint endpoint_;
  CheckpointStore* const flow_checkpoints_;
  WorkerOptions options_;
  LaneCheckpointStore checkpoints_;
  AttemptContext context_;
  Lsn settled_at_;  // the transaction whose schema changes the destination has followed last, behind the flow

  Event end_;
  mutable std::mutex mutex_;  // guards all below
  std::shared_ptr<Attempt> attempt_;
  LaneReport last_;  // as it was before the attempt that runs
  bool may_end_ = false;

  std::thread thread_;  // last: it uses all above
};

// The lanes of one flow. Started and stopped by one thread; the rest from any.
class Lanes {
 public:
  // Those that do not run, with what an attempt of the flow has found.
  void Start(const AttemptContext& flow);
  // All; returns when they have ended.
  void Stop();
  // Until every lane has delivered what is waiting, or `stop` is set. The error of the first that cannot.
  absl::Status AwaitDrained(Event& stop);

  std::vector<LaneReport> reports() const;
  // Every lane streams, or has drained, and none fails.
  bool AllWell() const;

 private:
  mutable std::mutex mutex_;
  std::vector<std::unique_ptr<Lane>> lanes_;
};

}  // namespace wallaby

#endif  // WALLABY_PIPELINE_LANE_H_
