// How an attempt joins the spool of its slot, which other flows may share: who makes the slot, and where a flow begins.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "pipeline/attempt.h"

namespace wallaby {

// It has no position yet. Whoever makes it waits for transactions at the source, and this flow with it.
absl::Status Attempt::CheckSlotMade() const {
  if (!slot_.has_value() || !slot_->being_made()) return absl::OkStatus();
  return absl::AbortedError(absl::StrCat("slot ", slot_->name, " is being made by the process with pid ",
                                         slot_->active_pid,
                                         " on the source, which waits for the transactions that are open there; this "
                                         "flow waits for the slot"));
}

// From here on the spool keeps what this flow has not delivered.
absl::Status Attempt::JoinSpool() {
  if (!c_.options->spool) return absl::OkStatus();
  const SpoolOptions& spool = *c_.options->spool;
  spool_name_ = {server_.system_identifier, c_.source_options->slot};
  if (!slot_.has_value()) RETURN_IF_ERROR(TakeSpoolOfNoSlot());
  RETURN_IF_ERROR(CheckSpoolPublication(spool, spool_name_, c_.source_options->publication));
  ASSIGN_OR_RETURN(const auto cursors, SpoolCursors(spool, spool_name_));
  c_.shares_slot = std::any_of(cursors.begin(), cursors.end(),
                               [this](const auto& entry) { return FlowOfCursor(entry.first) != c_.flow->id; });
  if (c_.lane.empty()) RETURN_IF_ERROR(KeepForLanes());
  Lsn at = checkpoint_.has_value() ? checkpoint_->lsn : Lsn{};
  if (KeepFrom().valid()) at = std::min(at, KeepFrom());
  ASSIGN_OR_RETURN(cursor_, SpoolCursor::Register(spool, spool_name_, CursorId(), at));
  if (c_.lane.empty()) RETURN_IF_ERROR(LetGoOfLanes());
  if (c_.spooler != nullptr) c_.spooler->Poke();
  if (checkpoint_.has_value() || !slot_.has_value()) return absl::OkStatus();
  // The slot may have moved on and the spool behind it until the cursor was there; from here on it keeps everything.
  // The tables after the slot: one that is made in between is in the list, or in the stream.
  RETURN_IF_ERROR(LookAtSlot());
  if (!slot_.has_value()) {
    return absl::AbortedError(absl::StrCat("slot ", c_.source_options->slot, " was dropped just now; looking again"));
  }
  return ListTables(*session_);
}

// Of the flows that share a slot which is not there, one makes it, with the lock of its spool until its first
// checkpoint is stored. What it finds there is of an older slot.
absl::Status Attempt::TakeSpoolOfNoSlot() {
  const SpoolOptions& spool = *c_.options->spool;
  const auto take = [&]() -> absl::Status {
    auto lock = SpoolLock::Take(spool, spool_name_);
    if (absl::IsAborted(lock.status())) {
      return absl::AbortedError(
          absl::StrCat("slot ", c_.source_options->slot,
                       " is about to be made for another flow, and this flow waits for it: ", lock.status().message()));
    }
    RETURN_IF_ERROR(lock.status());
    spool_lock_ = *std::move(lock);
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(take());
  RETURN_IF_ERROR(LookAtSlot());
  if (slot_.has_value()) {
    spool_lock_.reset();
    return absl::OkStatus();
  }
  if (!SpoolExists(spool, spool_name_)) return absl::OkStatus();
  RETURN_IF_ERROR(RemoveSpool(spool, spool_name_, std::move(spool_lock_)));
  return take();
}

// Never before what is still in the spool: of the segments that others have passed, one may have gone since the slot
// told its position.
absl::StatusOr<Lsn> Attempt::FirstPosition() const {
  if (!c_.options->spool) return slot_->confirmed_flush;
  ASSIGN_OR_RETURN(const Lsn begin, SpoolBegin(*c_.options->spool, spool_name_));
  return std::max(slot_->confirmed_flush, begin);
}

}  // namespace wallaby
