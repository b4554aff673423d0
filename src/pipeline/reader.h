// Reader: from the replication stream to the writers' queues, and feedback back to the server.
#ifndef WALLABY_PIPELINE_READER_H_
#define WALLABY_PIPELINE_READER_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/event.h"
#include "base/lsn.h"
#include "change/change_batch.h"
#include "pgoutput/assembler.h"
#include "pipeline/ack_ledger.h"
#include "pipeline/history_mark.h"
#include "pipeline/instruments.h"
#include "pipeline/writer.h"
#include "postgres/replication_stream.h"

namespace wallaby {

struct ReaderOptions {
  int64_t batch_changes = 50000;                           // hand on at this many changes,
  int64_t batch_bytes = 16 << 20;                          // or this many bytes; a larger transaction is cut there,
  absl::Duration batch_timeout = absl::Milliseconds(200);  // or at this age, under load; at once when idle
  absl::Duration status_interval = absl::Seconds(10);
  // > 0: end after this many polls in a row that brought nothing, once everything before `drain_to` was read.
  int max_empty_reads = 0;
  Lsn drain_to;
  // End before the first transaction whose commit LSN is this or higher; 0/0: never.
  Lsn stop_before;
  // And also where the stream says that it has nothing more before that.
  bool stop_when_passed = false;
};

// Figures that other threads read.
struct ReaderStats {
  std::atomic<int64_t> changes{0};
  std::atomic<int64_t> transactions{0};
  std::atomic<uint64_t> server_end{0};  // how far the server says it has sent
};

class Reader {
 public:
  // All pointers must outlive the object. `wake` is set by whoever wants the reader's attention: space in a queue, a
  // new acknowledged position, a stop. `acknowledged` is what the checkpointer has stored.
  Reader(ReplicationStream* stream, pgoutput::Assembler* assembler, std::vector<WriteQueue*> queues, AckLedger* ledger,
         const std::atomic<uint64_t>* acknowledged, Clock* clock, Event* wake, ReaderOptions options);

  // Until `stop` is set (then what was not handed on is left to the next start), max_empty_reads or stop_before is
  // reached, a transaction is held (pgoutput/schema_watch.h), or an error. In the last two cases all before the
  // transaction was handed on, and nothing of it is acknowledged.
  absl::Status Run(const std::atomic<bool>& stop);
  // Tells the server the final acknowledged position. After Run().
  absl::Status SendLastFeedback();

  const ReaderStats& stats() const { return stats_; }
  // The commit LSN of the transaction before which the stream ended, once Run() has returned; 0/0: no such.
  Lsn barrier() const { return barrier_; }
  // The end of the last transaction that was read whole, also when all of it was left out.
  Lsn read_through() const { return read_through_; }
  const HistoryMark& read_mark() const { return read_mark_; }

 private:
  // Drain(), measured.
  absl::Status Read();
  absl::Status Drain();
  // Until the stream has something, `wake` is set, or `timeout` passed.
  absl::Status Wait(absl::Duration timeout);
  absl::Status OnData(const Packet& packet);
  absl::Status OnCommit();
  // Hands on what is left before the barrier. True when all queues have it.
  bool FinishBeforeBarrier();
  void AckIdlePosition();
  bool BatchIsDue();
  bool WritersAreIdle() const;
  // Starts handing the current batch on, cut if its last transaction is still open.
  void HandOn();
  // Goes on handing to the queues that had no room. True when all have it.
  bool PushPending();
  absl::Status MaybeSendFeedback();
  absl::Status SendFeedback(bool request_reply);
  absl::Status PollWhenEmpty();
  void AskForCommit();
  bool NothingHeld() const { return pending_ == nullptr && batch_->empty() && !assembler_->in_transaction(); }

  ReplicationStream* const stream_;
  pgoutput::Assembler* const assembler_;
  const std::vector<WriteQueue*> queues_;
  AckLedger* const ledger_;
  const std::atomic<uint64_t>* const acknowledged_;
  Clock* const clock_;
  Event* const wake_;
  const ReaderOptions options_;

  std::unique_ptr<ChangeBatch> batch_ = std::make_unique<ChangeBatch>();
  const std::shared_ptr<SpareBatches> spare_ = std::make_shared<SpareBatches>();
  absl::Duration batch_began_;
  BatchPtr pending_;
  std::vector<bool> has_pending_;  // by queue
  bool more_ = false;              // the last drain stopped before the stream was empty
  Lsn received_;
  Lsn flushed_sent_;
  absl::Duration last_feedback_;
  bool reply_requested_ = false;
  int64_t commits_since_clock_ = 0;

  // For max_empty_reads.
  int empty_reads_ = 0;
  bool poll_sent_ = false;
  absl::Duration poll_sent_at_;
  bool keepalive_since_poll_ = false;
  bool data_since_poll_ = false;
  bool drained_ = false;
  Lsn barrier_;
  Lsn read_through_;
  HistoryMark read_mark_;  // of all transactions that were read, also of those that were left out
  HistoryMark held_mark_;  // behind the last whole transaction that has changes in a batch
  ReaderStats stats_;

  ReaderInstruments instruments_;
  int64_t packets_ = 0;          // of data
  int64_t drained_packets_ = 0;  // by the last drain
  Span batch_span_;              // of the batch being filled, once it has something
  Span process_span_;            // of the pending one, until all queues have it
};

}  // namespace wallaby

#endif  // WALLABY_PIPELINE_READER_H_
