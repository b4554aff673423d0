// AcknowledgedRecords: what a receiver has acknowledged lately. When the worker begins anew, it reads again from the
// checkpoint, and what stands in here is not sent a second time.
#ifndef WALLABY_DESTINATION_PUSH_ACKNOWLEDGED_H_
#define WALLABY_DESTINATION_PUSH_ACKNOWLEDGED_H_

#include <cstdint>
#include <deque>
#include <mutex>
#include <span>
#include <string>
#include <tuple>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "change/change_batch.h"

namespace wallaby {

// A streamed record. Transaction id and commit time are part of it: after a failover another transaction may stand at
// the same position.
struct RecordId {
  uint64_t commit = 0;
  int64_t commit_time_micros = 0;
  uint32_t seq = 0;
  uint32_t xid = 0;
  ChangeKind kind = ChangeKind::kInsert;

  friend bool operator==(const RecordId&, const RecordId&) = default;
  template <typename H>
  friend H AbslHashValue(H state, const RecordId& id) {
    return H::combine(std::move(state), id.commit, id.seq, id.kind, id.xid);
  }
};

// Safe from any thread.
class AcknowledgedRecords {
 public:
  // Beyond that the oldest are forgotten.
  static constexpr size_t kMost = 200'000;

  // That of a flow's destination, for as long as the process lives: destinations are made anew for each attempt.
  static AcknowledgedRecords& Of(const std::string& flow_id, const std::string& destination);

  // `now` by a clock that never goes back. What is older than `window` is forgotten.
  void Add(std::span<const RecordId> records, absl::Duration now, absl::Duration window);
  bool Has(const RecordId& record, absl::Duration now, absl::Duration window) const;

 private:
  mutable std::mutex mutex_;
  absl::flat_hash_map<RecordId, absl::Duration> at_;
  std::deque<std::pair<absl::Duration, RecordId>> order_;  // oldest first; an id may stand there twice
};

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_PUSH_ACKNOWLEDGED_H_
