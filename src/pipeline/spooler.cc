#include "pipeline/spooler.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/backoff.h"
#include "base/failpoint.h"
#include "base/status.h"
#include "pgoutput/messages.h"
#include "spool/spool_cursor.h"
#include "spool/spool_lock.h"
#include "spool/why_full.h"
#include "telemetry/log.h"

namespace wallaby {
namespace {

// How many packets one drain takes before the spooler looks at its other duties.
constexpr int kPacketsPerDrain = 4096;
// What was appended becomes durable at this age, or at this size.
constexpr absl::Duration kSyncAfter = absl::Milliseconds(500);
constexpr int64_t kSyncBytes = 32 << 20;
// How often the spooler looks whether there is room, and who is past what.
constexpr absl::Duration kLookEvery = absl::Seconds(1);
// While another process has the spool, or there is nothing to spool yet.
constexpr absl::Duration kAskAgain = absl::Seconds(1);
// A walsender whose worker has ended needs a moment to see it.
constexpr absl::Duration kSoonFree = absl::Seconds(10);

// Nothing is wrong; there is nothing to do here for now.
absl::Status NotYet(std::string_view why) {
  return absl::CancelledError(why);
}

}  // namespace

Spooler::Spooler(Source* source, const SourceOptions* source_options, ControlStore* store, Clock* clock,
                 SpoolOptions spool, SpoolPolicy policy, Failed failed)
    : source_(source),
      source_options_(source_options),
      store_(store),
      clock_(clock),
      spool_(std::move(spool)),
      policy_(policy),
      failed_(std::move(failed)),
      thread_([this] { Run(); }) {}

Spooler::~Spooler() {
  end_.Set();
  wake_.Set();
  thread_.join();
}

void Spooler::Poke() {
  {
    std::lock_guard lock(mutex_);
    poked_ = true;
  }
  wake_.Set();
}

std::string Spooler::trouble() const {
  std::lock_guard lock(mutex_);
  return trouble_;
}

std::optional<SpoolName> Spooler::name() const {
  std::lock_guard lock(mutex_);
  return name_;
}

void Spooler::SetTrouble(std::string trouble) {
  std::lock_guard lock(mutex_);
  trouble_ = std::move(trouble);
}

void Spooler::Run() {
  Backoff backoff(absl::Milliseconds(500), absl::Seconds(30));
  while (!end_.Wait(absl::ZeroDuration())) {
    const absl::Status status = SpoolOnce();
    if (status.ok()) return;
    if (absl::IsCancelled(status)) {
      backoff.Reset();
      wake_.Wait(kAskAgain);
      wake_.Clear();
      continue;
    }
    SetTrouble(absl::StrCat("the slot is not read: ", status.message()));
    if (!IsTransient(status) && !absl::IsResourceExhausted(status)) {
      Log(LogLevel::kError, "the spool cannot go on", {{"error", std::string(status.message())}});
      failed_(status);
      return;
    }
    const absl::Duration wait = backoff.Next();
    Log(LogLevel::kWarn, "spooling failed; trying again",
        {{"error", std::string(status.message())}, {"in", absl::FormatDuration(wait)}});
    end_.Wait(wait);
  }
}

absl::Status Spooler::SpoolOnce() {
  Try t;
  RETURN_IF_ERROR(Open(t));
  SetTrouble("");
  while (!end_.Wait(absl::ZeroDuration())) RETURN_IF_ERROR(Step(t));
  return Close(t);
}

// Another process reads the slot into the spool, or is about to make it.
absl::Status Spooler::Follow(const SpoolName& name) {
  in_use_since_.reset();
  const std::string full = WhySpoolFull(spool_, name);
  SetTrouble(full.empty() ? "" : absl::StrCat(kSpoolIsFull, full));
  return NotYet("another process has the spool");
}

// Mostly the walsender of a worker that ended just now, or died, of which the server does not know yet.
absl::Status Spooler::AwaitSlot(const SlotInfo& slot) {
  const absl::Duration now = clock_->Monotonic();
  if (!in_use_since_) in_use_since_ = now;
  const std::string text = SlotInUse(slot);
  if (now - *in_use_since_ >= kSoonFree) {
    std::string trouble = absl::StrCat("the slot is not read: ", text);
    if (this->trouble() != trouble) Log(LogLevel::kWarn, trouble);
    SetTrouble(std::move(trouble));
  }
  return NotYet(text);
}

absl::Status Spooler::Open(Try& t) {
  if (const auto known = this->name(); known && SpoolLock::IsTaken(spool_, *known)) return Follow(*known);
  ASSIGN_OR_RETURN(t.session, source_->Connect());
  ASSIGN_OR_RETURN(const ServerInfo server, t.session->GetServerInfo());
  const SpoolName name{server.system_identifier, source_options_->slot};
  {
    std::lock_guard lock(mutex_);
    name_ = name;
  }
  ASSIGN_OR_RETURN(const auto cursors, SpoolCursors(spool_, name));
  // At 0/0 a flow has no checkpoint yet, and begins where the slot stands when it makes its first.
  const bool begun = std::any_of(cursors.begin(), cursors.end(), [](const auto& at) { return at.second.valid(); });
  if (!begun) return NotYet("no flow has begun to read the slot");
  // Before the slot is looked at: what it says then holds until this one reads it.
  auto lock = SpoolLock::Take(spool_, name);
  if (absl::IsAborted(lock.status())) return Follow(name);
  RETURN_IF_ERROR(lock.status());
  ASSIGN_OR_RETURN(const std::optional<SlotInfo> slot, t.session->GetSlot());
  // The flow's own attempt makes it, or says what its loss means.
  if (!slot.has_value()) return NotYet("there is no slot");
  RETURN_IF_ERROR(CheckSlotUsable(*slot, server.database));
  if (slot->being_made()) return NotYet("the slot is being made");
  if (slot->active) return AwaitSlot(*slot);
  in_use_since_.reset();
  ASSIGN_OR_RETURN(t.writer, SpoolWriter::Open(spool_, name, publication(), slot->confirmed_flush, *std::move(lock)));
  if (slot->confirmed_flush > t.writer->end()) {
    return absl::DataLossError(absl::StrCat(
        "the spool ", SpoolFolder(spool_, name), " ends at ", t.writer->end().ToString(), ", but slot ", slot->name,
        " was moved on to ", slot->confirmed_flush.ToString(),
        ": the changes between are gone, because the spool's last segment was damaged or somebody else has read the "
        "slot. To copy every table of its flows again, stop them and run for each: wallaby-worker -flow-id ID -mode "
        "backfill"));
  }
  RETURN_IF_ERROR(ProveHistory(t, server, slot->confirmed_flush));
  t.budget = std::make_unique<SpoolBudget>(store_, spool_, name, policy_);
  RETURN_IF_ERROR(LookForRoom(t));
  StreamOptions options;
  options.start = t.writer->end();
  options.messages = true;
  options.on_switch = [](std::string_view what) { Log(LogLevel::kInfo, what, {{"by", "spool"}}); };
  ASSIGN_OR_RETURN(t.stream, t.session->StartReplication(options));
  Log(LogLevel::kInfo, "spooling",
      {{"slot", slot->name}, {"from", options.start.ToString()}, {"folder", SpoolFolder(spool_, name)}});
  t.synced_at = clock_->Monotonic();
  return Tell(t, /*request_reply=*/true);
}

absl::Status Spooler::Step(Try& t) {
  wake_.Clear();
  {
    std::lock_guard lock(mutex_);
    t.poked |= std::exchange(poked_, false);
  }
  bool more = false;
  // A transaction that has begun is taken whole.
  if (t.room || t.writer->in_transaction()) {
    ASSIGN_OR_RETURN(more, Drain(t));
  }
  if (!more) RETURN_IF_ERROR(TakeIdle(t));
  if (t.dirty && !more) {
    RETURN_IF_ERROR(t.writer->Flush());
    t.dirty = false;
  }
  const absl::Duration now = clock_->Monotonic();
  if (t.writer->durable() < t.writer->end() && (now - t.synced_at >= kSyncAfter || t.unsynced >= kSyncBytes)) {
    RETURN_IF_ERROR(t.writer->Sync());
    t.synced_at = now;
    t.unsynced = 0;
    t.dirty = false;
  }
  if (now - t.looked_at >= kLookEvery || MustLook(t)) RETURN_IF_ERROR(LookForRoom(t));
  if (t.poked || t.reply_requested || t.writer->durable() > t.told ||
      now - t.told_at >= source_options_->status_interval) {
    RETURN_IF_ERROR(Tell(t, std::exchange(t.poked, false)));
  }
  if (more) return absl::OkStatus();
  const absl::Duration until_sync = t.writer->durable() < t.writer->end() ? kSyncAfter : kLookEvery;
  if (!t.room && !t.writer->in_transaction()) {
    wake_.Wait(until_sync);
    return absl::OkStatus();
  }
  return t.stream->Wait(std::min(until_sync, source_options_->status_interval), wake_);
}

absl::StatusOr<bool> Spooler::Drain(Try& t) {
  for (int i = 0; i < kPacketsPerDrain; ++i) {
    ASSIGN_OR_RETURN(const Packet packet, t.stream->Next());
    switch (packet.kind) {
      case Packet::Kind::kNone:
        return false;
      case Packet::Kind::kData:
        RETURN_IF_ERROR(t.writer->Append(packet.payload));
        t.dirty = true;
        t.unsynced += static_cast<int64_t>(packet.payload.size());
        t.unlooked += static_cast<int64_t>(packet.payload.size());
        t.received = std::max(t.received, packet.wal_end);
        // Without room the transaction that was begun is the last.
        if (!t.writer->in_transaction() && (!t.room || MustLook(t))) return true;
        break;
      case Packet::Kind::kKeepalive:
        t.idle = t.received = std::max(t.received, packet.wal_end);
        t.reply_requested |= packet.reply_requested;
        break;
    }
  }
  return true;
}

// Positions are given out again by a server that was restored from an image or a backup, or promoted without the last
// transactions: what comes under those that the spool has would be left out. So before anything is read or confirmed,
// what the slot would send again must end with what the spool ends with.
absl::Status Spooler::ProveHistory(const Try& t, const ServerInfo& server, Lsn confirmed) const {
  const Lsn end = t.writer->end();
  if (confirmed == end) return absl::OkStatus();
  if (server.current_lsn < end) {
    const std::string text = absl::StrCat("the source's history goes to ", server.current_lsn.ToString(),
                                          ", and the spool to ", end.ToString());
    if (server.in_recovery) return absl::UnavailableError(text + ": the standby has not come so far yet");
    return OtherHistory(text);
  }
  ASSIGN_OR_RETURN(const std::optional<Transaction> found, t.session->LastSent(end, Sent::kAnything));
  const Lsn last = t.writer->last_commit();
  pgoutput::Begin had;
  if (!t.writer->last_begin().empty()) RETURN_IF_ERROR(pgoutput::ParseBegin(t.writer->last_begin(), &had));
  const bool known = had.commit.valid() && had.commit == last;
  const bool same =
      !found.has_value()
          ? last < confirmed
          : found->commit == last &&
                (!known || (found->xid == had.xid && found->commit_time_micros == had.commit_time_micros));
  if (same) {
    Log(LogLevel::kInfo, "the slot has gone back, and the source's history is the one that was read",
        {{"confirmed", confirmed.ToString()}, {"spooled", end.ToString()}, {"last", last.ToString()}});
    return absl::OkStatus();
  }
  const std::string now =
      found.has_value() ? absl::StrCat("with the transaction at ", found->commit.ToString(), " (xid ", found->xid, ")")
                        : absl::StrCat("with none behind ", confirmed.ToString());
  return OtherHistory(absl::StrCat("before ", end.ToString(), " the source now ends ", now,
                                   ", and the spool with one at ", last.ToString(),
                                   known ? absl::StrCat(" (xid ", had.xid, ")") : ""));
}

absl::Status Spooler::OtherHistory(std::string_view what) const {
  const std::optional<SpoolName> name = this->name();
  std::string remedy, drop;
  int flows = 0;
  const auto cursors = SpoolCursors(spool_, *name);
  if (cursors.ok()) {
    for (const auto& [id, lsn] : *cursors) {
      const std::string flow_id = FlowOfCursor(id);
      if (id != flow_id) continue;
      if (flows++ == 0) drop = absl::StrCat("wallaby-admin slot drop -flow-id ", flow_id);
      absl::StrAppend(&remedy, "; wallaby-worker -flow-id ", flow_id, " -mode backfill");
    }
  }
  return absl::FailedPreconditionError(absl::StrCat(
      "the source's history is not the one that the spool ", SpoolFolder(spool_, *name), " has: ", what,
      "; the source was restored from an image or a backup, or failed over to a standby that lacked the last "
      "transactions, and changes are missing or too many at the destinations, in any table. To copy every table of the "
      "slot's flows again, stop them and run: ",
      drop, flows > 1 ? " -shared" : "", remedy));
}

// WAL without changes for us moves the flows and the slot on, too.
absl::Status Spooler::TakeIdle(Try& t) {
  if (t.writer->in_transaction() || t.idle <= t.writer->end()) return absl::OkStatus();
  RETURN_IF_ERROR(t.writer->AppendIdle(t.idle));
  t.dirty = true;
  return absl::OkStatus();
}

// So that a limit is not exceeded by all that comes in a second.
bool Spooler::MustLook(const Try& t) const {
  return t.unlooked >= SpoolSegmentBytes(spool_) / 4;
}

absl::Status Spooler::LookForRoom(Try& t) {
  const bool had = t.room;
  ASSIGN_OR_RETURN(t.room, t.budget->MakeRoom(*t.writer, clock_->Monotonic()));
  t.looked_at = clock_->Monotonic();
  t.unlooked = 0;
  if (had && !t.room) {
    Log(LogLevel::kWarn, "the spool is full: the slot is not read on, and the source keeps its WAL",
        {{"why", t.budget->why_full()}});
  } else if (!had && t.room) {
    Log(LogLevel::kInfo, "the spool has room again");
  }
  std::string why = t.room ? "" : t.budget->why_full();
  SetTrouble(t.room ? "" : absl::StrCat(kSpoolIsFull, why));
  if (t.noted != why) {
    // On a full disk there may be no room for it either.
    NoteWhySpoolFull(spool_, *name(), why).IgnoreError();
    t.noted = std::move(why);
  }
  return absl::OkStatus();
}

absl::Status Spooler::Tell(Try& t, bool request_reply) {
  RETURN_IF_ERROR(ReachFailpoint(Failpoint::kSourceFeedback));
  t.told = t.writer->durable();
  t.told_at = clock_->Monotonic();
  t.reply_requested = false;
  return t.stream->SendFeedback(std::max(t.received, t.told), t.told, request_reply);
}

absl::Status Spooler::Close(Try& t) {
  if (t.writer->in_transaction()) RETURN_IF_ERROR(t.writer->DropOpen());
  RETURN_IF_ERROR(t.writer->Sync());
  return Tell(t, /*request_reply=*/false);
}

}  // namespace wallaby
