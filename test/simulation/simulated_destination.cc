#include "test/simulation/simulated_destination.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "change/value.h"
#include "test/simulation/world.h"

namespace wallaby::simulation {
namespace {

class SimulatedDestination final : public Destination {
 public:
  explicit SimulatedDestination(const DestinationConfig& config)
      : world_(World::Now()), disk_(world_.disks.at(config.name)), generation_(config.generation) {}

  Capabilities capabilities() const override { return disk_.capabilities; }

  absl::StatusOr<Progress> Open() override {
    open_.reset();
    RETURN_IF_ERROR(Reach("open"));
    disk_.generation = std::max(disk_.generation, generation_);
    RETURN_IF_ERROR(world_.Answer(absl::StrCat(disk_.name, ": open")));
    return disk_.capabilities.keeps_progress ? disk_.state.progress : Progress{};
  }

  absl::Status CheckTable(const Relation&) override { return Reach("check table"); }

  absl::Status Write(const ChangeBatch& batch) override {
    RETURN_IF_ERROR(Reach("write"));
    if (transactional() && !open_.has_value()) open_ = disk_.state;
    DiskState& state = transactional() ? *open_ : disk_.state;
    // Where there is no transaction, a write may get half-way.
    const size_t end = !transactional() && world_.Chance(world_.plan.error_permille)
                           ? world_.chance.Below(batch.change_count() + 1)
                           : batch.change_count();
    for (size_t i = 0; i < end; ++i) {
      if (!transactional() && world_.chance.OneIn(8)) RETURN_IF_ERROR(Reach("write on"));
      Apply(batch, batch.changes()[i], state);
    }
    if (!batch.snapshot_part().empty()) part_lsns_[batch.snapshot_part()] = batch.transactions().front().commit;
    if (end == batch.change_count()) return absl::OkStatus();
    ++world_.statistics.errors;
    return absl::UnavailableError(absl::StrCat("simulated: ", disk_.name, " took a part of a batch"));
  }

  absl::Status Commit(const CommitPoint& point) override {
    RETURN_IF_ERROR(Reach("commit"));
    DiskState& state = transactional() && open_.has_value() ? *open_ : disk_.state;
    if (point.end.valid()) {
      if (point.commit <= state.progress.commit && transactional()) {
        world_.Violated(absl::StrCat(disk_.name, " is told to go back from ", state.progress.commit.ToString(), " to ",
                                     point.commit.ToString()));
      }
      state.progress.commit = std::max(state.progress.commit, point.commit);
      state.progress.end = std::max(state.progress.end, point.end);
    }
    for (const std::string& part : point.finished_parts) {
      state.progress.snapshot_parts.insert(part);
      // An empty part comes without a batch to write.
      const auto lsn = part_lsns_.find(part);
      state.parts[part] = lsn == part_lsns_.end() ? world_.read_parts.at(part) : lsn->second;
    }
    if (open_.has_value()) disk_.state = *std::move(open_);
    open_.reset();
    ++world_.statistics.commits;
    world_.oracle.OnCommit(disk_, generation_);
    return world_.Answer(absl::StrCat(disk_.name, ": commit"));
  }

  absl::Status ResetSnapshot(const Relation& relation, std::string_view part_prefix) override {
    RETURN_IF_ERROR(Reach("reset snapshot"));
    disk_.state.tables.erase(relation.QualifiedName());
    std::erase_if(disk_.state.progress.snapshot_parts, [&](const auto& part) { return part.starts_with(part_prefix); });
    std::erase_if(disk_.state.parts, [&](const auto& part) { return part.first.starts_with(part_prefix); });
    return world_.Answer(absl::StrCat(disk_.name, ": reset snapshot"));
  }

  absl::Status ResetPart(const Relation& relation, std::string_view part, const KeyRange& range) override {
    if (!disk_.capabilities.resets_parts) return Destination::ResetPart(relation, part, range);
    RETURN_IF_ERROR(Reach("reset part"));
    std::erase_if(disk_.state.tables[relation.QualifiedName()].rows, [&](const auto& row) {
      return (!range.from.has_value() || row.first >= *range.from) && (!range.to.has_value() || row.first < *range.to);
    });
    disk_.state.progress.snapshot_parts.erase(std::string(part));
    disk_.state.parts.erase(std::string(part));
    return world_.Answer(absl::StrCat(disk_.name, ": reset part"));
  }

  std::vector<std::string> DdlStatements(const SchemaChange&) const override { return {}; }

  absl::Status ApplyDdl(const SchemaChange& change) override {
    for (const SchemaStep& step : change.steps) {
      RETURN_IF_ERROR(Reach("ddl"));
      ApplyStep(change, step);
    }
    return world_.Answer(absl::StrCat(disk_.name, ": ddl"));
  }

 private:
  bool transactional() const { return disk_.capabilities.keeps_progress; }

  absl::Status Reach(std::string_view what) {
    RETURN_IF_ERROR(world_.Reach(absl::StrCat(disk_.name, ": ", what)));
    if (generation_ >= disk_.generation) return absl::OkStatus();
    return absl::FailedPreconditionError(
        absl::StrCat("fenced: generation ", disk_.generation, " has taken over from ", generation_));
  }

  void Wrong(const ChangeBatch& batch, const Change& change, std::string_view what) {
    world_.Violated(absl::StrCat(disk_.name, ": change ", batch.position(change).ToString(), " (",
                                 std::string(1, static_cast<char>(change.kind)), ") of ",
                                 batch.relation(change).QualifiedName(), ": ", what));
  }

  DiskTable& TableFor(const Relation& relation, DiskState& state) {
    DiskTable& table = state.tables[relation.QualifiedName()];
    table.oid = relation.oid;
    for (const Column& column : relation.columns) {
      if (!table.columns.contains(column.name)) table.columns[column.name] = Number(relation.oid, column.name);
    }
    return table;
  }
  int Number(uint32_t oid, const std::string& column) const { return world_.database.column_numbers.at({oid, column}); }

  // The row's values by attribute number; absent ones are taken from `old`.
  RowPtr Read(const ChangeBatch& batch, const Change& change, TupleCursor tuple, const RowPtr& old) {
    const Relation& relation = batch.relation(change);
    Values values = old == nullptr ? Values() : *old;
    for (; !tuple.done(); tuple.Next()) {
      const Column& column = relation.columns[tuple.index()];
      const auto i = static_cast<size_t>(Number(relation.oid, column.name)) - 1;
      if (values.size() <= i) values.resize(i + 1);
      if (tuple.field().is_absent()) {
        if (old == nullptr) Wrong(batch, change, "a value is absent and there is no row to have it from");
        continue;
      }
      values[i].reset();
      if (tuple.field().is_null()) continue;
      std::string text;
      if (!AppendText(tuple.field(), column.type, &text).ok()) Wrong(batch, change, "a value cannot be read");
      values[i] = std::move(text);
    }
    return std::make_shared<const Values>(std::move(values));
  }

  void Apply(const ChangeBatch& batch, const Change& change, DiskState& state) {
    DiskTable& table = TableFor(batch.relation(change), state);
    if (change.kind == ChangeKind::kRead) {
      const RowPtr row = Read(batch, change, batch.new_row(change), nullptr);
      if (!table.rows.emplace(KeyOf(*row), row).second) Wrong(batch, change, "the copy has the row twice");
      return;
    }
    const Position position = batch.position(change);
    if (position <= state.last) {
      if (transactional()) Wrong(batch, change, absl::StrCat("comes after ", state.last.ToString()));
      return;  // known by its position
    }
    state.last = position;
    if (world_.verbose()) {
      world_.Say(absl::StrCat("    ", disk_.name, " takes ", position.ToString(), " ",
                              std::string(1, static_cast<char>(change.kind)), " of table ", table.oid));
    }
    world_.oracle.OnChange(disk_, state, table.oid, position);
    if (change.kind == ChangeKind::kTruncate) {
      table.rows.clear();
      return;
    }
    ApplyRow(batch, change, table);
  }

  void ApplyRow(const ChangeBatch& batch, const Change& change, DiskTable& table) {
    const RowPtr old_row =
        batch.has_old(change) ? Read(batch, change, batch.old_row(change), std::make_shared<const Values>()) : nullptr;
    RowPtr before;
    if (change.kind != ChangeKind::kInsert) {
      const int64_t key =
          KeyOf(old_row != nullptr ? *old_row
                                   : *Read(batch, change, batch.new_row(change), std::make_shared<const Values>()));
      const auto found = table.rows.find(key);
      if (found == table.rows.end()) return Wrong(batch, change, absl::StrCat("there is no row with key ", key));
      before = found->second;
      table.rows.erase(found);
    }
    if (change.kind == ChangeKind::kDelete) return;
    const RowPtr row = Read(batch, change, batch.new_row(change), before);
    if (!table.rows.emplace(KeyOf(*row), row).second) Wrong(batch, change, "there is a row with this key");
  }

  void ApplyStep(const SchemaChange& change, const SchemaStep& step) {
    auto& tables = disk_.state.tables;
    switch (step.kind) {
      case SchemaStepKind::kCreateTable:
        TableFor(change.after->Visible(), disk_.state);
        return;
      case SchemaStepKind::kDropTable:
        tables.erase(change.before->relation.QualifiedName());
        return;
      case SchemaStepKind::kRenameTable:
        if (auto node = tables.extract(step.old_name); !node.empty()) {
          node.key() = change.Table();
          tables.insert(std::move(node));
        }
        return;
      default:
        break;
    }
    const auto found = tables.find(change.Table());
    if (found == tables.end()) return;
    DiskTable& table = found->second;
    if (step.kind == SchemaStepKind::kAddColumn && !table.columns.contains(step.column)) {
      const int number = table.columns[step.column] = Number(table.oid, step.column);
      for (auto& [key, row] : table.rows) {
        Values values = *row;
        values.resize(std::max<size_t>(values.size(), number));
        values[number - 1] = step.detail.fill;
        row = std::make_shared<const Values>(std::move(values));
      }
    } else if (step.kind == SchemaStepKind::kDropColumn) {
      table.columns.erase(step.column);
    } else if (step.kind == SchemaStepKind::kRenameColumn) {
      if (auto node = table.columns.extract(step.old_name); !node.empty()) {
        node.key() = step.column;
        table.columns.insert(std::move(node));
      }
    }
  }

  World& world_;
  Disk& disk_;
  const int64_t generation_;
  std::optional<DiskState> open_;  // the transaction
  std::map<std::string, Lsn> part_lsns_;
};

}  // namespace

Capabilities SimulatedCapabilities(const std::string& name) {
  if (name == "linger") return {.linger = absl::Seconds(2), .linger_bytes = 1 << 20};
  if (name == "atleast") return {.keeps_progress = false};
  return {.resets_parts = true};
}

absl::Status MakeSimulatedDestination(const DestinationConfig& config, std::unique_ptr<Destination>* out) {
  *out = std::make_unique<SimulatedDestination>(config);
  return absl::OkStatus();
}

}  // namespace wallaby::simulation
