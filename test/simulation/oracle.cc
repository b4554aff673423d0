#include "test/simulation/oracle.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "change/schema_change.h"
#include "flow/fan_out.h"
#include "test/simulation/world.h"

namespace wallaby::simulation {
namespace {

constexpr Lsn kEnd{UINT64_MAX};

const std::optional<std::string>& ValueAt(const Values& values, int number) {
  static const std::optional<std::string> none;
  const auto i = static_cast<size_t>(number) - 1;
  return i < values.size() ? values[i] : none;
}

std::string Show(const std::optional<std::string>& value) {
  if (!value.has_value()) return "null";
  return value->size() <= 40 ? absl::StrCat("'", *value, "'") : absl::StrCat("'", value->substr(0, 40), "...'");
}

bool Contains(const KeyRange& range, int64_t key) {
  return (!range.from.has_value() || key >= *range.from) && (!range.to.has_value() || key < *range.to);
}

}  // namespace

// ---- what others tell ----

void Oracle::KnowPart(uint32_t oid, const TablePart& part) {
  parts_[part.name] = {oid, {part.column, part.from, part.to}};
}

void Oracle::LeaseTaken(int process, int64_t generation) {
  generations_[process] = generation;
  generation_ = std::max(generation_, generation);
}

void Oracle::Settled(const DdlEvent& event) {
  const absl::StatusOr<SchemaChange> change = ChangeFromPlan(event.plan);
  if (!change.ok()) return world_.Violated(absl::StrCat("a plan cannot be read: ", change.status().message()));
  if (change->before) settled_.emplace(change->before->relation.oid, event.lsn);
  if (change->after) settled_.emplace(change->after->relation.oid, event.lsn);
  if (!change->after) return;
  const uint32_t oid = change->after->relation.oid;
  for (const SchemaStep& step : change->steps) {
    if (step.kind != SchemaStepKind::kAddColumn) continue;
    const std::pair column(oid, world_.database.column_numbers.at({oid, step.column}));
    // Seen by its rows when the catalog had it under another name: under that name nobody knows it again.
    if (change->after->details[change->after->FindName(step.column)].attnum == 0) {
      if (rejected_.contains(column) && WasToldOf(column)) {
        return world_.Violated(absl::StrCat("table ", oid, ": column ", step.column, " was rejected and is asked for"));
      }
      unsure_.insert(column);
    } else if (event.status == DdlStatus::kRejected) {
      rejected_.insert(column);
    } else {
      rejected_.erase(column);  // renamed while nobody looked, it was asked for again
    }
  }
}

void Oracle::SlotMade(Lsn consistent) {
  first_ = consistent;
}

void Oracle::Restored(Lsn end) {
  verified_ = std::min(verified_, world_.database.FirstFrom(end));
}

bool Oracle::IsSettledBefore(Lsn end) const {
  return std::all_of(world_.disks.begin(), world_.disks.end(), [&](const auto& entry) {
    const DiskState& state = entry.second.state;
    return state.progress.end <= checkpoint_ && state.last.commit <= checkpoint_ &&
           std::all_of(state.parts.begin(), state.parts.end(), [&](const auto& part) { return part.second < end; });
  });
}

// ---- snapshots ----

bool Oracle::CopyIsDue(const std::string& table) {
  if (!syncs_known_) {
    const Scheduler::NoYield whole;
    auto syncs = world_.store->TableSyncs(kFlow);
    if (!syncs.ok()) {
      world_.Violated(absl::StrCat("the store does not answer: ", syncs.status().message()));
      return true;
    }
    syncs_ = *std::move(syncs);
    syncs_known_ = true;
  }
  return std::any_of(syncs_.begin(), syncs_.end(),
                     [&](const TableSync& sync) { return sync.table == table && sync.state != TableSyncState::kDone; });
}

bool Oracle::CopyIsDue(const Table& table) {
  return std::any_of(table.shapes.begin(), table.shapes.end(), [&](const Table::Shaped& shaped) {
    return shaped.shape != nullptr && CopyIsDue(shaped.shape->relation.QualifiedName());
  });
}

Lsn Oracle::Shown(const DiskState& state, uint32_t oid, int64_t key) const {
  Lsn shown;
  for (const auto& [name, lsn] : state.parts) {
    const auto part = parts_.find(name);
    if (part == parts_.end() || part->second.oid != oid || !Contains(part->second.range, key)) continue;
    shown = std::max(shown, lsn);
  }
  return shown;
}

Lsn Oracle::HighestShown(const DiskState& state, uint32_t oid) const {
  Lsn shown;
  for (const auto& [name, lsn] : state.parts) {
    const auto part = parts_.find(name);
    if (part != parts_.end() && part->second.oid == oid) shown = std::max(shown, lsn);
  }
  return shown;
}

// ---- rows ----

std::string Oracle::CompareRow(const Table& table, const DiskTable& there, int64_t key, Lsn at) const {
  const RowPtr expected = table.RowBefore(key, at);
  const auto found = there.rows.find(key);
  const std::string where = absl::StrCat("table ", there.oid, " key ", key, " as of ", at.ToString(), ": ");
  if (expected == nullptr) return found == there.rows.end() ? "" : absl::StrCat(where, "a row that is not there");
  if (found == there.rows.end()) return absl::StrCat(where, "the row is missing");
  const ShapePtr shape = table.ShapeBefore(at).shape;
  for (const auto& [name, number] : there.columns) {
    // The destination may be ahead by a change that was applied and whose transaction is still to come.
    if (shape == nullptr || shape->FindAttnum(number) < 0) continue;
    const auto& want = ValueAt(*expected, number);
    const auto& have = ValueAt(*found->second, number);
    if (want != have) return absl::StrCat(where, name, " is ", Show(have), " instead of ", Show(want));
  }
  return "";
}

std::string Oracle::CompareTable(const DiskState& state, const Table& table, const DiskTable& there, bool whole) const {
  const Lsn after{state.progress.commit.value + 1};
  std::set<int64_t> keys;
  for (const auto& [key, versions] : table.rows) keys.insert(key);
  for (const auto& [key, row] : there.rows) keys.insert(key);
  for (const int64_t key : keys) {
    std::string wrong = CompareRow(table, there, key, whole ? kEnd : std::max(after, Shown(state, table.oid, key)));
    if (!wrong.empty()) return wrong;
  }
  if (!whole) return "";
  const TableShape& shape = *table.now().shape;
  for (size_t i = 0; i < shape.details.size(); ++i) {
    const std::string& name = shape.relation.columns[i].name;
    if (unsure_.contains({table.oid, shape.details[i].attnum})) continue;
    if (rejected_.contains({table.oid, shape.details[i].attnum}) == there.columns.contains(name)) {
      return absl::StrCat("table ", table.name(), ": column ", name,
                          there.columns.contains(name) ? " was rejected and is there" : " is missing");
    }
  }
  return "";
}

// A drop that nobody told of leaves the table where it is.
bool Oracle::WasToldOfDrop(const Table& table) const {
  const auto& ddl = world_.database.ddl;
  return std::any_of(ddl.rbegin(), ddl.rend(), [&](const DdlRecord& record) {
    return record.oid == table.oid && record.captured && record.commit >= first_ && record.commit == table.now().commit;
  });
}

// Of all its names, by messages.
bool Oracle::WasToldOf(const std::pair<uint32_t, int>& column) const {
  const auto& ddl = world_.database.ddl;
  return std::all_of(ddl.begin(), ddl.end(), [&](const DdlRecord& record) {
    return std::pair(record.oid, record.column) != column || (record.captured && record.commit >= first_);
  });
}

bool Oracle::WasPassedOver(const Disk& disk, const Table& dropped) const {
  const auto lane = lanes_.find(disk.name);
  return lane != lanes_.end() && dropped.now().commit < lane->second.began;
}

std::string Oracle::CompareTables(const Disk& disk, bool whole) {
  for (const auto& [name, there] : disk.state.tables) {
    const Table& table = *world_.database.Find(there.oid);
    // A lane may have it under a name that the flow's own stream has left behind.
    // One that it has dropped may wait for a copy that is not made any more.
    const bool lane = IsSecondary(world_.flow, disk.name);
    if (CopyIsDue(name) || (lane && (CopyIsDue(table) || !(whole || table.exists())))) continue;
    if (!table.exists() && (whole || disk.state.progress.commit >= table.now().commit)) {
      if (!whole || !WasToldOfDrop(table) || WasPassedOver(disk, table)) continue;
      return absl::StrCat(disk.name, ": table ", name, " was dropped and is there");
    }
    std::string wrong = CompareTable(disk.state, table, there, whole);
    if (!wrong.empty()) return absl::StrCat(disk.name, " at ", disk.state.progress.commit.ToString(), ": ", wrong);
  }
  for (const auto& table : world_.database.tables) {
    if (!whole || !table->exists() || table->Keys().empty() || disk.state.Find(table->oid) != nullptr) continue;
    return absl::StrCat(disk.name, ": table ", table->name(), " is missing");
  }
  return "";
}

// ---- what must hold ----

bool Oracle::IsSettled(const DdlRecord& ddl) const {
  return rejected_.contains({ddl.oid, ddl.column}) || settled_.contains({ddl.oid, ddl.commit});
}

void Oracle::OnChange(const Disk& disk, const DiskState& state, uint32_t oid, Position position) {
  for (const DdlRecord& ddl : world_.database.ddl) {
    if (!ddl.captured || ddl.oid != oid || ddl.commit < first_) continue;
    // A transaction that outgrows a batch is written in parts, and committed when it is known whole.
    if (Position{ddl.commit, ddl.changes_before} > position) continue;
    if (ddl.commit < HighestShown(state, oid) || IsSettled(ddl)) continue;
    return world_.Violated(absl::StrCat(disk.name, ": change ", position.ToString(), " of table ", oid,
                                        " is delivered, and nobody has decided on the DDL at ", ddl.commit.ToString()));
  }
}

void Oracle::OnCommit(const Disk& disk, int64_t generation) {
  if (generation < disk.generation) {
    return world_.Violated(absl::StrCat(disk.name, " takes a commit of generation ", generation));
  }
  const DiskState& state = disk.state;
  for (const DdlRecord& ddl : world_.database.ddl) {
    if (!ddl.captured || ddl.commit > state.progress.commit || ddl.commit < first_) continue;
    const DiskTable* there = state.Find(ddl.oid);
    if (there == nullptr || CopyIsDue(*world_.database.Find(ddl.oid)) || ddl.commit < HighestShown(state, ddl.oid))
      continue;
    if (IsSettled(ddl)) continue;
    return world_.Violated(absl::StrCat(disk.name, " has gone to ", state.progress.commit.ToString(),
                                        ", and nobody has decided on the DDL at ", ddl.commit.ToString()));
  }
  // Without transactions, it may have seen more than it has confirmed.
  if (state.last.commit > state.progress.commit) return;
  if (const std::string wrong = CompareTables(disk, /*whole=*/false); !wrong.empty()) world_.Violated(wrong);
}

bool Oracle::IsDurable(const Disk& disk, const WalTransaction& t) {
  if (disk.state.progress.commit >= t.commit) return true;
  return std::all_of(t.ops.begin(), t.ops.end(), [&](const WalOp& op) {
    if (op.kind == WalOp::Kind::kMessage) return true;
    const Table* table = world_.database.Find(op.oid);
    // With a spool the slot moves on before a flow's first checkpoint, and a lane waits for copies: a table that has
    // been dropped since may have been due for one.
    if (!table->exists() && (table->now().commit == t.commit || world_.plan.spool)) return true;
    return CopyIsDue(*table) || t.commit < HighestShown(disk.state, op.oid);
  });
}

// An operator may, whoever runs the flow; what one does with a lease, it does with that lease's own view of the store.
void Oracle::OnWrite(std::string_view what, int process) {
  if (!world_.running.contains(process) || generations_[process] == generation_) return;
  world_.Violated(absl::StrCat("a worker of generation ", generations_[process], " does: ", what, ", and generation ",
                               generation_, " has taken over"));
}

void Oracle::OnCheckpoint(const Checkpoint& checkpoint) {
  if (checkpoint.lsn < checkpoint_) {
    return world_.Violated(
        absl::StrCat("the checkpoint goes back from ", checkpoint_.ToString(), " to ", checkpoint.lsn.ToString()));
  }
  checkpoint_ = checkpoint.lsn;
  std::vector<const Disk*> disks;
  for (const auto& [name, disk] : world_.disks) {
    if (!IsSecondary(world_.flow, name)) disks.push_back(&disk);
  }
  CheckDurable("checkpoint", checkpoint.lsn, disks, &verified_);
}

void Oracle::CheckDurable(const std::string& what, Lsn lsn, const std::vector<const Disk*>& disks, size_t* verified) {
  const auto& wal = world_.database.wal;
  for (; *verified < wal.size() && wal[*verified].end <= lsn; ++*verified) {
    if (wal[*verified].commit < first_) continue;
    for (const Disk* disk : disks) {
      if (IsDurable(*disk, wal[*verified])) continue;
      return world_.Violated(absl::StrCat(what, " ", lsn.ToString(), " is stored, and ", disk->name,
                                          " does not have the transaction at ", wal[*verified].commit.ToString()));
    }
  }
}

void Oracle::OnLaneCheckpoint(const std::string& destination, const Checkpoint& checkpoint, bool begins) {
  LaneAt& lane = lanes_[destination];
  const std::string what = absl::StrCat("the lane's checkpoint of ", destination);
  if (checkpoint.lsn < lane.checkpoint && !begins) {
    return world_.Violated(
        absl::StrCat(what, " goes back from ", lane.checkpoint.ToString(), " to ", checkpoint.lsn.ToString()));
  }
  lane.checkpoint = checkpoint.lsn;
  if (begins) lane.verified = 0;
  if (begins) lane.began = checkpoint.lsn;
  CheckDurable(what, checkpoint.lsn, {&world_.disks.at(destination)}, &lane.verified);
}

void Oracle::OnSpoolRemoved(Lsn below) {
  Lsn least = checkpoint_;
  for (const auto& [destination, lane] : lanes_) least = std::min(least, lane.checkpoint);
  if (below <= least) return;
  world_.Violated(absl::StrCat("the spool forgets what is before ", below.ToString(), ", and ", least.ToString(),
                               " is the least that a destination has"));
}

void Oracle::OnAcknowledge(Lsn flushed) {
  const Lsn durable = world_.plan.spool ? world_.spool.durable : checkpoint_;
  if (flushed <= durable) return;
  world_.Violated(absl::StrCat(flushed.ToString(), " is acknowledged, and ",
                               world_.plan.spool ? "the spool has " : "the checkpoint is ", durable.ToString()));
}

void Oracle::OnFailed(const std::string& reason) {
  const bool lost = absl::StrContains(reason, "is lost") || absl::StrContains(reason, "is gone, and with it");
  if (lost && world_.statistics.slot_losses > 0) return;
  // It was lost between the look at it and its use, or a backfill that made another ended before its first checkpoint.
  for (const char* text : {"can no longer get changes", "the slot does not exist", "was moved to"}) {
    if (world_.statistics.slot_losses > 0 && absl::StrContains(reason, text)) return;
  }
  if (world_.statistics.restores > 0 && absl::StrContains(reason, "the source's history is not the one")) return;
  if (absl::StrContains(reason, "its snapshot was interrupted and went on under a later one")) return;
  world_.Violated(absl::StrCat("the flow failed, and nothing had happened that it may fail for: ", reason));
}

std::string Oracle::NotThereYet() {
  for (const auto& table : world_.database.tables) {
    if (table->exists() && CopyIsDue(table->name())) return absl::StrCat("the copy of ", table->name(), " is due");
  }
  if (!world_.database.slot.exists || world_.database.wal.back().end > world_.database.slot.confirmed) {
    return absl::StrCat("acknowledged is ", world_.database.slot.confirmed.ToString(), " of ",
                        world_.database.wal.back().end.ToString());
  }
  if (!world_.plan.spool) return "";
  if (checkpoint_ < world_.database.wal.back().end) return absl::StrCat("the flow is at ", checkpoint_.ToString());
  for (const auto& [name, disk] : world_.disks) {
    if (!IsSecondary(world_.flow, name)) continue;
    const auto lane = lanes_.find(name);
    const Lsn at = lane == lanes_.end() ? Lsn{} : lane->second.checkpoint;
    if (at < world_.database.wal.back().end) return absl::StrCat(name, " is at ", at.ToString());
  }
  return "";
}

std::string Oracle::Difference() {
  for (const auto& [name, disk] : world_.disks) {
    std::string wrong = CompareTables(disk, /*whole=*/true);
    if (!wrong.empty()) return wrong;
  }
  return "";
}

}  // namespace wallaby::simulation
