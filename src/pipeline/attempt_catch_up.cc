// Tables that waited for a schema change while their flow went on: they are passed by, and once nothing holds them any
// more, what has come for them is delivered out of the spool, and the flow's own stream carries them again.
//
// At each destination the stream has passed by everything of them up to the checkpoint, and what is behind that up to
// the destination's own progress. Just that is caught up there, in order, under a progress of the group's own. So a
// crash repeats nothing, and where catching up ends, the stream begins.
#include <algorithm>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status.h"
#include "pipeline/attempt.h"
#include "pipeline/spool_stream.h"
#include "telemetry/log.h"

namespace wallaby {
namespace {

// How far a group is, its destinations know.
class NoCheckpoints final : public CheckpointStore {
 public:
  absl::StatusOr<std::optional<Checkpoint>> Get() override { return std::nullopt; }
  absl::Status Put(const Checkpoint& /*checkpoint*/) override { return absl::OkStatus(); }
  absl::Status Reset(const Checkpoint& /*checkpoint*/) override { return absl::OkStatus(); }
};

std::string Names(const std::vector<TableHold>& holds) {
  return absl::StrJoin(holds, ", ", [](std::string* out, const TableHold& hold) { out->append(hold.table); });
}

}  // namespace

absl::Status Attempt::LoadHolds() {
  ASSIGN_OR_RETURN(holds_, c_.store->TableHolds(c_.flow->id));
  if (holds_.empty()) return absl::OkStatus();
  if (!c_.options->spool) {
    return absl::FailedPreconditionError(absl::StrCat(
        "for schema changes wait: ", Names(holds_),
        "; what has come for them since is in a spool, so set WALLABY_SPOOL_DIR as it was and start the flow again"));
  }
  if (c_.options->mode != WorkerMode::kBackfill) return absl::OkStatus();
  // What is copied again need not wait: the copy shows what the changes made of the table.
  ASSIGN_OR_RETURN(const std::vector<PublishedTable> published, session_->PublishedTables());
  std::vector<TableHold> copied;
  for (const TableHold& hold : holds_) {
    const auto table = std::find_if(published.begin(), published.end(),
                                    [&](const PublishedTable& one) { return one.relation.oid == hold.oid; });
    if (table == published.end() ? !CopiesEveryTable() : !WantsTable(table->relation)) continue;
    if (table != published.end()) RETURN_IF_ERROR(MarkToCopy(table->relation));
    copied.push_back(hold);
  }
  RETURN_IF_ERROR(c_.store->DeleteTableHolds(c_.flow->id, copied));
  ASSIGN_OR_RETURN(holds_, c_.store->TableHolds(c_.flow->id));
  return absl::OkStatus();
}

bool Attempt::IsHeld(uint32_t oid) const {
  return std::any_of(holds_.begin(), holds_.end(), [oid](const TableHold& hold) { return hold.oid == oid; });
}

Lsn Attempt::KeepFrom() const {
  return holds_.empty() ? Lsn{} : holds_.front().from;
}

absl::StatusOr<std::optional<HeldGroup>> Attempt::GroupToLetGo() const {
  // A transaction that the stream itself holds comes first: what is before it may not be delivered yet.
  if (holds_.empty() || c_.spooler == nullptr || c_.held || c_.stop_before.valid()) return std::nullopt;
  ASSIGN_OR_RETURN(const std::vector<HeldGroup> groups, HeldGroups(*c_.store, c_.flow->id));
  for (const HeldGroup& group : groups) {
    if (group.settled()) return group;
  }
  return std::nullopt;
}

absl::Status Attempt::CatchUp(const HeldGroup& group) {
  SetDetail(absl::StrCat("catching up ", group.Names()));
  Log(LogLevel::kInfo, "catching up tables that waited for a schema change",
      {{"tables", group.Names()}, {"from", group.from.ToString()}});
  ASSIGN_OR_RETURN(syncs_, c_.store->TableSyncs(c_.flow->id));
  // Before the first transaction that the flow's own stream will bring.
  std::vector<Lsn> until;
  for (const OpenDestination& open : open_) {
    until.push_back(std::max(Lsn{open.progress.commit.value + 1}, checkpoint_->lsn));
  }
  open_.clear();
  destinations_.clear();
  // Further DDL of these tables ends it, at every destination before the same transaction.
  std::optional<HeldTransaction> held;
  for (bool complete = false; !complete;) {
    complete = true;
    for (size_t i = 0; i < until.size() && complete; ++i) {
      const bool known = held.has_value();
      RETURN_IF_ERROR(CatchUpAt(c_.flow->destinations[i], group, known ? held->commit : until[i], &held));
      complete = known || !held.has_value();
      std::lock_guard lock(mutex_);
      if (stop_) return absl::OkStatus();
    }
  }
  if (held) {
    held->group = group.from;
    c_.held = std::move(held);
    return absl::OkStatus();
  }
  RETURN_IF_ERROR(c_.store->DeleteTableHolds(c_.flow->id, group.tables));
  Log(LogLevel::kInfo, "tables that waited flow on", {{"tables", group.Names()}});
  c_.again = true;
  return absl::OkStatus();
}

absl::Status Attempt::CatchUpAt(const Endpoint& endpoint, const HeldGroup& group, Lsn until,
                                std::optional<HeldTransaction>* held) {
  if (group.from >= until) return absl::OkStatus();
  RETURN_IF_ERROR(OpenOne(endpoint, GroupIdentity(c_.flow->id, group.from)));
  const absl::Cleanup close = [this] {
    open_.clear();
    destinations_.clear();
  };
  const Lsn start = std::max(group.from, open_.back().progress.end);
  if (start >= until) return absl::OkStatus();
  Pipeline::Options options = PipelineOptions();
  options.start.lsn = start;
  options.reader.stop_before = until;
  options.reader.stop_when_passed = true;
  NoCheckpoints checkpoints;
  {
    std::lock_guard lock(mutex_);
    if (stop_) return absl::OkStatus();
    catch_up_ = std::make_unique<Pipeline>(open_, &checkpoints, c_.clock, options);
  }
  const absl::Cleanup end = [this] {
    std::unique_ptr<Pipeline> done;
    std::lock_guard lock(mutex_);
    done = std::move(catch_up_);
  };
  c_.spooler->Poke();
  SpoolStream stream(c_.spooler, spool_name_, /*cursor=*/nullptr, start);
  const auto filler = session_->MakeFiller();
  DdlWatch watch(c_.store, session_.get(), shapes_, WatchOptions([this, &group](const Relation& relation) {
                   return Carries(relation) && group.Has(relation.oid);
                 }));
  ASSIGN_OR_RETURN(pgoutput::Assembler::Options assembler_options, AssemblerOptions());
  pgoutput::Assembler assembler(session_.get(), filler.get(), &watch, std::move(assembler_options));
  RETURN_IF_ERROR(AfterLoss(catch_up_->RunStream(&stream, &assembler)));
  const Lsn barrier = catch_up_->barrier();
  if (barrier.valid() && barrier < until) {
    *held = Held(watch, barrier);
    return absl::OkStatus();
  }
  if (catch_up_->stopping() || (barrier.valid() && catch_up_->settled())) return absl::OkStatus();
  return absl::AbortedError(absl::StrCat("starting again to catch up ", group.Names()));
}

}  // namespace wallaby
