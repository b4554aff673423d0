// What an attempt finds at the start: whether the slot, the source and the destinations go on where the flow stands.
#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/deliberate_bug.h"
#include "base/status.h"
#include "destination/stream_only_destination.h"
#include "pipeline/attempt.h"
#include "pipeline/ddl_apply.h"
#include "telemetry/log.h"

namespace wallaby {

std::string Attempt::BackfillCommand() const {
  return absl::StrCat("wallaby-worker -flow-id ", c_.flow->id, " -mode backfill");
}

absl::Status Attempt::NeedsBackfill(const std::string& what) const {
  // Of a secondary, the others go on meanwhile.
  const std::string stop = c_.lane.empty() ? "" : absl::StrCat("wallaby-admin flow stop -flow-id ", c_.flow->id, "; ");
  return absl::FailedPreconditionError(
      absl::StrCat(what, "; to copy every table again and go on from there, run: ", stop, BackfillCommand()));
}

// Before the checks, so that a lost slot gets this flow's remedy. A backfill that copies every table may replace it.
absl::Status Attempt::LookAtSlot() {
  ASSIGN_OR_RETURN(slot_, session_->GetSlot());
  ASSIGN_OR_RETURN(server_, session_->GetServerInfo());
  if (!slot_.has_value()) return absl::OkStatus();
  const absl::Status usable = CheckSlotUsable(*slot_, server_.database);
  if (usable.ok()) return absl::OkStatus();
  const bool lost = slot_->wal_status == "lost" || !slot_->invalidation_reason.empty();
  if (!lost) return usable;
  if (!CopiesEveryTable()) {
    const std::string& reason = slot_->invalidation_reason;
    const std::string why =
        reason.empty() || reason == "wal_removed"
            ? "the server has removed WAL that it needs, so the changes in it are gone (raise max_slot_wal_keep_size "
              "to keep more)"
            : absl::StrCat("the server has invalidated it (", reason, "), so the changes in it are gone");
    return NeedsBackfill(absl::StrCat("slot ", slot_->name, " is lost: ", why));
  }
  Log(LogLevel::kWarn, "dropping the lost slot; every table is copied again", {{"slot", slot_->name}});
  RETURN_IF_ERROR(session_->DropSlot());
  slot_.reset();
  return absl::OkStatus();
}

// Nothing may be missing between what was checkpointed, what the slot still has and what the destinations hold.
absl::Status Attempt::CheckContinuity() {
  RETURN_IF_ERROR(CheckSlotPosition());
  const bool known = std::any_of(checkpoint_->metadata.begin(), checkpoint_->metadata.end(),
                                 [](const auto& entry) { return entry.first.starts_with("destination."); });
  for (const OpenDestination& open : open_) {
    const auto entry = checkpoint_->metadata.find(DestinationKey(open.name));
    if (entry == checkpoint_->metadata.end()) {
      if (known && !BeginsWithChanges(open.name)) return IsNew(open.name);
      continue;
    }
    if (!open.destination->capabilities().keeps_progress) continue;
    ASSIGN_OR_RETURN(const Lsn confirmed, Lsn::Parse(entry->second));
    if (open.progress.end < confirmed || (LacksSnapshot(open) && !BeginsWithChanges(open.name))) {
      return NeedsBackfill(absl::StrCat("destination ", open.name, " holds changes up to ",
                                        open.progress.end.ToString(), ", but had confirmed ", confirmed.ToString(),
                                        " before; it was replaced, emptied or restored from a backup"));
    }
  }
  return absl::OkStatus();
}

// Without the rows that were there before.
bool Attempt::BeginsWithChanges(const std::string& destination) const {
  if (c_.source_options->snapshot == SnapshotMode::kNever) return true;
  const auto& all = c_.flow->destinations;
  const auto found = std::find_if(all.begin(), all.end(), [&](const Endpoint& one) { return one.name == destination; });
  return found != all.end() && LeavesOutCopies(found->options);
}

absl::Status Attempt::IsNew(const std::string& destination) const {
  return NeedsBackfill(absl::StrCat("destination ", destination,
                                    " is new and lacks the rows that were there before; to begin with ",
                                    "what changes from now on, give it the option snapshot: never"));
}

// What the slot has no more must be in the spool. Whether it is all there, the spool's reader sees.
absl::Status Attempt::CheckSlotPosition() const {
  if (slot_->confirmed_flush <= checkpoint_->lsn) return absl::OkStatus();
  const auto spool = checkpoint_->metadata.find(kSpoolKey);
  if (c_.options->spool) {
    if (SpoolExists(*c_.options->spool, spool_name_)) return absl::OkStatus();
    return NeedsBackfill(absl::StrCat("slot ", slot_->name, " has given its changes up to ",
                                      slot_->confirmed_flush.ToString(), " to a spool, this flow stands at ",
                                      checkpoint_->lsn.ToString(), ", and there is no spool ",
                                      SpoolFolder(*c_.options->spool, spool_name_)));
  }
  if (spool != checkpoint_->metadata.end()) {
    return absl::FailedPreconditionError(absl::StrCat("what this flow has not delivered is in the spool ",
                                                      spool->second,
                                                      "; set WALLABY_SPOOL_DIR as it was and start the flow again"));
  }
  return NeedsBackfill(absl::StrCat("slot ", slot_->name, " was moved to ", slot_->confirmed_flush.ToString(),
                                    " by somebody else, beyond ", checkpoint_->lsn.ToString(),
                                    " where this flow stands; the changes between are gone"));
}

// From here on the spool keeps what this flow has not delivered.
absl::Status Attempt::JoinSpool() {
  if (!c_.options->spool) return absl::OkStatus();
  const SpoolOptions& spool = *c_.options->spool;
  spool_name_ = {server_.system_identifier, c_.source_options->slot};
  // Of a slot that is gone.
  if (!slot_.has_value() && SpoolExists(spool, spool_name_)) RETURN_IF_ERROR(RemoveSpool(spool, spool_name_));
  ASSIGN_OR_RETURN(const auto cursors, SpoolCursors(spool, spool_name_));
  c_.shares_slot = std::any_of(cursors.begin(), cursors.end(),
                               [this](const auto& entry) { return FlowOfCursor(entry.first) != c_.flow->id; });
  if (c_.lane.empty()) RETURN_IF_ERROR(KeepForLanes());
  Lsn at = checkpoint_.has_value() ? checkpoint_->lsn : Lsn{};
  if (KeepFrom().valid()) at = std::min(at, KeepFrom());
  ASSIGN_OR_RETURN(cursor_, SpoolCursor::Register(spool, spool_name_, CursorId(), at));
  if (c_.lane.empty()) RETURN_IF_ERROR(LetGoOfLanes());
  if (c_.spooler != nullptr) c_.spooler->Poke();
  return absl::OkStatus();
}

// ---- whether the source has the history that this flow has read ----

void Attempt::NoteSource(Checkpoint* checkpoint) const {
  auto& metadata = checkpoint->metadata;
  // What was the last transaction of one publication need not be in another.
  const auto publication = metadata.find(kPublicationKey);
  if (publication != metadata.end() && publication->second != c_.source_options->publication) {
    metadata.erase(kHistoryMarkKey);
  }
  metadata[kSystemKey] = server_.system_identifier;
  metadata[kTimelineKey] = absl::StrCat(server_.timeline);
  metadata[kSlotKey] = c_.source_options->slot;
  metadata[kPublicationKey] = c_.source_options->publication;
  const auto note = [&metadata](const char* key, const std::vector<std::string>& names) {
    names.empty() ? void(metadata.erase(key)) : void(metadata[key] = absl::StrJoin(names, ","));
  };
  note(kTablesKey, c_.source_options->tables);
  note(kSchemasKey, c_.source_options->schemas);
}

absl::Status Attempt::CheckHistory() {
  // Every row is new at the destinations then; but what comes under positions that they have is left out.
  if (CopiesEveryTable()) return CheckReaches(server_.current_lsn);
  RETURN_IF_ERROR(CheckSystem());
  RETURN_IF_ERROR(CheckTimeline());
  return ProveHistory();
}

absl::Status Attempt::CheckSystem() const {
  const auto known = checkpoint_->metadata.find(kSystemKey);
  if (known == checkpoint_->metadata.end() || known->second == server_.system_identifier) return absl::OkStatus();
  return NeedsBackfill(absl::StrCat("the source is another server than before: its system identifier is ",
                                    server_.system_identifier, ", and this flow has read from ", known->second,
                                    "; its positions mean nothing here. If the source's DSN is wrong, mend that"));
}

// A server that was promoted may never have had the last transactions of the one before it, nor has one that was
// restored. Their positions are given out again, and streaming would leave out what comes under them.
absl::Status Attempt::CheckTimeline() const {
  Lsn end = server_.current_lsn;
  const auto known = checkpoint_->metadata.find(kTimelineKey);
  int timeline = 0;
  if (known != checkpoint_->metadata.end() && absl::SimpleAtoi(known->second, &timeline) &&
      timeline != server_.timeline) {
    ASSIGN_OR_RETURN(const std::optional<Lsn> left, session_->EndOfTimeline(timeline));
    if (left.has_value()) end = std::min(end, *left);
    Log(LogLevel::kInfo, "the source was promoted since the last start",
        {{"timeline", absl::StrCat(server_.timeline)}, {"before", known->second}, {"ended", end.ToString()}});
  }
  return CheckReaches(end);
}

absl::Status Attempt::CheckReaches(Lsn end) const {
  Lsn delivered = checkpoint_.has_value() ? checkpoint_->lsn : Lsn{};
  for (const OpenDestination& open : open_) delivered = std::max(delivered, open.progress.end);
  if (delivered <= end) return absl::OkStatus();
  const std::string text = absl::StrCat("the source's history goes to ", end.ToString(), ", and ",
                                        checkpoint_.has_value() ? "this flow has" : "a flow of this id has",
                                        " delivered ", delivered.ToString());
  if (server_.in_recovery) return absl::UnavailableError(text + ": the standby has not come so far yet");
  const std::string drop =
      slot_.has_value() ? absl::StrCat("wallaby-admin slot drop -flow-id ", c_.flow->id, "; ") : std::string();
  // Under its own id the destinations would take what comes below for delivered.
  return absl::FailedPreconditionError(absl::StrCat(
      text, ": ", checkpoint_.has_value() ? "" : "from another server, or ",
      "the source was failed over to a standby that lacked the last transactions, or restored from a backup, and the "
      "destinations have rows that it lost; delete the flow, and create it under another id, which copies every "
      "table: ",
      drop, "wallaby-admin flow delete -flow-id ", c_.flow->id, "; then flow create with a new id and name"));
}

// A slot that stands where this flow does knows what it was told last. One that stands before has forgotten, by a crash
// or a failover, and what it would send again up to the checkpoint must be what was read. Else the server was restored
// from an image of its disk and has given positions out again: streaming would leave out what came under them.
absl::Status Attempt::ProveHistory() const {
  if (!slot_.has_value() || slot_->confirmed_flush >= checkpoint_->lsn) return absl::OkStatus();
  if (HasBug(DeliberateBug::kTrustPosition)) return absl::OkStatus();
  // Whoever reads it into the spool, proves it (spooler.h); whoever waits for it to be free, does it then.
  if (c_.options->spool ? SpoolExists(*c_.options->spool, {server_.system_identifier, slot_->name}) : slot_->active) {
    return absl::OkStatus();
  }
  Checkpoint noted = *checkpoint_;
  NoteSource(&noted);
  const auto entry = noted.metadata.find(kHistoryMarkKey);
  if (entry == noted.metadata.end()) {
    Log(LogLevel::kWarn, "the slot has gone back, and nothing is known by which to prove the source's history",
        {{"slot", slot_->name}, {"confirmed", slot_->confirmed_flush.ToString()}});
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(const HistoryMark mark, HistoryMark::Parse(entry->second));
  const auto found = session_->LastSent(checkpoint_->lsn, Sent::kRows);
  if (absl::IsNotFound(found.status())) {
    Log(LogLevel::kWarn, "the source's history cannot be proved: what the slot would send again cannot be decoded",
        {{"error", std::string(found.status().message())}});
    return absl::OkStatus();
  }
  RETURN_IF_ERROR(found.status());
  const bool expected = mark.commit >= slot_->confirmed_flush;
  if (found->has_value() ? expected && mark.Is(**found) : !expected) {
    Log(LogLevel::kInfo, "the slot has gone back, and the source's history is the one that was read",
        {{"slot", slot_->name}, {"confirmed", slot_->confirmed_flush.ToString()}, {"last", mark.ToString()}});
    return absl::OkStatus();
  }
  const std::string has = found->has_value()
                              ? absl::StrCat("the one at ", (*found)->commit.ToString(), " (xid ", (*found)->xid, ")")
                              : "none";
  const std::string had =
      expected ? absl::StrCat("the one at ", mark.commit.ToString(), " (xid ", mark.xid, ")") : "none";
  return NeedsBackfill(absl::StrCat(
      "the source's history is not the one that this flow has read: from ", slot_->confirmed_flush.ToString(),
      ", where slot ", slot_->name, " stands, to ", checkpoint_->lsn.ToString(), " the last transaction was ", had,
      " and now is ", has, "; the source was restored from an image or a backup, and changes are missing or too many ",
      "at the destinations, in any table"));
}

// A table that was copied has left the names of its parts with the rows.
bool Attempt::LacksSnapshot(const OpenDestination& open) const {
  return std::any_of(syncs_.begin(), syncs_.end(), [&](const TableSync& sync) {
    if (sync.state != TableSyncState::kDone) return false;
    const std::string prefix = sync.table + "/";
    const auto part = open.progress.snapshot_parts.lower_bound(prefix);
    return part == open.progress.snapshot_parts.end() || !part->starts_with(prefix);
  });
}

// Writing makes what is missing, and a table that was filled and then dropped by somebody would go on without its rows.
absl::Status Attempt::CheckTablesPresent() {
  // A schema change that was begun may have gone further at a destination than the shape that is stored.
  if (!CheckDdlSettled(*c_.store, c_.flow->id).ok()) return absl::OkStatus();
  if (!c_.lane.empty() && !CheckLanePassedDdl(*c_.store, c_.flow->id, c_.lane, checkpoint_->lsn).ok()) {
    return absl::OkStatus();
  }
  const bool streams_shapes = c_.ddl.gate || (c_.ddl.auto_approve && c_.ddl.auto_apply);
  for (const PublishedTable& table : tables_) {
    const StoredShape* stored = StreamedShape(table.relation.oid);
    if (stored == nullptr) continue;
    Relation relation = stored->shape.Visible();
    const std::string name = relation.QualifiedName();
    const auto sync =
        std::find_if(syncs_.begin(), syncs_.end(), [&](const TableSync& known) { return known.table == name; });
    const bool filled = sync != syncs_.end() && sync->state == TableSyncState::kDone && sync->rows_copied > 0;
    if (!filled || (c_.options->mode == WorkerMode::kBackfill && WantsTable(relation))) continue;
    if (!streams_shapes) relation.columns.clear();  // a new column is added with its first row
    for (const OpenDestination& open : open_) {
      const absl::Status status = open.destination->CheckPresent(relation);
      if (!absl::IsFailedPrecondition(status)) {
        RETURN_IF_ERROR(status);
        continue;
      }
      return absl::FailedPreconditionError(absl::StrCat(
          "destination ", open.name, ": ", status.message(), ", though this flow has filled it: somebody else has ",
          "altered it; undo that, or copy the table again: ", BackfillCommand(), " -tables ", name));
    }
  }
  return absl::OkStatus();
}

}  // namespace wallaby
