#include "destination/duckdb/duckdb_destination.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/sql_text.h"
#include "base/status.h"
#include "base/units.h"
#include "destination/collapse.h"
#include "destination/duckdb/merge.h"
#include "destination/duckdb/schema_change.h"

namespace wallaby {
namespace {

// With release_file every commit closes and opens the file, so they should be few.
constexpr absl::Duration kReleaseLinger = absl::Seconds(1);
constexpr int64_t kReleaseLingerBytes = 16 << 20;

constexpr char kClosed[] = "the duckdb destination is not open; call Open() again after an error";

}  // namespace

absl::StatusOr<std::unique_ptr<Destination>> DuckdbDestination::Make(const DestinationConfig& config) {
  ASSIGN_OR_RETURN(TableOptions options, ParseTableOptions("duckdb", config));
  auto text = [&](const char* name) {
    auto it = config.options.find(name);
    return it == config.options.end() ? std::string() : it->second;
  };
  FileOptions file;
  file.path = text("dsn");
  // DuckDB wants memory for its own caches besides what a flow holds.
  file.settings.memory_limit = std::max(file.settings.memory_limit, config.memory_limit);
  if (const std::string limit = text("memory_limit"); !limit.empty()) {
    ASSIGN_OR_RETURN(file.settings.memory_limit, ParseBytes(limit));
  }
  if (const std::string threads = text("threads"); !threads.empty()) {
    if (!absl::SimpleAtoi(threads, &file.settings.threads)) file.settings.threads = 0;
  }
  if (const std::string release = text("release_file"); !release.empty()) {
    ASSIGN_OR_RETURN(file.release, ParseBool(release));
  }
  return std::unique_ptr<Destination>(new DuckdbDestination(config, std::move(options), std::move(file)));
}

DuckdbDestination::DuckdbDestination(const DestinationConfig& config, TableOptions options, FileOptions file)
    : options_(std::move(options)), file_(std::move(file)), progress_(config, options_), tables_(&options_) {}

Capabilities DuckdbDestination::capabilities() const {
  const bool resets_parts = options_.write_mode == WriteMode::kTarget;
  if (!file_.release) return {.resets_parts = resets_parts};
  return {.linger = kReleaseLinger, .linger_bytes = kReleaseLingerBytes, .resets_parts = resets_parts};
}

// ---- life of the connection ----

absl::Status DuckdbDestination::Reconnect() {
  Close();
  ASSIGN_OR_RETURN(auto database, DuckdbDatabase::Open(file_.path, file_.settings));
  ASSIGN_OR_RETURN(connection_, DuckdbConnection::Connect(std::move(database)));
  return absl::OkStatus();
}

absl::Status DuckdbDestination::Connect() {
  if (!opened_) return absl::FailedPreconditionError(kClosed);
  if (connection_ != nullptr) return absl::OkStatus();
  return Reconnect();
}

void DuckdbDestination::Close() {
  connection_.reset();
  tables_.Forget();
  writing_ = false;
}

absl::Status DuckdbDestination::Fail(absl::Status status) {
  Close();
  opened_ = false;
  return status;
}

void DuckdbDestination::ReleaseIfIdle() {
  if (file_.release && !writing_) Close();
}

absl::StatusOr<Progress> DuckdbDestination::Open() {
  opened_ = false;
  RETURN_IF_ERROR(Reconnect());
  auto progress = progress_.TakeOver(connection_.get());
  if (!progress.ok()) return Fail(progress.status());
  if (absl::Status status = connection_->Commit(); !status.ok()) return Fail(status);
  opened_ = true;
  ReleaseIfIdle();
  return progress;
}

// ---- tables ----

absl::Status DuckdbDestination::CheckTable(const Relation& relation) {
  RETURN_IF_ERROR(Connect());
  absl::Status status = tables_.Check(connection_.get(), relation);
  if (!writing_) connection_->Rollback();  // end of what was only read
  ReleaseIfIdle();
  return status;
}

absl::Status DuckdbDestination::CheckPresent(const Relation& relation) {
  RETURN_IF_ERROR(Connect());
  absl::Status status = tables_.CheckPresent(connection_.get(), relation);
  if (!writing_) connection_->Rollback();  // end of what was only read
  ReleaseIfIdle();
  return status;
}

// ---- rows ----

absl::Status DuckdbDestination::Write(const ChangeBatch& batch) {
  if (absl::Status status = Connect(); !status.ok()) return opened_ ? Fail(status) : status;
  writing_ = true;
  absl::Status status = options_.write_mode == WriteMode::kAppend ? WriteAppend(batch) : WriteTarget(batch);
  return status.ok() ? status : Fail(std::move(status));
}

absl::Status DuckdbDestination::WriteTarget(const ChangeBatch& batch) {
  ASSIGN_OR_RETURN(std::vector<CollapsedTable> collapsed, Collapse(batch));
  for (const CollapsedTable& changes : collapsed) {
    ASSIGN_OR_RETURN(ReadyTable * target, tables_.Ready(connection_.get(), changes.relation));
    RETURN_IF_ERROR(MergeCollapsed(connection_.get(), changes, target));
  }
  return absl::OkStatus();
}

absl::Status DuckdbDestination::WriteAppend(const ChangeBatch& batch) {
  std::vector<bool> seen(batch.relations().size(), false);
  for (const Change& change : batch.changes()) {
    if (seen[change.relation]) continue;
    seen[change.relation] = true;
    const RelationPtr& relation = batch.relations()[change.relation];
    ASSIGN_OR_RETURN(ReadyTable * target, tables_.Ready(connection_.get(), relation));
    RETURN_IF_ERROR(AppendChanges(connection_.get(), batch, change.relation, target));
  }
  return absl::OkStatus();
}

absl::Status DuckdbDestination::Commit(const CommitPoint& point) {
  if (absl::Status status = Connect(); !status.ok()) return opened_ ? Fail(status) : status;
  absl::Status status = progress_.Store(connection_.get(), point);
  if (status.ok()) status = connection_->Commit();
  if (!status.ok()) return Fail(std::move(status));
  writing_ = false;
  ReleaseIfIdle();
  return absl::OkStatus();
}

// ---- snapshots ----

absl::Status DuckdbDestination::DeleteSnapshotRows(const Relation& relation) {
  const DuckdbTable table = tables_.Target(*connection_, relation);
  ASSIGN_OR_RETURN(std::vector<DuckdbColumn> columns, DuckdbTables::Columns(connection_.get(), table));
  if (columns.empty()) return absl::OkStatus();
  std::string which;
  if (options_.write_mode == WriteMode::kAppend) {
    const bool has_op =
        std::any_of(columns.begin(), columns.end(), [](const DuckdbColumn& c) { return c.name == kOpColumn; });
    if (!has_op) return absl::OkStatus();  // nothing of ours yet
    which = absl::StrCat(" WHERE ", kOpColumn, " = 'r'");
  }
  return connection_->Execute(absl::StrCat("DELETE FROM ", table.Quoted(), which)).status();
}

// The bounds may be compared with a column that was mapped to text.
absl::Status DuckdbDestination::DeleteRange(const Relation& relation, const KeyRange& range) {
  const DuckdbTable table = tables_.Target(*connection_, relation);
  ASSIGN_OR_RETURN(std::vector<DuckdbColumn> columns, DuckdbTables::Columns(connection_.get(), table));
  const auto column = std::find_if(columns.begin(), columns.end(),
                                   [&](const DuckdbColumn& c) { return absl::EqualsIgnoreCase(c.name, range.column); });
  if (column == columns.end()) return absl::OkStatus();  // the table was never made
  const std::string value = absl::StrCat(SqlIdentifier(range.column), column->type == "VARCHAR" ? "::BIGINT" : "");
  std::vector<std::string> conditions;
  if (range.from) conditions.push_back(absl::StrCat(value, " >= ", *range.from));
  if (range.to) conditions.push_back(absl::StrCat(value, " < ", *range.to));
  return connection_
      ->Execute(absl::StrCat("DELETE FROM ", table.Quoted(), conditions.empty() ? "" : " WHERE ",
                             absl::StrJoin(conditions, " AND ")))
      .status();
}

absl::Status DuckdbDestination::BeginRepair() {
  if (writing_) {
    return Fail(absl::FailedPreconditionError(
        "a snapshot is reset, or a schema changed, within an open transaction of the destination"));
  }
  if (absl::Status status = Connect(); !status.ok()) return opened_ ? Fail(status) : status;
  writing_ = true;
  return absl::OkStatus();
}

absl::Status DuckdbDestination::ResetSnapshot(const Relation& relation, std::string_view part_prefix) {
  RETURN_IF_ERROR(BeginRepair());
  absl::Status status = DeleteSnapshotRows(relation);
  if (status.ok()) status = progress_.ForgetParts(connection_.get(), part_prefix);
  if (!status.ok()) return Fail(std::move(status));
  tables_.Forget();
  return Commit({});
}

absl::Status DuckdbDestination::ResetPart(const Relation& relation, std::string_view part, const KeyRange& range) {
  if (options_.write_mode != WriteMode::kTarget) return Destination::ResetPart(relation, part, range);
  RETURN_IF_ERROR(BeginRepair());
  absl::Status status = DeleteRange(relation, range);
  if (status.ok()) status = progress_.ForgetPart(connection_.get(), part);
  if (!status.ok()) return Fail(std::move(status));
  RETURN_IF_ERROR(Commit({}));
  tables_.ExpectSnapshotOnly(relation);
  return absl::OkStatus();
}

// ---- schema changes ----

std::vector<std::string> DuckdbDestination::DdlStatements(const SchemaChange& change) const {
  return DuckdbDdl(change, options_, tables_);
}

absl::Status DuckdbDestination::ApplyDdl(const SchemaChange& change) {
  RETURN_IF_ERROR(BeginRepair());
  absl::Status status = FollowSchemaChange(connection_.get(), change, options_, progress_, &tables_);
  return status.ok() ? Commit({}) : Fail(std::move(status));
}

}  // namespace wallaby
