// What an attempt does about its slot at the start: it is found or made, with the tables that are to be copied under
// it, and the flow gets its first checkpoint.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/failpoint.h"
#include "base/sql_text.h"
#include "base/status.h"
#include "pipeline/attempt.h"
#include "telemetry/log.h"

namespace wallaby {

absl::Status Attempt::PrepareSlot() {
  const bool backfill = c_.options->mode == WorkerMode::kBackfill;
  if (!slot_.has_value() && checkpoint_.has_value() && !CopiesEveryTable()) {
    return NeedsBackfill(absl::StrCat("slot ", c_.source_options->slot, " is gone, and with it the changes since ",
                                      checkpoint_->lsn.ToString()));
  }
  if (!checkpoint_.has_value() && !c_.lane.empty()) return IsNew(c_.lane);
  // Before the spool is joined: where there is none yet, the slot is still to be asked. A flow that begins may find
  // what another of its name has left at the destinations, from another server perhaps.
  RETURN_IF_ERROR(checkpoint_.has_value() ? CheckHistory() : CheckReaches(server_.current_lsn));
  RETURN_IF_ERROR(JoinSpool());
  if (!slot_.has_value()) {
    return CreateSlot(/*snapshot_all=*/c_.source_options->snapshot == SnapshotMode::kInitial || CopiesEveryTable());
  }
  // With a spool it is read by this worker's own spooler, or that of another flow; if not, the spooler will say so.
  if (slot_->active && !c_.options->spool) {
    const std::string text = SlotInUse(*slot_);
    // A probe answers at once; a worker waits, because a walsender of its own past life may still hold the slot.
    if (c_.options->max_empty_reads > 0 || backfill) return absl::FailedPreconditionError(text);
    return absl::UnavailableError(text);
  }
  if (!checkpoint_.has_value()) {
    // With tables marked, it is this flow that made the slot and ended before it could go on.
    // What another flow's slot gave before is no longer in it.
    const bool joins = c_.shares_slot && c_.source_options->snapshot == SnapshotMode::kInitial;
    if (!syncs_.empty() || joins) RETURN_IF_ERROR(MarkNewTables());
    ASSIGN_OR_RETURN(const Lsn first, FirstPosition());
    return StoreFirstCheckpoint(first);
  }
  if (CopiesEveryTable()) return absl::OkStatus();
  RETURN_IF_ERROR(FollowRenames());
  return CheckContinuity();
}

// What the table's entry says does not matter any more: all of it is to be copied.
absl::Status Attempt::MarkToCopy(const Relation& relation) {
  return c_.store->PutTableSync(c_.flow->id, {.table = relation.QualifiedName(), .oid = relation.oid});
}

absl::Status Attempt::MarkBackfill() {
  for (const PublishedTable& table : tables_) {
    if (WantsTable(table.relation)) RETURN_IF_ERROR(MarkToCopy(table.relation));
  }
  return absl::OkStatus();
}

absl::Status Attempt::CreateSlot(bool snapshot_all) {
  if (!c_.source_options->create_slot) {
    return absl::NotFoundError(absl::StrCat("slot ", c_.source_options->slot,
                                            " does not exist and create_slot is false; create it by: SELECT "
                                            "pg_create_logical_replication_slot(",
                                            SqlLiteral(c_.source_options->slot), ", 'pgoutput')"));
  }
  // Marked before the slot exists: after a crash in between, the copy is still due.
  if (snapshot_all) {
    for (const PublishedTable& table : tables_) RETURN_IF_ERROR(MarkToCopy(table.relation));
  }
  RETURN_IF_ERROR(ReachFailpoint(Failpoint::kSlotCreateBefore));
  SetDetail("creating the slot (waits for open transactions on the source)");
  auto made = c_.source->CreateSlot();
  // By somebody who has no part in this spool.
  if (absl::IsAlreadyExists(made.status())) {
    return absl::AbortedError(absl::StrCat(made.status().message(), ": it was made just now; looking again"));
  }
  RETURN_IF_ERROR(made.status());
  snapshot_ = *std::move(made);
  Log(LogLevel::kInfo, "slot created", {{"slot", c_.source_options->slot}, {"lsn", snapshot_->consistent.ToString()}});
  RETURN_IF_ERROR(ReachFailpoint(Failpoint::kSlotCreateAfter));
  RETURN_IF_ERROR(ListTablesAtSnapshot());
  if (snapshot_all) RETURN_IF_ERROR(MarkNewTables());
  return StoreFirstCheckpoint(snapshot_->consistent, HistoryMark{.known = true});
}

// Tables that came, or got another name, while the slot was being made: the stream does not have their rows.
absl::Status Attempt::MarkNewTables() {
  RETURN_IF_ERROR(FollowRenames());
  ASSIGN_OR_RETURN(syncs_, c_.store->TableSyncs(c_.flow->id));
  for (const PublishedTable& table : tables_) {
    const bool marked = std::any_of(syncs_.begin(), syncs_.end(), [&](const TableSync& sync) {
      return sync.table == table.relation.QualifiedName();
    });
    if (!marked) RETURN_IF_ERROR(MarkToCopy(table.relation));
  }
  return absl::OkStatus();
}

// A table may get another name before its first copy, which nobody tells of without the event trigger. Later its rows
// tell, and the destinations follow.
absl::Status Attempt::FollowRenames() {
  if (captures_ || !c_.lane.empty()) return absl::OkStatus();
  for (const TableSync& sync : syncs_) {
    if (sync.state == TableSyncState::kDone || StreamedShape(sync.oid) != nullptr) continue;
    for (const PublishedTable& table : tables_) {
      if (table.relation.oid != sync.oid || table.relation.QualifiedName() == sync.table) continue;
      RETURN_IF_ERROR(MarkToCopy(table.relation));
    }
  }
  return absl::OkStatus();
}

absl::Status Attempt::StoreFirstCheckpoint(Lsn lsn, const HistoryMark& mark) {
  Checkpoint first;
  first.lsn = checkpoint_.has_value() ? std::max(lsn, checkpoint_->lsn) : lsn;
  first.at = c_.clock->Now();
  ASSIGN_OR_RETURN(server_, session_->GetServerInfo());  // the copy may have taken long
  NoteSource(&first);
  if (mark.known) first.metadata[kHistoryMarkKey] = mark.ToString();
  for (const OpenDestination& open : open_) first.metadata[DestinationKey(open.name)] = open.progress.end.ToString();
  if (fans_out()) first.metadata[kPrimaryKey] = c_.flow->config.primary_destination;
  RETURN_IF_ERROR(c_.checkpoints->Put(first));
  const bool begins = !checkpoint_.has_value();
  checkpoint_ = std::move(first);
  // Now the spooler may read the slot.
  spool_lock_.reset();
  if (begins && cursor_ != nullptr) RETURN_IF_ERROR(cursor_->Move(checkpoint_->lsn));
  if (begins && c_.spooler != nullptr) c_.spooler->Poke();
  return absl::OkStatus();
}

}  // namespace wallaby
