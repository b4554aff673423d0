// Checkpointer: stores the ledger's position, and only then lets the reader acknowledge it.
#ifndef WALLABY_PIPELINE_CHECKPOINTER_H_
#define WALLABY_PIPELINE_CHECKPOINTER_H_

#include <atomic>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/clock.h"
#include "base/event.h"
#include "base/lsn.h"
#include "pipeline/ack_ledger.h"
#include "pipeline/checkpoint_store.h"

namespace wallaby {

// In a checkpoint's metadata: the end of the last transaction that the destination confirmed, by which a destination
// that was replaced or restored from a backup is noticed. "0/0": known, and nothing streamed yet.
std::string DestinationKey(const std::string& name);

class Checkpointer {
 public:
  // All pointers must outlive the object. `start` is stored already. `reader` is set after each store. `destinations`
  // are the names behind the ledger's numbers.
  Checkpointer(AckLedger* ledger, CheckpointStore* store, Clock* clock, Event* reader, const Checkpoint& start,
               std::vector<std::string> destinations);

  // Stores at most one position a second until `stop`. A store that cannot be reached is tried again for as long as it
  // takes (the slot holds meanwhile); "fenced" ends it.
  absl::Status Run(const std::atomic<bool>& stop);
  // Stores what is left. After Run().
  absl::Status StoreLast();

  // What may be acknowledged.
  const std::atomic<uint64_t>& acknowledged() const { return acknowledged_; }

 private:
  absl::Status Store();

  AckLedger* const ledger_;
  CheckpointStore* const store_;
  Clock* const clock_;
  Event* const reader_;
  const std::vector<std::string> destinations_;
  std::map<std::string, std::string> metadata_;
  std::atomic<uint64_t> acknowledged_;
};

}  // namespace wallaby

#endif  // WALLABY_PIPELINE_CHECKPOINTER_H_
