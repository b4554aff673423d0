// Writer: feeds one destination from its queue, and decides when to commit.
#ifndef WALLABY_PIPELINE_WRITER_H_
#define WALLABY_PIPELINE_WRITER_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/byte_queue.h"
#include "base/clock.h"
#include "change/change_batch.h"
#include "destination/destination.h"
#include "pipeline/ack_ledger.h"
#include "pipeline/instruments.h"

namespace wallaby {

struct WriteItem {
  BatchPtr batch;              // null: commit what there is
  bool finishes_part = false;  // the last batch of a snapshot part
};
using WriteQueue = ByteQueue<WriteItem>;

// Counters that other threads read.
struct WriterStats {
  std::atomic<int64_t> changes{0};  // made durable
  std::atomic<int64_t> commits{0};
  // Source's commit times: of the newest durable transaction, and of the oldest that was taken and is not durable; 0:
  // none.
  std::atomic<int64_t> durable_micros{0};
  std::atomic<int64_t> waiting_micros{0};
  std::atomic<int64_t> busy_since_nanos{0};  // of the call to the destination that runs, by Monotonic(); 0: none
};

// What waits for a destination, for reports.
struct DestinationLoad {
  std::string name;
  int64_t queued_bytes = 0;
  int64_t queue_bound = 0;
  absl::Duration busy;         // how long it has been at one write or commit
  Lsn position;                // everything before it is durable there
  bool settled = false;        // nothing that was handed on is on its way there
  int64_t reached_micros = 0;  // Writer::reached_micros()
};

class Writer {
 public:
  // Called on the writer's thread after a commit that finished snapshot parts.
  using PartsDurable = std::function<void(int destination, const std::vector<std::string>& parts)>;

  // All pointers must outlive the object. `progress` is what Destination::Open() told.
  Writer(int index, std::string name, Destination* destination, const Progress& progress, WriteQueue* queue,
         AckLedger* ledger, Clock* clock, PartsDurable parts_durable);

  // Until the queue is closed and empty (then commits what is whole) or an error. Names the destination in the error.
  absl::Status Run();

  const WriterStats& stats() const { return stats_; }
  // The source's time that the destination has come to: that of the oldest transaction that waits in it, or else of the
  // newest that is durable; 0: nothing has come yet.
  int64_t reached_micros() const;
  DestinationLoad load() const;

 private:
  absl::Status Step();
  absl::Status Take(const WriteItem& item);
  absl::Status Write(const ChangeBatch& batch);
  absl::Status CommitNow();
  bool CommitIsDue() const;
  absl::Duration UntilDue() const;
  bool uncommitted() const { return point_.end.valid() || !point_.finished_parts.empty() || rows_ > 0; }

  const int index_;
  const std::string name_;
  Destination* const destination_;
  const Lsn skip_through_;
  const Capabilities capabilities_;
  WriteQueue* const queue_;
  AckLedger* const ledger_;
  Clock* const clock_;
  const PartsDurable parts_durable_;

  CommitPoint point_;
  bool open_transaction_ = false;  // the source's last transaction goes on in the next batch
  int64_t rows_ = 0;               // written and not committed
  int64_t bytes_ = 0;
  int64_t newest_commit_micros_ = 0;
  absl::Duration first_uncommitted_;
  WriterStats stats_;
  WriterInstruments instruments_;
};

// The batch without the transactions whose commit LSN is at or below `through`.
BatchPtr DropThrough(const BatchPtr& batch, Lsn through);

}  // namespace wallaby

#endif  // WALLABY_PIPELINE_WRITER_H_
