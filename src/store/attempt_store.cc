// Workers: what they report, and the attempts to run them.
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status.h"
#include "store/sql_store.h"

namespace wallaby {
namespace {

constexpr int64_t kKeptAttempts = 100;  // ended ones, per flow

constexpr std::string_view kPutReport =
    "INSERT INTO @worker_reports (flow_id, slot, slot_active, lag_bytes, lag_seconds, detail, changes, at) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8) "
    "ON CONFLICT (flow_id) DO UPDATE SET slot = excluded.slot, slot_active = excluded.slot_active, "
    "lag_bytes = excluded.lag_bytes, lag_seconds = excluded.lag_seconds, detail = excluded.detail, "
    "changes = excluded.changes, at = excluded.at";

}  // namespace

absl::Status SqlStore::PutReport(const std::string& flow_id, const WorkerReport& report) {
  return database_->Transact(SqlAccess::kWrite, [&](SqlSession& session) -> absl::Status {
    RETURN_IF_ERROR(RequireFlow(session, flow_id));
    return session
        .Query(kPutReport, {flow_id, report.slot, int64_t{report.slot_active}, report.lag_bytes, report.lag_seconds,
                            report.detail, report.changes, StoredMicros(report.at)})
        .status();
  });
}

absl::StatusOr<std::optional<WorkerReport>> SqlStore::GetReport(const std::string& flow_id) {
  SqlRows rows;
  RETURN_IF_ERROR(database_->Transact(SqlAccess::kRead, [&](SqlSession& session) -> absl::Status {
    ASSIGN_OR_RETURN(rows, session.Query("SELECT slot, slot_active, lag_bytes, lag_seconds, detail, changes, at "
                                         "FROM @worker_reports WHERE flow_id = $1",
                                         {flow_id}));
    return absl::OkStatus();
  }));
  if (rows.empty()) return std::optional<WorkerReport>();
  WorkerReport report;
  report.slot = rows.Text(0, 0);
  report.slot_active = rows.Int(0, 1) != 0;
  report.lag_bytes = rows.Int(0, 2);
  report.lag_seconds = rows.Real(0, 3);
  report.detail = rows.Text(0, 4);
  report.changes = rows.Int(0, 5);
  report.at = TimeFromMicros(rows.Int(0, 6));
  return std::optional<WorkerReport>(std::move(report));
}

absl::StatusOr<int64_t> SqlStore::AddAttempt(const DispatchAttempt& attempt) {
  int64_t id = 0;
  RETURN_IF_ERROR(database_->Transact(SqlAccess::kWrite, [&](SqlSession& session) -> absl::Status {
    RETURN_IF_ERROR(RequireFlow(session, attempt.flow_id));
    ASSIGN_OR_RETURN(
        const SqlRows rows,
        session.Query(
            "INSERT INTO @dispatch_attempts (flow_id, kind, handle, active, exit_code, outcome, started_at, "
            "ended_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id",
            {attempt.flow_id, attempt.kind, attempt.handle, int64_t{attempt.active}, int64_t{attempt.exit_code},
             attempt.outcome, StoredMicros(attempt.started_at), absl::ToUnixMicros(attempt.ended_at)}));
    id = rows.Int(0, 0);
    return session
        .Query(
            "DELETE FROM @dispatch_attempts WHERE flow_id = $1 AND active = 0 AND id <= (SELECT id FROM "
            "@dispatch_attempts WHERE flow_id = $1 AND active = 0 ORDER BY id DESC LIMIT 1 OFFSET $2)",
            {attempt.flow_id, kKeptAttempts})
        .status();
  }));
  return id;
}

absl::Status SqlStore::EndAttempt(int64_t id, int exit_code, const std::string& outcome) {
  return database_->Transact(SqlAccess::kWrite, [&](SqlSession& session) -> absl::Status {
    ASSIGN_OR_RETURN(const SqlRows rows,
                     session.Query("UPDATE @dispatch_attempts SET active = 0, exit_code = $2, outcome = $3, "
                                   "ended_at = {now} WHERE id = $1 RETURNING id",
                                   {id, int64_t{exit_code}, outcome}));
    if (!rows.empty()) return absl::OkStatus();
    return absl::NotFoundError(absl::StrCat("there is no attempt ", id, " to run a worker"));
  });
}

absl::StatusOr<std::vector<DispatchAttempt>> SqlStore::ActiveAttempts() {
  std::vector<DispatchAttempt> attempts;
  RETURN_IF_ERROR(database_->Transact(SqlAccess::kRead, [&](SqlSession& session) -> absl::Status {
    attempts.clear();
    ASSIGN_OR_RETURN(const SqlRows rows,
                     session.Query("SELECT id, flow_id, kind, handle, exit_code, outcome, started_at, ended_at "
                                   "FROM @dispatch_attempts WHERE active = 1 ORDER BY id"));
    for (int row = 0; row < rows.size(); ++row) {
      DispatchAttempt& attempt = attempts.emplace_back();
      attempt.id = rows.Int(row, 0);
      attempt.flow_id = rows.Text(row, 1);
      attempt.kind = rows.Text(row, 2);
      attempt.handle = rows.Text(row, 3);
      attempt.exit_code = static_cast<int>(rows.Int(row, 4));
      attempt.outcome = rows.Text(row, 5);
      attempt.started_at = TimeFromMicros(rows.Int(row, 6));
      attempt.ended_at = TimeFromMicros(rows.Int(row, 7));
    }
    return absl::OkStatus();
  }));
  return attempts;
}

}  // namespace wallaby
