// Failpoints: named places in the real programs where a test makes them die, fail, wait or stand still.
//
// All names stand in this file. WALLABY_FAILPOINTS arms some of them for the life of the process; unset, reaching one
// costs a relaxed load of a bool. docs/reliability.md shows the setting's syntax, which ArmFailpoints reads:
//
//   name=action[@when],...
//     crash          SIGKILL to this process
//     error:CODE     the step fails with this status: unavailable, aborted, internal, ...
//     delay:200ms    the step comes later
//     pause          SIGSTOP to this process: it stands still until somebody sends SIGCONT
//     when           3: the third time only; every3: each third time; 1in20 or 1in20:SEED: by chance; else always
//
// To add one: its name here, and RETURN_IF_ERROR(ReachFailpoint(...)) at the place.
#ifndef WALLABY_BASE_FAILPOINT_H_
#define WALLABY_BASE_FAILPOINT_H_

#include <atomic>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace wallaby {

enum class Failpoint {
  kDestinationOpen,          // destination.open: before a destination is opened
  kDestinationWrite,         // destination.write: before a batch is written
  kDestinationCommitBefore,  // destination.commit.before: all is written, nothing is durable
  kDestinationCommitAfter,   // destination.commit.after: durable, and nobody knows
  kCheckpointPutBefore,      // checkpoint.put.before: durable everywhere, not stored
  kCheckpointPutAfter,       // checkpoint.put.after: stored, not acknowledged to the source
  kSourceFeedback,           // source.feedback: before the source is told
  kSlotCreateBefore,         // slot.create.before: the tables are marked for their copy, there is no slot
  kSlotCreateAfter,          // slot.create.after: the slot is made, its first checkpoint is not stored
  kSnapshotPartRead,         // snapshot.part.read: a part was read and handed on as far as its last rows
  kSnapshotPartDone,         // snapshot.part.done: a part is durable at a destination, and nobody knows
  kSnapshotDone,             // snapshot.done: all parts are durable everywhere, the tables are not marked as done
  kCatchUpOpen,              // catchup.open: before the copy of the slot is made
  kCatchUpHandOver,          // catchup.handover: the backlog was read, the walsender is not started
  kDdlRecord,                // ddl.record: the stream was held before a DDL, its event is not recorded
  kDdlPause,                 // ddl.pause: recorded, the flow is not paused
  kDdlApply,                 // ddl.apply: before an event is applied at a destination
  kDdlReceipt,               // ddl.receipt: applied at a destination, the receipt is not stored
  kDdlSettle,                // ddl.settle: applied everywhere, the event is not settled
  kLeaseAcquire,             // lease.acquire: before a worker takes its flow
  kLeaseRenew,               // lease.renew: before the lease is renewed
  kStoreCommitBefore,        // store.commit.before: a transaction of the control store was written, not committed
  kStoreCommitAfter,         // store.commit.after: committed, and nobody knows
  kWorkerSpawnBefore,        // worker.spawn.before: the server is about to start a worker
  kWorkerSpawnAfter,         // worker.spawn.after: the worker runs, and the store does not know
  kSpoolWrite,               // spool.write: before a block of the spool is written
  kSpoolSync,                // spool.sync: written, not durable
  kSpoolSegment,             // spool.segment: a new segment is durable, and has not got its name
  kSpoolRemove,              // spool.remove: before a segment that everybody has read is removed
};

// Every name, in the order of the enum.
std::span<const std::string_view> FailpointNames();

// Reads and arms. Call it before other threads run. INVALID_ARGUMENT names what is wrong and lists what is allowed;
// then nothing is armed. Empty text disarms all. `fired` hears of each failpoint that acts, before it does, on the
// thread that reached it: "checkpoint.put.before: crash, reached 3 times".
absl::Status ArmFailpoints(std::string_view setting, void (*fired)(std::string_view what));

namespace failpoint_internal {
extern std::atomic<bool> armed;
absl::Status Act(Failpoint point);
}  // namespace failpoint_internal

// The error that this failpoint shall give here; OK where it is not armed, or not this time.
inline absl::Status ReachFailpoint(Failpoint point) {
  if (!failpoint_internal::armed.load(std::memory_order_relaxed)) [[likely]]
    return absl::OkStatus();
  return failpoint_internal::Act(point);
}

}  // namespace wallaby

#endif  // WALLABY_BASE_FAILPOINT_H_
