#include "test/simulation/simulated_source.h"

#include <algorithm>
#include <deque>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "pipeline/toast_filler.h"
#include "test/simulation/simulated_stream.h"
#include "test/simulation/world.h"

namespace wallaby::simulation {
namespace {

absl::Status Lost() {
  return absl::UnavailableError("simulated: the connection to the source was lost");
}

struct SimulatedSnapshot final : SourceSnapshot {
  int64_t epoch = 0;
};

// With the process it goes.
bool IsBeingMade(const Slot& slot) {
  return slot.maker != 0 && World::Now().scheduler.process_at(slot.maker).alive;
}

class SimulatedSession final : public SourceSession {
 public:
  SimulatedSession() : epoch_(World::Now().database.sessions_epoch) {}

  TypeCatalog& types() override { return types_; }
  absl::StatusOr<std::vector<std::string>> PrimaryKey(uint32_t) override {
    RETURN_IF_ERROR(Ask("primary key"));
    return std::vector<std::string>{"id"};
  }

  absl::StatusOr<std::optional<SlotInfo>> GetSlot() override {
    RETURN_IF_ERROR(Ask("slot"));
    Slot& slot = database().slot;
    const bool made = IsBeingMade(slot);
    if (!slot.exists && !made) return std::nullopt;
    SlotInfo info;
    info.name = kSlot;
    info.plugin = "pgoutput";
    info.database = "db";
    info.active = made;
    if (made) return info;
    info.active = IsActive();
    info.active_pid = info.active ? slot.active_pid : 0;
    info.confirmed_flush = slot.confirmed;
    info.restart = slot.confirmed;
    info.behind_bytes = static_cast<int64_t>(database().current().value - slot.confirmed.value);
    info.wal_status = slot.lost ? "lost" : "reserved";
    return info;
  }
  absl::Status DropSlot() override {
    RETURN_IF_ERROR(Ask("drop slot"));
    if (!database().slot.exists) return absl::NotFoundError("simulated: no such slot");
    if (IsActive()) return absl::FailedPreconditionError("simulated: the slot is active");
    database().slot = {};
    World::Now().Say("slot dropped");
    return World::Now().Answer("drop slot");
  }
  absl::StatusOr<ServerInfo> GetServerInfo() override {
    RETURN_IF_ERROR(Ask("server"));
    ServerInfo info;
    info.database = "db";
    info.current_lsn = database().current();
    return info;
  }
  absl::StatusOr<std::optional<Transaction>> LastSent(Lsn upto, Sent sent) override {
    RETURN_IF_ERROR(Ask("last sent"));
    if (IsActive()) return absl::UnavailableError("simulated: the slot is active");
    const auto& wal = database().wal;
    const auto is_sent = [&](const WalOp& op) { return sent == Sent::kAnything || op.kind != WalOp::Kind::kMessage; };
    for (size_t i = database().FirstFrom(upto); i > 0 && wal[i - 1].commit >= database().slot.confirmed; --i) {
      const WalTransaction& t = wal[i - 1];
      const bool empty = sent == Sent::kAnything && World::Now().plan.empty_transactions;
      if (!empty && !std::any_of(t.ops.begin(), t.ops.end(), is_sent)) continue;
      return Transaction{.commit = t.commit, .end = Lsn{}, .commit_time_micros = t.time_micros, .xid = t.xid};
    }
    return std::nullopt;
  }
  absl::StatusOr<std::vector<Finding>> Check() override {
    RETURN_IF_ERROR(Ask("check"));
    return std::vector<Finding>();
  }
  absl::StatusOr<PublicationChange> EnsurePublication() override {
    RETURN_IF_ERROR(Ask("publication"));
    return PublicationChange();
  }
  absl::Status EnsureDdlCapture() override {
    RETURN_IF_ERROR(Ask("capture"));
    database().captures_ddl = true;
    return World::Now().Answer("capture");
  }

  absl::Status Enter(const SourceSnapshot& snapshot) override {
    RETURN_IF_ERROR(Ask("enter snapshot"));
    at_ = snapshot.consistent;
    return absl::OkStatus();
  }
  absl::StatusOr<std::vector<PublishedTable>> PublishedTables() override;
  absl::StatusOr<TableShape> ShapeFromCatalog(const Relation& announced) override;
  std::unique_ptr<pgoutput::AbsentFiller> MakeFiller() override { return nullptr; }

  absl::StatusOr<uint32_t> TableFile(const Relation& relation) override {
    RETURN_IF_ERROR(Ask("table file"));
    const Table* table = database().Find(relation.oid);
    return table == nullptr ? 0 : table->now().file;
  }
  absl::StatusOr<std::vector<TablePart>> PlanTableParts(const PublishedTable& table,
                                                        const PartitionOptions& options) override;
  absl::Status CopyTablePart(const PublishedTable& table, const TablePart& part, const SourceSnapshot& snapshot,
                             size_t batch_bytes,
                             const std::function<absl::Status(std::unique_ptr<ChangeBatch>, bool last)>& emit) override;

  absl::StatusOr<std::unique_ptr<ReplicationStream>> StartReplication(StreamOptions options) override {
    RETURN_IF_ERROR(Ask("start replication"));
    return StartSimulatedStream(options);
  }

 private:
  static Database& database() { return World::Now().database; }
  bool IsActive() const {
    const Slot& slot = database().slot;
    return slot.active_pid != 0 && (slot.active_until == 0 || World::Now().scheduler.now() < slot.active_until);
  }
  absl::Status Ask(std::string_view what) {
    RETURN_IF_ERROR(World::Now().Reach(absl::StrCat("source: ", what)));
    return epoch_ == database().sessions_epoch ? absl::OkStatus() : Lost();
  }

  TypeCatalog types_{nullptr};
  const int64_t epoch_;
  Lsn at_{UINT64_MAX};  // what the session sees
};

absl::StatusOr<std::vector<PublishedTable>> SimulatedSession::PublishedTables() {
  RETURN_IF_ERROR(Ask("tables"));
  std::vector<PublishedTable> published;
  for (const auto& table : database().tables) {
    const ShapePtr shape = table->ShapeBefore(at_).shape;
    if (shape == nullptr) continue;
    PublishedTable& entry = published.emplace_back();
    entry.relation = shape->relation;
    entry.details = shape->details;
    entry.has_primary_key = true;
  }
  std::sort(published.begin(), published.end(), [](const PublishedTable& a, const PublishedTable& b) {
    return a.relation.QualifiedName() < b.relation.QualifiedName();
  });
  return published;
}

absl::StatusOr<TableShape> SimulatedSession::ShapeFromCatalog(const Relation& announced) {
  RETURN_IF_ERROR(Ask("shape"));
  TableShape shape{.relation = announced};
  const Table* table = database().Find(announced.oid);
  for (const Column& column : announced.columns) {
    const int found = table == nullptr || !table->exists() ? -1 : table->now().shape->FindName(column.name);
    shape.details.push_back(found < 0 ? ColumnDetail() : table->now().shape->details[found]);
  }
  return shape;
}

absl::StatusOr<std::vector<TablePart>> SimulatedSession::PlanTableParts(const PublishedTable& published,
                                                                        const PartitionOptions&) {
  RETURN_IF_ERROR(Ask("plan"));
  World& world = World::Now();
  const Table& table = *database().Find(published.relation.oid);
  const std::vector<int64_t> keys = table.Keys();
  std::vector<int64_t> bounds;
  const auto cuts = static_cast<size_t>(world.chance.Below(4));
  for (size_t i = 1; i <= cuts && keys.size() > 4; ++i) bounds.push_back(keys[keys.size() * i / (cuts + 1)]);
  bounds.erase(std::unique(bounds.begin(), bounds.end()), bounds.end());
  std::vector<TablePart> parts = KeyRangeParts(published.relation, "id", bounds);
  if (parts.empty()) parts.push_back({.name = published.relation.QualifiedName() + "/0"});
  for (TablePart& part : parts) {
    part.file = table.now().file;
    world.oracle.KnowPart(table.oid, part);
  }
  return parts;
}

absl::Status SimulatedSession::CopyTablePart(
    const PublishedTable& published, const TablePart& part, const SourceSnapshot& snapshot, size_t,
    const std::function<absl::Status(std::unique_ptr<ChangeBatch>, bool last)>& emit) {
  RETURN_IF_ERROR(Ask("begin copy"));
  World& world = World::Now();
  const Table& table = *database().Find(published.relation.oid);
  const auto again = [&](std::string_view why) {
    return absl::AbortedError(absl::StrCat("copying ", published.relation.QualifiedName(), ": ", why));
  };
  if (static_cast<const SimulatedSnapshot&>(snapshot).epoch != database().sessions_epoch) return again("no snapshot");
  if (!table.exists() || table.name() != published.relation.QualifiedName()) return again("dropped or renamed");
  if (part.file != 0 && part.file != table.now().file) return again("rewritten or truncated");
  for (const Column& column : published.relation.columns) {
    if (table.now().shape->FindName(column.name) < 0) return again("a column has been dropped or renamed");
  }
  // The file and the columns are locked from here on; the rows are the snapshot's.
  const TableShape shape = *table.now().shape;
  const auto relation = std::make_shared<const Relation>(published.relation);
  Transaction transaction{.commit = snapshot.consistent, .end = snapshot.consistent};
  std::unique_ptr<ChangeBatch> batch;
  uint32_t seq = 0;
  // Gives what was filled and begins anew.
  const auto next = [&] {
    auto filled = std::move(batch);
    batch = std::make_unique<ChangeBatch>();
    batch->set_snapshot_part(part.name);
    batch->AddTransaction(transaction);
    batch->AddRelation(relation);
    return filled;
  };
  next();
  std::vector<std::pair<int64_t, RowPtr>> rows;
  for (const auto& [key, versions] : table.rows) {
    if ((part.from.has_value() && key < *part.from) || (part.to.has_value() && key >= *part.to)) continue;
    if (RowPtr row = table.RowBefore(key, snapshot.consistent)) rows.emplace_back(key, std::move(row));
  }
  for (const auto& [key, row] : rows) {
    std::string tuple;
    TupleBuilder builder(&tuple, static_cast<int>(relation->columns.size()));
    for (const Column& column : relation->columns) {
      const size_t i = static_cast<size_t>(shape.details[shape.FindName(column.name)].attnum) - 1;
      if (i < row->size() && (*row)[i].has_value()) {
        builder.Text(*(*row)[i]);
      } else {
        builder.Null();
      }
    }
    Change change;
    change.kind = ChangeKind::kRead;
    change.seq = seq++;
    change.new_row = batch->AddRow(tuple);
    batch->AddChange(change);
    if (!world.chance.OneIn(6)) continue;
    RETURN_IF_ERROR(Ask("copy"));
    RETURN_IF_ERROR(emit(next(), false));
  }
  RETURN_IF_ERROR(Ask("end copy"));
  ++world.statistics.copies;
  world.read_parts[part.name] = snapshot.consistent;
  return emit(next(), true);
}

class SimulatedSource final : public Source {
 public:
  absl::StatusOr<std::unique_ptr<SourceSession>> Connect() override {
    World& world = World::Now();
    RETURN_IF_ERROR(world.Reach("source: connect"));
    if (world.scheduler.now() < world.database.down_until) {
      return absl::UnavailableError("simulated: the source does not answer");
    }
    return std::make_unique<SimulatedSession>();
  }
  absl::StatusOr<std::unique_ptr<SourceSession>> ConnectMonitor() override { return Connect(); }
  absl::StatusOr<std::unique_ptr<SourceSnapshot>> CreateSlot() override {
    World& world = World::Now();
    RETURN_IF_ERROR(Connect().status());
    Slot& slot = world.database.slot;
    if (slot.exists || IsBeingMade(slot)) return absl::AlreadyExistsError("simulated: the slot exists");
    slot.maker = world.scheduler.process()->number;
    world.scheduler.Sleep(world.chance.Skewed(9) * kMillisecond);  // for open transactions
    if (slot.exists) return absl::AlreadyExistsError("simulated: the slot exists");
    slot = {.exists = true, .confirmed = world.database.current(), .persisted = world.database.current()};
    world.oracle.SlotMade(slot.confirmed);
    world.Say(absl::StrCat("slot made at ", slot.confirmed.ToString()));
    auto snapshot = Snapshot(slot.confirmed);
    RETURN_IF_ERROR(world.Answer("create slot"));
    return snapshot;
  }
  absl::StatusOr<std::unique_ptr<SourceSnapshot>> TakeSnapshot(const std::string&) override {
    World& world = World::Now();
    RETURN_IF_ERROR(Connect().status());
    world.scheduler.Sleep(world.chance.Skewed(9) * kMillisecond);
    return Snapshot(world.database.current());
  }

 private:
  static std::unique_ptr<SourceSnapshot> Snapshot(Lsn consistent) {
    auto snapshot = std::make_unique<SimulatedSnapshot>();
    snapshot->name = consistent.ToString();
    snapshot->consistent = consistent;
    snapshot->epoch = World::Now().database.sessions_epoch;
    return snapshot;
  }
};

}  // namespace

std::unique_ptr<Source> MakeSimulatedSource() {
  return std::make_unique<SimulatedSource>();
}

}  // namespace wallaby::simulation
