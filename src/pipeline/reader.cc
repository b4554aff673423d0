#include "pipeline/reader.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/check.h"
#include "base/failpoint.h"
#include "base/status.h"
#include "telemetry/trace_events.h"

namespace wallaby {
namespace {

// How many packets one drain takes before the reader looks at its other duties.
constexpr int kPacketsPerDrain = 4096;
// The longest wait: other duties are looked at that often.
constexpr absl::Duration kLongestWait = absl::Seconds(1);
// Between a probe's polls while the server is busy decoding.
constexpr absl::Duration kPollInterval = absl::Milliseconds(100);
// A drain of so many packets means load. Then an idle writer waits until the batch is so old: handing on costs, too.
constexpr int64_t kBusyPackets = 256;
constexpr absl::Duration kLoadedAge = absl::Milliseconds(12);

}  // namespace

Reader::Reader(ReplicationStream* stream, pgoutput::Assembler* assembler, std::vector<WriteQueue*> queues,
               AckLedger* ledger, const std::atomic<uint64_t>* acknowledged, Clock* clock, Event* wake,
               ReaderOptions options)
    : stream_(stream),
      assembler_(assembler),
      queues_(std::move(queues)),
      ledger_(ledger),
      acknowledged_(acknowledged),
      clock_(clock),
      wake_(wake),
      options_(options),
      has_pending_(queues_.size(), false),
      read_mark_(ledger->standing().mark) {}

absl::Status Reader::Run(const std::atomic<bool>& stop) {
  RETURN_IF_ERROR(SendFeedback(/*request_reply=*/true));
  while (!stop && !drained_) {
    wake_->Clear();
    if (barrier_.valid()) {
      if (FinishBeforeBarrier()) return absl::OkStatus();
      RETURN_IF_ERROR(MaybeSendFeedback());
      wake_->Wait(kLongestWait);
      continue;
    }
    if (pending_ == nullptr) {
      RETURN_IF_ERROR(Read());
      if (pending_ == nullptr && BatchIsDue()) HandOn();
    }
    const bool blocked = !PushPending();
    RETURN_IF_ERROR(MaybeSendFeedback());
    if (options_.max_empty_reads > 0) RETURN_IF_ERROR(PollWhenEmpty());
    if (stop || drained_ || barrier_.valid() || (more_ && !blocked)) continue;
    absl::Duration timeout =
        std::min(options_.status_interval, options_.max_empty_reads > 0 ? kPollInterval : kLongestWait);
    if (blocked) {
      // The socket is left alone: what it holds is the server's to keep until there is room.
      wake_->Wait(timeout);
      continue;
    }
    if (!batch_->empty()) timeout = std::min({timeout, options_.batch_timeout, kLoadedAge});
    RETURN_IF_ERROR(Wait(timeout));
  }
  // Told to stop before all in front of the barrier was handed on: that is left to the next start, which meets the
  // barrier again. So nobody may take it for delivered.
  if (pending_ != nullptr || !batch_->empty()) barrier_ = {};
  AckIdlePosition();
  return absl::OkStatus();
}

// What comes behind a barrier has been received and is delivered by nobody.
void Reader::AckIdlePosition() {
  if (NothingHeld() && !barrier_.valid()) ledger_->Idle(received_, read_mark_);
}

bool Reader::FinishBeforeBarrier() {
  if (pending_ == nullptr && !batch_->empty()) HandOn();
  return PushPending() && batch_->empty();
}

absl::Status Reader::Read() {
  const absl::Duration began = clock_->Monotonic();
  const absl::Time traced_from = IsTracing() ? absl::Now() : absl::InfinitePast();
  const int64_t before = packets_;
  RETURN_IF_ERROR(Drain());
  drained_packets_ = packets_ - before;
  if (packets_ == before) return absl::OkStatus();
  instruments_.read_latency.Observe(absl::ToDoubleSeconds(clock_->Monotonic() - began));
  if (!IsTracing()) return absl::OkStatus();
  if (!batch_span_ && !batch_->empty()) batch_span_ = Span("stream.batch", nullptr, traced_from);
  Span("source.read", &batch_span_, traced_from).Set("packets", packets_ - before);
  return absl::OkStatus();
}

absl::Status Reader::Wait(absl::Duration timeout) {
  if (!IsTracing()) return stream_->Wait(timeout, *wake_);
  const absl::Time began = absl::Now();
  absl::Status status = stream_->Wait(timeout, *wake_);
  // A wait that nothing ended is of no interest.
  if (batch_span_ || absl::Now() - began < timeout) Span("source.wait", &batch_span_, began);
  return status;
}

absl::Status Reader::Drain() {
  more_ = true;
  for (int i = 0; i < kPacketsPerDrain && pending_ == nullptr && !barrier_.valid(); ++i) {
    ASSIGN_OR_RETURN(const Packet packet, stream_->Next());
    switch (packet.kind) {
      case Packet::Kind::kNone:
        more_ = false;
        return absl::OkStatus();
      case Packet::Kind::kData:
        ++packets_;
        RETURN_IF_ERROR(OnData(packet));
        break;
      case Packet::Kind::kKeepalive:
        received_ = std::max(received_, packet.wal_end);
        stats_.server_end = packet.wal_end.value;
        keepalive_since_poll_ = true;
        reply_requested_ |= packet.reply_requested;
        if (options_.stop_when_passed && packet.wal_end >= options_.stop_before && !assembler_->in_transaction()) {
          barrier_ = options_.stop_before;
        }
        break;
    }
  }
  return absl::OkStatus();
}

absl::Status Reader::OnData(const Packet& packet) {
  received_ = std::max(received_, packet.wal_end);
  data_since_poll_ = true;
  const bool was_empty = batch_->empty();
  ASSIGN_OR_RETURN(const auto outcome, assembler_->Add(packet.payload, batch_.get()));
  switch (outcome) {
    case pgoutput::Assembler::Outcome::kNone:
      if (options_.stop_before.valid() && assembler_->in_transaction() &&
          assembler_->transaction().commit >= options_.stop_before) {
        barrier_ = assembler_->transaction().commit;
      }
      break;
    case pgoutput::Assembler::Outcome::kHeld:
      barrier_ = assembler_->transaction().commit;
      break;
    case pgoutput::Assembler::Outcome::kChange:
      if (was_empty) batch_began_ = clock_->Monotonic();
      ++stats_.changes;
      // A transaction that alone outgrows a batch is cut.
      if (static_cast<int64_t>(batch_->arena()->size()) >= options_.batch_bytes) HandOn();
      break;
    case pgoutput::Assembler::Outcome::kCommitted:
      return OnCommit();
  }
  return absl::OkStatus();
}

absl::Status Reader::OnCommit() {
  read_through_ = assembler_->transaction().end;
  received_ = std::max(received_, read_through_);
  if (assembler_->committed_had_rows()) read_mark_ = read_mark_.After(assembler_->transaction());
  if (!assembler_->committed_had_changes()) return absl::OkStatus();
  held_mark_ = read_mark_;
  ++stats_.transactions;
  // The commit of a transaction whose changes all went out in earlier batches must reach the writers too.
  WALLABY_CHECK(!batch_->empty(), "a transaction with changes is in the batch when it commits");
  const bool full = static_cast<int64_t>(batch_->change_count()) >= options_.batch_changes;
  // Reading the clock costs; under load every sixteenth commit is often enough.
  const bool old = ++commits_since_clock_ % 16 == 0 && clock_->Monotonic() - batch_began_ >= options_.batch_timeout;
  if (full || (old && WritersAreIdle())) HandOn();
  return absl::OkStatus();
}

bool Reader::BatchIsDue() {
  // Of a transaction that was cut, the rest may be long in coming: nothing to hand on until there are changes.
  if (batch_->empty() || more_ || (batch_->change_count() == 0 && assembler_->in_transaction())) return false;
  if (!WritersAreIdle()) return false;
  const absl::Duration age = clock_->Monotonic() - batch_began_;
  // Everything that has arrived is in: no use in waiting when a writer has nothing to do.
  const bool loaded = drained_packets_ >= kBusyPackets && age < kLoadedAge;
  return (!assembler_->transaction_has_changes() && !loaded) || age >= options_.batch_timeout;
}

bool Reader::WritersAreIdle() const {
  return std::any_of(queues_.begin(), queues_.end(), [](const WriteQueue* queue) { return queue->empty(); });
}

void Reader::HandOn() {
  auto next = spare_->TakeLike(*batch_);
  const bool cut = assembler_->transaction_has_changes();
  batch_->set_continues(cut);
  if (cut) assembler_->ContinueIn(next.get());
  const auto& transactions = batch_->transactions();
  const size_t whole = transactions.size() - (cut ? 1 : 0);
  // Before the push: a writer may be done with it before this thread goes on.
  if (whole > 0) ledger_->Handed(transactions[whole - 1].end, held_mark_);
  const Lsn read = whole > 0 ? transactions[whole - 1].end : Lsn{};
  if (IsTracingEvents()) {
    if (!batch_span_) batch_span_ = Span("stream.batch");
    process_span_ = Span("source.process", &batch_span_);
    const SpanScope scope(&process_span_);
    TraceEvent(spec::kReadBatch, "Running", read,
               {{"changes", absl::StrCat(batch_->change_count())}, {"transactions", absl::StrCat(whole)}});
  }
  pending_ = instruments_.HandOn(std::move(batch_), clock_, batch_began_, std::move(batch_span_), spare_);
  batch_ = std::move(next);
  batch_began_ = clock_->Monotonic();
  std::fill(has_pending_.begin(), has_pending_.end(), false);
}

bool Reader::PushPending() {
  if (pending_ == nullptr) return true;
  bool all = true;
  for (size_t i = 0; i < queues_.size(); ++i) {
    if (has_pending_[i]) continue;
    WriteItem item{pending_, false};
    has_pending_[i] = queues_[i]->TryPush(item, pending_->bytes());
    all &= has_pending_[i];
  }
  if (!all) return false;
  pending_.reset();
  process_span_.End();
  return true;
}

absl::Status Reader::MaybeSendFeedback() {
  const absl::Duration now = clock_->Monotonic();
  const bool interval = now - last_feedback_ >= options_.status_interval;
  // Not at each keepalive: every move of the idle position costs a checkpoint.
  if (!more_ && (interval || reply_requested_)) AckIdlePosition();
  if (interval || reply_requested_ || acknowledged_->load() > flushed_sent_.value) {
    return SendFeedback(/*request_reply=*/false);
  }
  return absl::OkStatus();
}

absl::Status Reader::SendFeedback(bool request_reply) {
  RETURN_IF_ERROR(ReachFailpoint(Failpoint::kSourceFeedback));
  const Lsn acknowledged{acknowledged_->load()};
  if (acknowledged != flushed_sent_) TraceEvent(spec::kAcknowledge, "Running", acknowledged);
  flushed_sent_ = acknowledged;
  last_feedback_ = clock_->Monotonic();
  reply_requested_ = false;
  return stream_->SendFeedback(received_, flushed_sent_, request_reply);
}

// A destination that lets changes linger would keep the probe waiting.
void Reader::AskForCommit() {
  for (WriteQueue* queue : queues_) {
    if (!queue->empty()) continue;
    WriteItem item;
    queue->TryPush(item, 1);
  }
}

absl::Status Reader::SendLastFeedback() {
  return SendFeedback(/*request_reply=*/false);
}

// A poll is a request for the server's position and its answer. It was empty when the answer lies at or beyond the
// target and nothing else came. A server that is still decoding answers with a position before the target, so it is
// never taken for one that has nothing to send.
absl::Status Reader::PollWhenEmpty() {
  if (more_ || !NothingHeld()) return absl::OkStatus();
  if (poll_sent_) {
    if (!keepalive_since_poll_ && !data_since_poll_) return absl::OkStatus();
    const bool caught_up = stats_.server_end >= options_.drain_to.value;
    if (caught_up && !data_since_poll_ && !ledger_->settled()) {
      AskForCommit();
      return absl::OkStatus();
    }
    empty_reads_ = !data_since_poll_ && caught_up ? empty_reads_ + 1 : 0;
    drained_ = empty_reads_ >= options_.max_empty_reads;
    if (drained_) return absl::OkStatus();
    // Not yet there: the next answer would be the same for a while.
    if (!caught_up && clock_->Monotonic() - poll_sent_at_ < kPollInterval) return absl::OkStatus();
  }
  poll_sent_ = true;
  poll_sent_at_ = clock_->Monotonic();
  keepalive_since_poll_ = false;
  data_since_poll_ = false;
  return SendFeedback(/*request_reply=*/true);
}

}  // namespace wallaby
