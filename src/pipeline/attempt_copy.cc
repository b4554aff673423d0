// What an attempt copies: which tables are due, in which shape, and the copy itself.
#include <algorithm>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "base/status.h"
#include "pipeline/attempt.h"
#include "pipeline/snapshot.h"
#include "telemetry/log.h"

namespace wallaby {

// A flow that has begun carries more tables than it did: by its options, or because the publication was made to fit
// them
// (`published`: as it was before). The stream has what changes in them from now on; their rows are copied.
absl::Status Attempt::MarkNewlyCarried(const std::optional<std::vector<PublishedTable>>& published) {
  const SourceOptions& options = *c_.source_options;
  if (options.snapshot != SnapshotMode::kInitial) return absl::OkStatus();
  const auto noted = [this](const char* key) -> std::vector<std::string> {
    const auto found = checkpoint_->metadata.find(key);
    return found == checkpoint_->metadata.end() ? std::vector<std::string>() : absl::StrSplit(found->second, ',');
  };
  SourceOptions before = options;
  before.tables = noted(kTablesKey);
  before.schemas = noted(kSchemasKey);
  const auto has = [](const std::vector<PublishedTable>& tables, uint32_t oid) {
    return std::any_of(tables.begin(), tables.end(), [oid](const PublishedTable& t) { return t.relation.oid == oid; });
  };
  for (const PublishedTable& table : tables_) {
    const Relation& relation = table.relation;
    const bool carried = CarriesTable(before, relation.schema, relation.name);
    if (carried && (!published.has_value() || has(*published, relation.oid))) continue;
    Log(LogLevel::kInfo, "the flow carries a table more; it is copied", {{"table", relation.QualifiedName()}});
    RETURN_IF_ERROR(MarkToCopy(relation));
  }
  return absl::OkStatus();
}

void Attempt::WarnOfUnpublished() const {
  for (const std::string& name : c_.source_options->tables) {
    const bool published = std::any_of(tables_.begin(), tables_.end(), [&](const PublishedTable& table) {
      return table.relation.QualifiedName() == name;
    });
    if (published || std::any_of(holds_.begin(), holds_.end(), [&](const auto& hold) { return hold.table == name; }))
      continue;
    Log(LogLevel::kWarn, "option tables names a table that is not in the publication; nothing of it will arrive",
        {{"table", name}, {"publication", c_.source_options->publication}});
  }
}

// Picks the tables whose copy is due, and clears what earlier tries left of them and is not kept.
absl::Status Attempt::PrepareSnapshot() {
  ASSIGN_OR_RETURN(syncs_, c_.store->TableSyncs(c_.flow->id));
  copy_waits_ = !together_ && c_.lane.empty() && CopyIsDue();
  if (!together_) return absl::OkStatus();
  for (const PublishedTable& table : tables_) {
    const auto sync = std::find_if(syncs_.begin(), syncs_.end(),
                                   [&](const TableSync& s) { return s.table == table.relation.QualifiedName(); });
    if (sync == syncs_.end() || sync->state == TableSyncState::kDone) continue;
    ASSIGN_OR_RETURN(const bool copyable, IsCopyable(table));
    if (!copyable) {
      Log(LogLevel::kInfo, "the table's copy waits: its DDL at the source is ahead of the stream",
          {{"table", table.relation.QualifiedName()}});
      continue;
    }
    ASSIGN_OR_RETURN(TableToCopy copy, PrepareCopy(*session_, table, *sync, checkpoint_->lsn, open_));
    if (!copy.complete()) {
      to_copy_.push_back(std::move(copy));
      continue;
    }
    sync->state = TableSyncState::kDone;
    sync->parts_done = sync->parts_total;
    RETURN_IF_ERROR(c_.store->PutTableSync(c_.flow->id, *sync));
  }
  if (to_copy_.empty()) {
    snapshot_.reset();
    return absl::OkStatus();
  }
  if (snapshot_ == nullptr) {
    SetDetail("preparing a snapshot (waits for open transactions on the source)");
    const std::string name =
        absl::StrFormat("%s_copy_%08x", c_.source_options->slot.substr(0, 48), std::random_device{}());
    ASSIGN_OR_RETURN(snapshot_, c_.source->TakeSnapshot(name));
    RETURN_IF_ERROR(CheckShapesAtSnapshot());
  }
  return absl::OkStatus();
}

// Taking the snapshot may have waited long. A table that was altered meanwhile is not copied in the shape before: the
// stream would be left out where it tells of the change, as older than the copy, and with it all rows behind.
absl::Status Attempt::CheckShapesAtSnapshot() {
  const std::map<uint32_t, TableShape> listed = source_shapes_;
  RETURN_IF_ERROR(ListTablesAtSnapshot());
  for (const TableToCopy& copy : to_copy_) {
    const uint32_t oid = copy.table.relation.oid;
    const auto now = source_shapes_.find(oid);
    const TableShape& before = listed.at(oid);
    if (now != source_shapes_.end() && now->second.relation.SameShape(before.relation) &&
        now->second.details == before.details) {
      continue;
    }
    return absl::AbortedError(absl::StrCat("table ", before.relation.QualifiedName(),
                                           " was altered while its snapshot was being made; starting again"));
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> Attempt::IsCopyable(const PublishedTable& table) {
  std::vector<SchemaChange> changes;  // one for each destination
  for (const OpenDestination& open : open_) {
    const StoredShape* stored = StreamedShapeAt(open, table.relation.oid);
    SchemaChange& change = changes.emplace_back();
    if (stored == nullptr) continue;
    change = CompareShapes(&stored->shape, &source_shapes_.at(table.relation.oid));
    // What the stream would never show is no reason to wait.
    const bool same = std::all_of(change.steps.begin(), change.steps.end(), [](const SchemaStep& step) {
      return step.kind == SchemaStepKind::kNullability || step.kind == SchemaStepKind::kDefault;
    });
    if (same) change.steps.clear();
  }
  const bool all_same =
      std::all_of(changes.begin(), changes.end(), [](const SchemaChange& change) { return change.steps.empty(); });
  if (all_same) return true;
  if (captures_ && c_.options->mode != WorkerMode::kBackfill) return false;
  // The operator asked for the table as it is now, or nobody knows when the stream will tell of the change.
  for (size_t i = 0; i < open_.size(); ++i) {
    if (changes[i].steps.empty()) continue;
    changes[i].copy = true;
    RETURN_IF_ERROR(Annotate(open_[i].destination->ApplyDdl(changes[i]), absl::StrCat("destination ", open_[i].name)));
  }
  return true;
}

absl::Status Attempt::Snapshot() {
  if (to_copy_.empty()) return absl::OkStatus();
  SetDetail("snapshot");
  SnapshotOptions options;
  options.flow_id = c_.flow->id;
  options.source = c_.source;
  options.workers =
      c_.options->snapshot_workers > 0 ? c_.options->snapshot_workers : c_.source_options->snapshot_workers;
  options.batch_bytes = static_cast<size_t>(std::clamp<int64_t>(c_.memory_limit / 64, 256 << 10, 8 << 20));
  options.partition = c_.options->partition;
  // Before the first row: after a crash, DDL since then is still seen.
  RETURN_IF_ERROR(StoreCopiedShapes(snapshot_->consistent));
  RETURN_IF_ERROR(SettleCopiedDdl(snapshot_->consistent));
  const absl::Status status = CopyTables(options, to_copy_, *snapshot_, *c_.store, *pipeline_);
  snapshot_.reset();
  if (absl::IsCancelled(status)) return absl::OkStatus();  // told to stop: Stream() ends at once
  RETURN_IF_ERROR(status);
  // Everything is new at every destination: what was missing before the copy is missing no more.
  if (CopiesEveryTable()) {
    RETURN_IF_ERROR(StoreFirstCheckpoint(slot_.has_value() ? slot_->confirmed_flush : checkpoint_->lsn));
    if (fans_out()) RETURN_IF_ERROR(BeginLanes());
  }
  ASSIGN_OR_RETURN(syncs_, c_.store->TableSyncs(c_.flow->id));
  return NoteCopied();
}

// An event that was decided and whose apply did not come through: the copy shows the table behind it, and the stream,
// which leaves out what is older than the copy, does not come to it again. Later events would wait for it for ever.
absl::Status Attempt::SettleCopiedDdl(Lsn snapshot) {
  const std::vector<DdlStatus> open = {DdlStatus::kApproved, DdlStatus::kApplying, DdlStatus::kFailed};
  ASSIGN_OR_RETURN(const std::vector<DdlEvent> events, c_.store->ListDdl(c_.flow->id, open));
  for (const DdlEvent& event : events) {
    ASSIGN_OR_RETURN(const SchemaChange change, ChangeFromPlan(event.plan));
    const bool copied = change.after && std::any_of(to_copy_.begin(), to_copy_.end(), [&](const TableToCopy& copy) {
                          return copy.table.relation.oid == change.after->relation.oid;
                        });
    if (copied && event.lsn < snapshot) RETURN_IF_ERROR(c_.store->SettleDdl(event.id, open, {}).status());
  }
  return absl::OkStatus();
}

// Transactions that commit at the snapshot's LSN or later find the tables as they were copied.
absl::Status Attempt::StoreCopiedShapes(Lsn snapshot) {
  for (TableToCopy& copy : to_copy_) {
    Relation& relation = copy.table.relation;
    ASSIGN_OR_RETURN(relation.version, c_.store->NumberShape(c_.flow->id, relation, snapshot));
    const TableShape& shape = source_shapes_.at(relation.oid);
    RETURN_IF_ERROR(c_.store->PutTableShape(c_.flow->id, {shape, Lsn{snapshot.value - 1}}));
    for (const auto& [lane, at] : lanes_) {
      RETURN_IF_ERROR(c_.store->PutTableShape(c_.flow->id, {shape, Lsn{snapshot.value - 1}}, lane));
    }
  }
  ASSIGN_OR_RETURN(shapes_, c_.store->TableShapes(c_.flow->id));
  return absl::OkStatus();
}

}  // namespace wallaby
