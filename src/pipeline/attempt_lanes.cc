// What an attempt of a flow does about its destinations that go at their own pace (lane.h): who has a lane, from where
// on, and when all of them are open together.
#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "flow/destination_config.h"
#include "flow/fan_out.h"
#include "pipeline/attempt.h"
#include "pipeline/ddl_apply.h"
#include "pipeline/lane.h"
#include "pipeline/snapshot_plan.h"
#include "telemetry/log.h"

namespace wallaby {
namespace {

// As a lane's checkpoint has it: the LSN of a copy's snapshot, or the plan of one whose parts are of different ones.
absl::StatusOr<pgoutput::SkipRule> CopiedRule(const std::string& text) {
  if (absl::StartsWith(text, "{")) return SkipRuleOf({.plan = text});
  ASSIGN_OR_RETURN(const Lsn lsn, Lsn::Parse(text));
  return pgoutput::SkipRule(lsn);
}

}  // namespace

std::string Attempt::CursorId() const {
  return c_.lane.empty() ? c_.flow->id : LaneCursorId(c_.flow->id, c_.lane);
}

// Every lane has queues and batches of its own.
int64_t Attempt::memory_share() const {
  const bool shares = !c_.lane.empty() || (fans_out() && !together_);
  return shares ? c_.memory_limit / static_cast<int64_t>(c_.flow->destinations.size()) : c_.memory_limit;
}

bool Attempt::IsOpenedHere(const Endpoint& endpoint) const {
  if (!c_.lane.empty()) return endpoint.name == c_.lane;
  return together_ || IsPrimary(*c_.flow, endpoint.name);
}

bool Attempt::CopyIsDue() const {
  return std::any_of(syncs_.begin(), syncs_.end(),
                     [](const TableSync& sync) { return sync.state != TableSyncState::kDone; });
}

const StoredShape* Attempt::StreamedShapeAt(const OpenDestination& open, uint32_t oid) const {
  const auto own = lane_shapes_.find(open.name);
  if (own == lane_shapes_.end()) return StreamedShape(oid);
  const auto found = std::find_if(own->second.begin(), own->second.end(),
                                  [oid](const StoredShape& stored) { return stored.shape.relation.oid == oid; });
  return found == own->second.end() ? nullptr : &*found;
}

absl::Status Attempt::PrepareLanes() {
  if (!c_.lane.empty()) {
    together_ = false;
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(checkpoint_, c_.checkpoints->Get());
  ASSIGN_OR_RETURN(lanes_, c_.store->Lanes(c_.flow->id));
  ASSIGN_OR_RETURN(syncs_, c_.store->TableSyncs(c_.flow->id));
  RETURN_IF_ERROR(ForgetRemovedDestinations());
  if (!fans_out()) return lanes_.empty() ? absl::OkStatus() : JoinLanes();
  RETURN_IF_ERROR(FollowPrimary());
  ASSIGN_OR_RETURN(holds_, c_.store->TableHolds(c_.flow->id));
  if (!holds_.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat("tables wait for a schema change, from ", holds_.front().table,
                     " on: let the flow deliver them with ack_policy all before it becomes primary"));
  }
  // The first copy is for all, and a backfill; another waits until the lanes have come to it.
  const bool first = !checkpoint_.has_value() || (CopyIsDue() && lanes_.empty());
  together_ = first || c_.options->mode == WorkerMode::kBackfill || (CopyIsDue() && c_.copy_now);
  c_.copy_now = false;
  if (!together_) return absl::OkStatus();
  c_.lanes->Stop();
  ASSIGN_OR_RETURN(lanes_, c_.store->Lanes(c_.flow->id));  // as they are now that nobody moves them
  for (const auto& [lane, at] : lanes_) {
    ASSIGN_OR_RETURN(lane_shapes_[lane], c_.store->TableShapes(c_.flow->id, lane));
  }
  return absl::OkStatus();
}

// One that comes back later is new then: what happened in between it has not got.
absl::Status Attempt::ForgetRemovedDestinations() {
  const auto is_gone = [this](const std::string& name) {
    return std::none_of(c_.flow->destinations.begin(), c_.flow->destinations.end(),
                        [&name](const Endpoint& endpoint) { return endpoint.name == name; });
  };
  if (checkpoint_) {
    const std::string prefix = DestinationKey("");
    const auto erased = std::erase_if(checkpoint_->metadata, [&](const auto& entry) {
      return entry.first.starts_with(prefix) && is_gone(entry.first.substr(prefix.size()));
    });
    if (erased > 0) RETURN_IF_ERROR(c_.checkpoints->Put(*checkpoint_));
  }
  for (auto lane = lanes_.begin(); lane != lanes_.end();) {
    if (!is_gone(lane->first)) {
      ++lane;
      continue;
    }
    RETURN_IF_ERROR(c_.store->ForgetLane(c_.flow->id, lane->first));
    lane = lanes_.erase(lane);
  }
  return absl::OkStatus();
}

// The flow's checkpoint is the primary's. When another destination becomes the primary, its lane's takes that place,
// and the one before gets a lane where it is. Each step may be done again after a crash.
absl::Status Attempt::FollowPrimary() {
  if (!checkpoint_) return absl::OkStatus();
  const std::string& primary = c_.flow->config.primary_destination;
  const std::string before = checkpoint_->metadata[kPrimaryKey];
  const auto lane = lanes_.find(primary);
  if (before == primary || before.empty()) {
    if (lane != lanes_.end()) {
      RETURN_IF_ERROR(c_.store->ForgetLane(c_.flow->id, primary));
      lanes_.erase(lane);
    }
    if (before == primary) return absl::OkStatus();
    checkpoint_->metadata[kPrimaryKey] = primary;
    return c_.checkpoints->Put(*checkpoint_);
  }
  if (lane == lanes_.end()) {
    if (!CopiesEveryTable()) {
      return NeedsBackfill(
          absl::StrCat("destination ", primary, ", now the primary, is new and lacks the rows that the others have"));
    }
  } else {
    RETURN_IF_ERROR(Annotate(CheckLanePassedDdl(*c_.store, c_.flow->id, primary, lane->second.lsn),
                             absl::StrCat("it cannot become the primary; make ", before,
                                          " the primary again until it has caught up (flow get)")));
  }
  if (IsSecondary(*c_.flow, before)) {
    RETURN_IF_ERROR(BeginLane(before));
  }
  if (lane != lanes_.end()) {
    checkpoint_->lsn = lane->second.lsn;
    checkpoint_->metadata.erase(kHistoryMarkKey);
    for (const auto& [key, value] : lane->second.metadata) checkpoint_->metadata[key] = value;
  }
  checkpoint_->metadata[kPrimaryKey] = primary;
  RETURN_IF_ERROR(c_.checkpoints->Reset(*checkpoint_));
  Log(LogLevel::kInfo, "another destination is the primary now",
      {{"destination", primary}, {"before", before}, {"lsn", checkpoint_->lsn.ToString()}});
  RETURN_IF_ERROR(c_.store->ForgetLane(c_.flow->id, primary));
  lanes_.erase(primary);
  return absl::OkStatus();
}

// Where the flow is.
absl::Status Attempt::BeginLane(const std::string& destination) {
  Checkpoint start = *checkpoint_;
  RETURN_IF_ERROR(NoteCopies(&start));
  // One that waits for its copy is left out up to there, as if it were always older.
  for (const TableSync& sync : syncs_) {
    if (sync.oid == 0 || sync.state == TableSyncState::kDone) continue;
    start.metadata[absl::StrCat(kCopiedKey, sync.oid)] = Lsn{UINT64_MAX}.ToString();
  }
  RETURN_IF_ERROR(c_.store->BeginLane(c_.flow->id, destination, start));
  lanes_[destination] = std::move(start);
  return absl::OkStatus();
}

// The stream begins where the one that is furthest behind is; the others leave out what they have.
absl::Status Attempt::JoinLanes() {
  if (!checkpoint_) return absl::OkStatus();
  if (!CopiesEveryTable()) {
    for (const auto& [lane, at] : lanes_) {
      RETURN_IF_ERROR(
          Annotate(CheckLanePassedDdl(*c_.store, c_.flow->id, lane, at.lsn),
                   "ack_policy cannot be all; leave it at primary until the destination has caught up (flow get)"));
    }
    for (const auto& [lane, at] : lanes_) {
      const auto entry = at.metadata.find(DestinationKey(lane));
      if (entry != at.metadata.end()) checkpoint_->metadata[entry->first] = entry->second;
      if (at.lsn >= checkpoint_->lsn) continue;
      checkpoint_->lsn = at.lsn;
      checkpoint_->metadata.erase(kHistoryMarkKey);
      if (const auto mark = at.metadata.find(kHistoryMarkKey); mark != at.metadata.end()) {
        checkpoint_->metadata[kHistoryMarkKey] = mark->second;
      }
    }
  }
  checkpoint_->metadata.erase(kPrimaryKey);
  RETURN_IF_ERROR(c_.checkpoints->Reset(*checkpoint_));
  for (const auto& [lane, at] : lanes_) RETURN_IF_ERROR(c_.store->ForgetLane(c_.flow->id, lane));
  Log(LogLevel::kInfo, "every destination is acknowledged again", {{"lsn", checkpoint_->lsn.ToString()}});
  lanes_.clear();
  return absl::OkStatus();
}

// In the spool, before the flow's own cursor moves: what a lane needs that has no cursor yet. One that is there may be
// in use.
absl::Status Attempt::KeepForLanes() {
  const SpoolOptions& spool = *c_.options->spool;
  ASSIGN_OR_RETURN(const auto cursors, SpoolCursors(spool, spool_name_));
  for (const auto& [lane, at] : lanes_) {
    const std::string id = LaneCursorId(c_.flow->id, lane);
    if (cursors.contains(id)) continue;
    RETURN_IF_ERROR(SpoolCursor::Register(spool, spool_name_, id, at.lsn).status());
  }
  return absl::OkStatus();
}

// Behind that: destinations without a lane hold nothing of their own any more.
absl::Status Attempt::LetGoOfLanes() {
  const SpoolOptions& spool = *c_.options->spool;
  ASSIGN_OR_RETURN(const auto cursors, SpoolCursors(spool, spool_name_));
  for (const auto& [id, at] : cursors) {
    const std::string destination = DestinationOfCursor(id);
    if (FlowOfCursor(id) != c_.flow->id || destination.empty() || lanes_.contains(destination)) continue;
    RETURN_IF_ERROR(ForgetSpoolCursor(spool, spool_name_, id));
  }
  return absl::OkStatus();
}

absl::Status Attempt::LeaveSecondaries() {
  for (size_t i = open_.size(); i-- > 0;) {
    if (!IsSecondary(*c_.flow, open_[i].name)) continue;
    open_.erase(open_.begin() + static_cast<ptrdiff_t>(i));
    destinations_.erase(destinations_.begin() + static_cast<ptrdiff_t>(i));
  }
  together_ = false;
  for (const Endpoint& endpoint : c_.flow->destinations) {
    if (!IsSecondary(*c_.flow, endpoint.name) || lanes_.contains(endpoint.name)) continue;
    // Where the flow has not been acknowledged for it, it lacks what was before; its lane says so.
    const bool known = checkpoint_->metadata.contains(DestinationKey(endpoint.name));
    if (!known && !BeginsWithChanges(endpoint.name)) continue;
    RETURN_IF_ERROR(BeginLane(endpoint.name));
  }
  // Lanes that run move their checkpoints themselves, and began behind this.
  if (c_.lanes->reports().empty()) RETURN_IF_ERROR(NoteCopied());
  RETURN_IF_ERROR(KeepForLanes());
  c_.lanes->Start(c_);
  return absl::OkStatus();
}

// Everything is new at every destination.
absl::Status Attempt::BeginLanes() {
  for (const Endpoint& endpoint : c_.flow->destinations) {
    if (!IsSecondary(*c_.flow, endpoint.name)) continue;
    RETURN_IF_ERROR(BeginLane(endpoint.name));
  }
  return absl::OkStatus();
}

// What the copies show, in a lane's checkpoint.
absl::Status Attempt::NoteCopies(Checkpoint* lane) const {
  for (const TableSync& sync : syncs_) {
    if (sync.oid == 0 || sync.state != TableSyncState::kDone) continue;
    ASSIGN_OR_RETURN(const pgoutput::SkipRule rule, SkipRuleOf(sync));
    // Parts of a copy that was interrupted are told apart until the lane is behind all of them.
    const bool parts = rule.lowest() < rule.highest() && lane->lsn < rule.highest();
    lane->metadata[absl::StrCat(kCopiedKey, sync.oid)] = parts ? sync.plan : rule.highest().ToString();
  }
  return absl::OkStatus();
}

// Of all that is copied, not of what this attempt has: one before may have failed when it had copied.
absl::Status Attempt::NoteCopied() {
  for (auto& [lane, at] : lanes_) {
    Checkpoint noted = at;
    RETURN_IF_ERROR(NoteCopies(&noted));
    if (noted.metadata == at.metadata) continue;
    RETURN_IF_ERROR(c_.store->PutLaneCheckpoint(c_.flow->id, lane, noted));
    at = std::move(noted);
  }
  return absl::OkStatus();
}

// What a table's entry says is of where the flow's own stream is. When that has dropped the table, the entry is gone,
// and a lane before the drop must still leave out what a copy has, and all of a table that waits for one.
absl::Status Attempt::SkipInLane(pgoutput::Assembler::Options* options) const {
  ASSIGN_OR_RETURN(const std::vector<DdlEvent> events, c_.store->ListDdl(c_.flow->id, {}));
  std::map<uint32_t, Lsn> asked;  // the last change that asked for a copy
  for (const DdlEvent& event : events) {
    ASSIGN_OR_RETURN(const SchemaChange change, ChangeFromPlan(event.plan));
    if (event.status == DdlStatus::kApplied && change.copy && change.after) {
      Lsn& last = asked[change.after->relation.oid];
      last = std::max(last, event.lsn);
    }
  }
  std::map<uint32_t, pgoutput::SkipRule> copied;
  for (const auto& [key, value] : checkpoint_->metadata) {
    uint32_t oid = 0;
    if (!absl::StartsWith(key, kCopiedKey) || !absl::SimpleAtoi(key.substr(kCopiedKey.size()), &oid)) continue;
    ASSIGN_OR_RETURN(copied[oid], CopiedRule(value));
  }
  for (const auto& [oid, last] : asked) {
    pgoutput::SkipRule& rule = copied[oid];
    if (last > rule.highest()) rule = Lsn{UINT64_MAX};
  }
  for (auto& [oid, rule] : copied) options->skip_below_by_oid.try_emplace(oid, std::move(rule));
  return absl::OkStatus();
}

void Attempt::AddStatementsElsewhere(const SchemaChange& change,
                                     std::map<std::string, std::vector<std::string>>* statements) const {
  for (const Endpoint& endpoint : c_.flow->destinations) {
    if (statements->contains(endpoint.name)) continue;
    auto config = ResolvedConfig(*c_.flow, endpoint);
    if (!config.ok()) continue;
    config->flow_id = c_.flow->id;
    const auto destination = MakeDestination(endpoint.type, *config);
    if (destination.ok()) (*statements)[endpoint.name] = (*destination)->DdlStatements(change);
  }
}

}  // namespace wallaby
