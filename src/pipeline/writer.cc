#include "pipeline/writer.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/deliberate_bug.h"
#include "base/failpoint.h"
#include "base/status.h"
#include "telemetry/trace_events.h"

namespace wallaby {
namespace {

// Under load, what a destination's transaction may grow to before it is committed although more is waiting.
constexpr int64_t kCommitBytes = 32 << 20;
constexpr absl::Duration kCommitInterval = absl::Milliseconds(500);

// Notes for as long as it lives that the destination is at work.
class Busy {
 public:
  Busy(Clock* clock, WriterStats* stats) : stats_(stats) {
    stats_->busy_since_nanos = std::max<int64_t>(absl::ToInt64Nanoseconds(clock->Monotonic()), 1);
  }
  ~Busy() { stats_->busy_since_nanos = 0; }
  Busy(const Busy&) = delete;
  Busy& operator=(const Busy&) = delete;

 private:
  WriterStats* const stats_;
};

}  // namespace

BatchPtr DropThrough(const BatchPtr& batch, Lsn through) {
  const auto& transactions = batch->transactions();
  if (transactions.empty() || transactions.front().commit > through || !batch->snapshot_part().empty()) return batch;
  auto kept = std::make_shared<ChangeBatch>(*batch);
  kept->KeepTransactionsAfter(through);
  return kept;
}

Writer::Writer(int index, std::string name, Destination* destination, const Progress& progress, WriteQueue* queue,
               AckLedger* ledger, Clock* clock, PartsDurable parts_durable)
    : index_(index),
      name_(std::move(name)),
      destination_(destination),
      skip_through_(HasBug(DeliberateBug::kDeliverTwice) ? Lsn{} : progress.commit),
      capabilities_(destination->capabilities()),
      queue_(queue),
      ledger_(ledger),
      clock_(clock),
      parts_durable_(std::move(parts_durable)),
      instruments_(name_) {}

absl::Status Writer::Run() {
  while (!(queue_->closed() && queue_->empty())) {
    const absl::Status status = Step();
    if (!status.ok()) return Annotate(status, absl::StrCat("destination ", name_));
  }
  // Half a transaction is left to the destination to roll back; it is streamed again after the restart.
  if (uncommitted() && !open_transaction_) {
    return Annotate(CommitNow(), absl::StrCat("destination ", name_));
  }
  return absl::OkStatus();
}

absl::Status Writer::Step() {
  const auto item = queue_->Pop(UntilDue());
  const bool asked = item.has_value() && item->batch == nullptr;
  if (item.has_value() && !asked) RETURN_IF_ERROR(Take(*item));
  if (asked ? uncommitted() && !open_transaction_ : CommitIsDue()) return CommitNow();
  if ((item.has_value() && !asked) || uncommitted() || open_transaction_) return absl::OkStatus();
  const Busy busy(clock_, &stats_);
  return destination_->Tend();
}

absl::Status Writer::Take(const WriteItem& item) {
  const bool snapshot = !item.batch->snapshot_part().empty();
  const BatchPtr batch = DropThrough(item.batch, skip_through_);
  if (!uncommitted()) first_uncommitted_ = clock_->Monotonic();
  if (!snapshot && stats_.waiting_micros == 0 && !batch->transactions().empty()) {
    stats_.waiting_micros = batch->transactions().front().commit_time_micros;
  }
  if (batch->change_count() > 0) {
    RETURN_IF_ERROR(Write(*batch));
    rows_ += static_cast<int64_t>(batch->change_count());
    bytes_ += static_cast<int64_t>(batch->bytes());
  }
  open_transaction_ = batch->continues();
  if (item.finishes_part) point_.finished_parts.push_back(batch->snapshot_part());
  if (snapshot) return absl::OkStatus();
  // The last whole transaction; of a batch that was dropped as a whole, there is nothing new to say.
  const auto& transactions = batch->transactions();
  const size_t whole = transactions.size() - (batch->continues() && !transactions.empty() ? 1 : 0);
  if (whole > 0) {
    point_.commit = transactions[whole - 1].commit;
    point_.end = transactions[whole - 1].end;
    newest_commit_micros_ = transactions[whole - 1].commit_time_micros;
  } else if (transactions.empty() && !item.batch->transactions().empty() && !item.batch->continues()) {
    ledger_->Durable(index_, item.batch->transactions().back().end);
  }
  return absl::OkStatus();
}

absl::Status Writer::Write(const ChangeBatch& batch) {
  Span span("destination.write");
  span.Set("destination", name_);
  span.Set("records", static_cast<int64_t>(batch.change_count()));
  const absl::Duration began = clock_->Monotonic();
  const Busy busy(clock_, &stats_);
  absl::Status status = ReachFailpoint(Failpoint::kDestinationWrite);
  if (status.ok()) status = destination_->Write(batch);
  instruments_.write_latency.Observe(absl::ToDoubleSeconds(clock_->Monotonic() - began));
  if (status.ok()) {
    instruments_.writes.Add();
  } else {
    span.SetError(status.message());
  }
  return status;
}

DestinationLoad Writer::load() const {
  DestinationLoad load{name_, static_cast<int64_t>(queue_->bytes()), static_cast<int64_t>(queue_->bound()), {}};
  load.reached_micros = reached_micros();
  if (const int64_t since = stats_.busy_since_nanos; since > 0) {
    load.busy = std::max(clock_->Monotonic() - absl::Nanoseconds(since), absl::ZeroDuration());
  }
  return load;
}

int64_t Writer::reached_micros() const {
  const int64_t waiting = stats_.waiting_micros;
  return waiting > 0 ? waiting : stats_.durable_micros.load();
}

bool Writer::CommitIsDue() const {
  if (!uncommitted() || open_transaction_) return false;
  const absl::Duration age = clock_->Monotonic() - first_uncommitted_;
  if (capabilities_.linger > absl::ZeroDuration()) {
    return age >= capabilities_.linger || bytes_ >= capabilities_.linger_bytes || !point_.finished_parts.empty();
  }
  return queue_->empty() || bytes_ >= kCommitBytes || age >= kCommitInterval;
}

absl::Duration Writer::UntilDue() const {
  constexpr absl::Duration kLong = absl::Seconds(1);
  if (!uncommitted() || open_transaction_ || capabilities_.linger == absl::ZeroDuration()) return kLong;
  const absl::Duration left = first_uncommitted_ + capabilities_.linger - clock_->Monotonic();
  return std::clamp(left, absl::ZeroDuration(), kLong);
}

absl::Status Writer::CommitNow() {
  const absl::Duration began = clock_->Monotonic();
  if (HasBug(DeliberateBug::kForgetLastBatch) && point_.end.valid()) ledger_->Durable(index_, point_.end);
  RETURN_IF_ERROR(ReachFailpoint(Failpoint::kDestinationCommitBefore));
  {
    const Busy busy(clock_, &stats_);
    RETURN_IF_ERROR(destination_->Commit(point_));
  }
  RETURN_IF_ERROR(ReachFailpoint(Failpoint::kDestinationCommitAfter));
  instruments_.commit_latency.Observe(absl::ToDoubleSeconds(clock_->Monotonic() - began));
  if (IsTracingEvents()) {
    // Before the ledger knows: a checkpoint that rests on it comes after it in the trace.
    TraceEvent(spec::kDeliver, "Running", point_.end,
               {{"destination", name_}, {"durable", "true"}, {"records", absl::StrCat(rows_)}});
  }
  stats_.changes += rows_;
  ++stats_.commits;
  if (point_.end.valid()) {
    stats_.durable_micros = newest_commit_micros_;
    stats_.waiting_micros = 0;
    ledger_->Durable(index_, point_.end);
  }
  if (!point_.finished_parts.empty()) {
    RETURN_IF_ERROR(ReachFailpoint(Failpoint::kSnapshotPartDone));
    parts_durable_(index_, point_.finished_parts);
  }
  point_ = CommitPoint{};
  rows_ = 0;
  bytes_ = 0;
  return absl::OkStatus();
}

}  // namespace wallaby
