#include "destination/postgres/postgres_destination.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/sql_text.h"
#include "base/status.h"
#include "destination/options.h"
#include "destination/postgres/append_writer.h"
#include "destination/postgres/destination_table.h"
#include "destination/postgres/progress.h"
#include "destination/postgres/schema_change.h"
#include "destination/postgres/session.h"
#include "destination/postgres/table_plan.h"
#include "destination/postgres/target_writer.h"

namespace wallaby {
namespace {

bool IsIntegerOid(uint32_t oid) {
  return oid == 20 || oid == 21 || oid == 23;
}

class PostgresDestination : public Destination {
 public:
  PostgresDestination(const DestinationConfig& config, TableOptions options)
      : dsn_(config.options.at("dsn")), options_(std::move(options)), progress_(config, options_) {}

  Capabilities capabilities() const override { return {.resets_parts = options_.write_mode == WriteMode::kTarget}; }

  absl::StatusOr<Progress> Open() override {
    Close();
    RETURN_IF_ERROR(Connect());
    auto progress = OpenSession();
    if (!progress.ok()) Close();
    opened_ = progress.ok();
    return progress;
  }

  absl::Status CheckTable(const Relation& relation) override {
    if (work_ == nullptr) RETURN_IF_ERROR(Connect());
    const absl::Status status = work_->plans.Check(relation);
    if (IsTransient(status)) Close();
    return status;
  }

  absl::Status CheckPresent(const Relation& relation) override {
    if (work_ == nullptr) RETURN_IF_ERROR(Connect());
    const absl::Status status = work_->plans.CheckPresent(relation);
    if (IsTransient(status)) Close();
    return status;
  }

  absl::Status Write(const ChangeBatch& batch) override {
    RETURN_IF_ERROR(CheckOpen());
    work_->session->Begin();
    return CloseOnError(options_.write_mode == WriteMode::kTarget ? work_->target.Write(batch)
                                                                  : work_->append.Write(batch));
  }

  absl::Status Commit(const CommitPoint& point) override {
    RETURN_IF_ERROR(CheckOpen());
    const bool moves = point.commit.valid() || !point.finished_parts.empty();
    if (!work_->session->in_transaction() && !moves) return absl::OkStatus();
    work_->session->Begin();
    RETURN_IF_ERROR(CloseOnError(work_->session->Commit(progress_.CommitSql(point))));
    work_->plans.AfterCommit();
    return absl::OkStatus();
  }

  absl::Status ResetSnapshot(const Relation& relation, std::string_view part_prefix) override {
    RETURN_IF_ERROR(CheckNothingOpen(absl::StrCat("the snapshot of ", relation.QualifiedName(), " starts over")));
    return CloseOnError(Reset(relation, part_prefix));
  }

  absl::Status ResetPart(const Relation& relation, std::string_view part, const KeyRange& range) override {
    if (options_.write_mode != WriteMode::kTarget) return Destination::ResetPart(relation, part, range);
    RETURN_IF_ERROR(CheckNothingOpen(absl::StrCat("the snapshot of ", relation.QualifiedName(), " starts over")));
    return CloseOnError(ResetRange(relation, part, range));
  }

  std::vector<std::string> DdlStatements(const SchemaChange& change) const override {
    return PostgresDdl(change, options_);
  }

  absl::Status ApplyDdl(const SchemaChange& change) override {
    RETURN_IF_ERROR(CheckNothingOpen(absl::StrCat("the schema of ", change.Table(), " changes")));
    return CloseOnError(Follow(change));
  }

 private:
  // All that lives as long as a connection.
  struct Work {
    Work(std::unique_ptr<Session> s, const TableOptions& options)
        : session(std::move(s)), plans(*session, options), target(*session, plans), append(*session, plans) {}
    std::unique_ptr<Session> session;
    TablePlans plans;
    TargetWriter target;
    AppendWriter append;
  };

  absl::Status Connect() {
    ASSIGN_OR_RETURN(std::unique_ptr<Session> session, Session::Connect(dsn_));
    if (session->server_major() < 14) {
      return absl::FailedPreconditionError(
          absl::StrCat("the destination is PostgreSQL ", session->server_major(), "; use version 14 or newer"));
    }
    work_ = std::make_unique<Work>(std::move(session), options_);
    return absl::OkStatus();
  }

  absl::StatusOr<Progress> OpenSession() {
    RETURN_IF_ERROR(progress_.Ensure(*work_->session));
    return progress_.TakeOver(*work_->session);
  }

  absl::Status Reset(const Relation& relation, std::string_view part_prefix) {
    Session& session = *work_->session;
    const std::string schema = options_.TargetSchema(relation);
    const std::string name = options_.TargetTable(relation);
    session.Begin();
    ASSIGN_OR_RETURN(const std::optional<DestinationTable> table, LoadTable(session, schema, name));
    if (table && options_.write_mode == WriteMode::kTarget) {
      const char* verb = table->can_truncate ? "TRUNCATE TABLE " : "DELETE FROM ";
      RETURN_IF_ERROR(session.Add(absl::StrCat(verb, QualifiedSql(schema, name)), name));
    } else if (table && table->Find(kOpColumn) != nullptr) {
      RETURN_IF_ERROR(
          session.Add(absl::StrCat("DELETE FROM ", QualifiedSql(schema, name), " WHERE ", kOpColumn, " = 'r'"), name));
    }
    RETURN_IF_ERROR(session.Commit(progress_.ForgetPartsSql(part_prefix)));
    work_->plans.AfterCommit();
    return absl::OkStatus();
  }

  absl::Status ResetRange(const Relation& relation, std::string_view part, const KeyRange& range) {
    Session& session = *work_->session;
    const std::string schema = options_.TargetSchema(relation);
    const std::string name = options_.TargetTable(relation);
    session.Begin();
    ASSIGN_OR_RETURN(const std::optional<DestinationTable> table, LoadTable(session, schema, name));
    const DestinationColumn* column = table ? table->Find(range.column) : nullptr;
    if (column != nullptr) {
      std::string value = SqlIdentifier(range.column);
      // A user may have made the column of another type.
      if (!IsIntegerOid(column->type_oid)) value = absl::StrCat("(", value, "::text)::bigint");
      std::vector<std::string> conditions;
      if (range.from)
        conditions.push_back(absl::StrCat(value, " >= ", SqlLiteral(absl::StrCat(*range.from)), "::bigint"));
      if (range.to) conditions.push_back(absl::StrCat(value, " < ", SqlLiteral(absl::StrCat(*range.to)), "::bigint"));
      RETURN_IF_ERROR(session.Add(absl::StrCat("DELETE FROM ", QualifiedSql(schema, name),
                                               conditions.empty() ? "" : " WHERE ", absl::StrJoin(conditions, " AND ")),
                                  name));
    }
    RETURN_IF_ERROR(session.Commit(progress_.ForgetPartSql(part)));
    work_->plans.AfterCommit();
    return absl::OkStatus();
  }

  absl::Status Follow(const SchemaChange& change) {
    Session& session = *work_->session;
    session.Begin();
    RETURN_IF_ERROR(FollowSchemaChange(session, change, options_, progress_, work_->plans));
    RETURN_IF_ERROR(session.Commit(progress_.CommitSql({})));
    work_->plans.AfterCommit();
    return absl::OkStatus();
  }

  absl::Status CheckNothingOpen(std::string_view doing) const {
    RETURN_IF_ERROR(CheckOpen());
    if (!work_->session->in_transaction()) return absl::OkStatus();
    return absl::InternalError(absl::StrCat(doing, " while changes are not committed"));
  }

  absl::Status CheckOpen() const {
    if (work_ != nullptr && opened_) return absl::OkStatus();
    return absl::FailedPreconditionError("the postgres destination is not open: call Open() after an error");
  }

  // The server rolls back what an ended connection left open.
  absl::Status CloseOnError(absl::Status status) {
    if (!status.ok()) Close();
    return status;
  }

  void Close() {
    work_.reset();
    opened_ = false;
  }

  const std::string dsn_;
  const TableOptions options_;
  const ProgressTables progress_;
  std::unique_ptr<Work> work_;
  bool opened_ = false;
};

}  // namespace

absl::Status MakePostgresDestination(const DestinationConfig& config, std::unique_ptr<Destination>* out) {
  ASSIGN_OR_RETURN(TableOptions options, ParseTableOptions("postgres", config));
  *out = std::make_unique<PostgresDestination>(config, std::move(options));
  return absl::OkStatus();
}

}  // namespace wallaby
