#include "pipeline/snapshot.h"

#include <atomic>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "base/failpoint.h"
#include "base/status.h"
#include "telemetry/log.h"

namespace wallaby {
namespace {

struct TableCopy {
  const PublishedTable* table;
  std::vector<TablePart> parts;
  std::atomic<int64_t> rows{0};
  std::mutex mutex;  // guards what is below, and its order in the store
  std::optional<SnapshotPlan> plan;
  TableSync sync;  // as stored last
};

struct Task {
  TableCopy* copy;
  size_t part;
};

class Copier {
 public:
  Copier(const SnapshotOptions& options, const SourceSnapshot& snapshot, ControlStore& store, Pipeline& pipeline)
      : options_(options), snapshot_(snapshot), store_(store), pipeline_(pipeline) {}

  absl::Status Plan(const std::vector<TableToCopy>& tables);
  absl::Status Run();

 private:
  absl::Status PlanTable(SourceSession& session, const TableToCopy& table);
  void Work();
  absl::Status CopyTasks();
  void PartIsRead(const Task& task, int64_t rows);
  absl::Status StoreProgress(bool done);

  const SnapshotOptions& options_;
  const SourceSnapshot& snapshot_;
  ControlStore& store_;
  Pipeline& pipeline_;
  std::deque<TableCopy> copies_;  // addresses stay
  std::vector<Task> tasks_;
  std::atomic<size_t> next_task_{0};
};

absl::Status Copier::Plan(const std::vector<TableToCopy>& tables) {
  ASSIGN_OR_RETURN(auto session, options_.source->Connect());
  for (const TableToCopy& table : tables) RETURN_IF_ERROR(PlanTable(*session, table));
  return absl::OkStatus();
}

absl::Status Copier::PlanTable(SourceSession& session, const TableToCopy& table) {
  TableCopy& copy = copies_.emplace_back();
  copy.table = &table.table;
  copy.sync = {.table = table.table.relation.QualifiedName(),
               .state = TableSyncState::kCopying,
               .snapshot_lsn = snapshot_.consistent,
               .rows_estimated = table.table.estimated_rows,
               .oid = table.table.relation.oid};
  if (table.plan.has_value()) {
    copy.plan = table.plan;
    copy.parts = PlannedParts(table.table.relation, *copy.plan);
  } else {
    ASSIGN_OR_RETURN(copy.parts, session.PlanTableParts(table.table, options_.partition));
    copy.plan = MakePlan(table.table, copy.parts, snapshot_.consistent);
  }
  for (size_t i = 0; i < copy.parts.size(); ++i) {
    if (table.plan.has_value() && table.kept[i]) {
      copy.rows += copy.plan->parts[i].rows;
      ++copy.sync.parts_done;
      continue;
    }
    if (copy.plan.has_value()) copy.plan->parts[i] = {.lsn = snapshot_.consistent};
    tasks_.push_back({&copy, i});
  }
  copy.sync.parts_total = static_cast<int64_t>(copy.parts.size());
  copy.sync.rows_copied = copy.rows;
  if (copy.plan.has_value()) copy.sync.plan = PlanToText(*copy.plan);
  return store_.PutTableSync(options_.flow_id, copy.sync);
}

absl::Status Copier::Run() {
  std::set<std::string> names;
  for (const Task& task : tasks_) names.insert(task.copy->parts[task.part].name);
  std::vector<std::thread> threads;
  const size_t workers = std::min<size_t>(std::max(options_.workers, 1), tasks_.size());
  for (size_t i = 0; i < workers; ++i) threads.emplace_back([this] { Work(); });
  absl::Cleanup join = [&] {
    for (std::thread& thread : threads) thread.join();
  };
  RETURN_IF_ERROR(pipeline_.AwaitParts(names, [this] {
    const absl::Status status = StoreProgress(/*done=*/false);
    if (!status.ok())
      Log(LogLevel::kWarn, "snapshot progress was not stored", {{"error", std::string(status.message())}});
  }));
  RETURN_IF_ERROR(ReachFailpoint(Failpoint::kSnapshotDone));
  return StoreProgress(/*done=*/true);
}

void Copier::Work() {
  pipeline_.Fail(CopyTasks());
}

absl::Status Copier::CopyTasks() {
  ASSIGN_OR_RETURN(auto session, options_.source->Connect());
  for (size_t i = next_task_++; i < tasks_.size(); i = next_task_++) {
    const Task task = tasks_[i];
    const TablePart& part = task.copy->parts[task.part];
    int64_t part_rows = 0;
    const absl::Status status = session->CopyTablePart(
        *task.copy->table, part, snapshot_, options_.batch_bytes, [&](std::unique_ptr<ChangeBatch> batch, bool last) {
          const auto rows = static_cast<int64_t>(batch->change_count());
          part_rows += rows;
          if (last) PartIsRead(task, part_rows);
          if (last) RETURN_IF_ERROR(ReachFailpoint(Failpoint::kSnapshotPartRead));
          RETURN_IF_ERROR(pipeline_.PushSnapshot(std::move(batch), last));
          task.copy->rows += rows;
          return absl::OkStatus();
        });
    if (absl::IsCancelled(status)) return absl::OkStatus();  // the pipeline ends for another reason
    if (!status.ok()) return Annotate(status, absl::StrCat("copying ", part.name));
  }
  return absl::OkStatus();
}

// Stored before the part can be durable, so that a later try knows how many rows it keeps.
void Copier::PartIsRead(const Task& task, int64_t rows) {
  TableCopy& copy = *task.copy;
  if (!copy.plan.has_value()) return;
  std::lock_guard lock(copy.mutex);
  copy.plan->parts[task.part].rows = rows;
  copy.sync.plan = PlanToText(*copy.plan);
  const absl::Status status = store_.PutTableSync(options_.flow_id, copy.sync);
  if (!status.ok())
    Log(LogLevel::kWarn, "snapshot progress was not stored", {{"error", std::string(status.message())}});
}

absl::Status Copier::StoreProgress(bool done) {
  for (TableCopy& copy : copies_) {
    std::lock_guard lock(copy.mutex);
    TableSync now = copy.sync;
    now.rows_copied = copy.rows;
    now.parts_done = pipeline_.PartsDurable(PartPrefix(copy.table->relation));
    if (done) now.state = TableSyncState::kDone;
    if (now.rows_copied == copy.sync.rows_copied && now.parts_done == copy.sync.parts_done && !done) continue;
    RETURN_IF_ERROR(store_.PutTableSync(options_.flow_id, now));
    copy.sync = now;
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CopyTables(const SnapshotOptions& options, const std::vector<TableToCopy>& tables,
                        const SourceSnapshot& snapshot, ControlStore& store, Pipeline& pipeline) {
  if (tables.empty()) return absl::OkStatus();
  Copier copier(options, snapshot, store, pipeline);
  RETURN_IF_ERROR(copier.Plan(tables));
  Log(LogLevel::kInfo, "snapshot begins",
      {{"tables", absl::StrCat(tables.size())}, {"lsn", snapshot.consistent.ToString()}});
  RETURN_IF_ERROR(copier.Run());
  Log(LogLevel::kInfo, "snapshot is complete at every destination", {{"tables", absl::StrCat(tables.size())}});
  return absl::OkStatus();
}

}  // namespace wallaby
