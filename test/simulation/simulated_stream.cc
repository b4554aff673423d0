#include "test/simulation/simulated_stream.h"

#include <algorithm>
#include <deque>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "test/simulation/interpose.h"
#include "test/simulation/pgoutput_writer.h"
#include "test/simulation/world.h"

namespace wallaby::simulation {
namespace {

absl::Status Ended() {
  return absl::UnavailableError("simulated: the replication stream has ended");
}

class SimulatedStream final : public ReplicationStream {
 public:
  SimulatedStream(const StreamOptions& options, int pid, Lsn start)
      : world_(World::Now()),
        database_(world_.database),
        pid_(pid),
        epoch_(database_.sessions_epoch),
        writer_(options.binary, options.messages, world_.plan.empty_transactions),
        next_(database_.FirstFrom(start)),
        sent_(start) {}

  ~SimulatedStream() override {
    if (!broken_ && IsMine()) LeaveSlot(world_.scheduler.process()->number);
  }

  absl::StatusOr<Packet> Next() override {
    world_.scheduler.Step();
    RETURN_IF_ERROR(Check());
    if (world_.chance.OneIn(24)) return Packet{};  // the rest is still on its way
    if (keepalive_due_ || world_.chance.OneIn(40)) return Keepalive();
    Fill();
    if (messages_.empty()) return Packet{};
    last_ = std::move(messages_.front());
    messages_.pop_front();
    if (messages_.empty()) sent_ = last_.lsn;
    return Packet{.kind = Packet::Kind::kData, .wal_end = last_.lsn, .payload = last_.bytes};
  }

  absl::Status Wait(absl::Duration timeout, Event& wake) override {
    Scheduler& scheduler = world_.scheduler;
    scheduler.Step();
    const Nanos deadline = scheduler.now() + absl::ToInt64Nanoseconds(timeout);
    while (true) {
      RETURN_IF_ERROR(Check());
      Fill();
      if (!messages_.empty() || keepalive_due_ || wake.Wait(absl::ZeroDuration())) return absl::OkStatus();
      if (scheduler.now() >= deadline) return absl::OkStatus();
      scheduler.Block(PollQueue(), deadline);
    }
  }

  absl::Status SendFeedback(Lsn, Lsn flushed, bool request_reply) override {
    world_.scheduler.Step();
    RETURN_IF_ERROR(Check());
    if (world_.Chance(world_.plan.error_permille)) {  // sent, and the connection was lost on the way
      broken_ = true;
      ++world_.statistics.errors;
      LeaveSlot(world_.scheduler.process()->number);
      return absl::OkStatus();
    }
    keepalive_due_ |= request_reply;
    Slot& slot = database_.slot;
    if (flushed > slot.confirmed) {
      world_.oracle.OnAcknowledge(flushed);
      slot.confirmed = flushed;
      if (world_.chance.OneIn(3)) slot.persisted = flushed;
    }
    return absl::OkStatus();
  }

 private:
  bool IsMine() const { return epoch_ == database_.sessions_epoch && database_.slot.active_pid == pid_; }
  absl::Status Check() {
    if (broken_ || !IsMine() || database_.slot.lost) return Ended();
    if (world_.Chance(world_.plan.error_permille / 8)) {
      broken_ = true;
      ++world_.statistics.errors;
      LeaveSlot(world_.scheduler.process()->number);
      return Ended();
    }
    return absl::OkStatus();
  }

  Packet Keepalive() {
    keepalive_due_ = false;
    Fill();
    // Within a transaction, how far the log was read: at most to its commit record.
    Lsn at = sent_;
    if (messages_.empty()) {
      at = database_.current();
    } else if (world_.chance.OneIn(2)) {
      at = database_.wal[next_ - 1].commit;
    }
    return {.kind = Packet::Kind::kKeepalive, .wal_end = at, .reply_requested = world_.chance.OneIn(8)};
  }

  // Decodes the next transaction that has something to send.
  void Fill() {
    while (messages_.empty() && next_ < database_.wal.size()) {
      const WalTransaction& t = database_.wal[next_++];
      for (SentMessage& message : writer_.Write(t)) messages_.push_back(std::move(message));
      if (messages_.empty()) sent_ = t.end;
    }
  }

  World& world_;
  Database& database_;
  const int pid_;
  const int64_t epoch_;
  PgoutputWriter writer_;
  size_t next_;  // of the log's transactions
  Lsn sent_;     // everything before it was sent
  std::deque<SentMessage> messages_;
  SentMessage last_;
  bool keepalive_due_ = false;
  bool broken_ = false;
};

}  // namespace

absl::StatusOr<std::unique_ptr<ReplicationStream>> StartSimulatedStream(const StreamOptions& options) {
  World& world = World::Now();
  Slot& slot = world.database.slot;
  if (!slot.exists) return absl::NotFoundError("simulated: the slot does not exist");
  if (slot.lost) return absl::FailedPreconditionError("simulated: can no longer get changes from the slot");
  if (slot.active_pid != 0 && (slot.active_until == 0 || world.scheduler.now() < slot.active_until)) {
    return absl::FailedPreconditionError(absl::StrCat("simulated: the slot is active for PID ", slot.active_pid));
  }
  slot.active_pid = world.database.next_pid++;
  slot.active_until = 0;
  slot.owner = world.scheduler.process()->number;
  const Lsn start = std::max(options.start, slot.confirmed);
  world.Say(absl::StrCat("streaming from ", start.ToString(), ", asked for ", options.start.ToString()));
  return std::make_unique<SimulatedStream>(options, slot.active_pid, start);
}

void LeaveSlot(int process) {
  World& world = World::Now();
  Slot& slot = world.database.slot;
  if (slot.active_pid == 0 || slot.owner != process || slot.active_until != 0) return;
  slot.active_until = world.scheduler.now() + world.chance.Skewed(12) * kMillisecond;
}

}  // namespace wallaby::simulation
