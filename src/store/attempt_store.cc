// Workers: what they report, and the attempts to run them.
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status.h"
#include "nlohmann/json.hpp"
#include "store/sql_store.h"

namespace wallaby {
namespace {

constexpr int64_t kKeptAttempts = 100;  // ended ones, per flow

constexpr std::string_view kPutReport =
    "INSERT INTO @worker_reports (flow_id, slot, slot_active, lag_bytes, lag_seconds, detail, changes, at, metrics, "
    "destinations) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) "
    "ON CONFLICT (flow_id) DO UPDATE SET slot = excluded.slot, slot_active = excluded.slot_active, "
    "lag_bytes = excluded.lag_bytes, lag_seconds = excluded.lag_seconds, detail = excluded.detail, "
    "changes = excluded.changes, at = excluded.at, metrics = excluded.metrics, destinations = excluded.destinations";

constexpr std::string_view kReportColumns =
    "flow_id, slot, slot_active, lag_bytes, lag_seconds, detail, changes, at, metrics, destinations";

using Json = nlohmann::json;

std::string DestinationsToJson(const std::vector<DestinationReport>& destinations) {
  Json list = Json::array();
  for (const DestinationReport& one : destinations) {
    list.push_back({{"name", one.name},
                    {"state", one.state},
                    {"position", one.position.value},
                    {"lag_bytes", one.lag_bytes},
                    {"lag_seconds", one.lag_seconds},
                    {"since", absl::ToUnixMicros(one.since)},
                    {"error", one.error}});
  }
  return list.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// What cannot be read is left out: it is overwritten in a moment.
std::vector<DestinationReport> DestinationsFromJson(const std::string& text) {
  std::vector<DestinationReport> destinations;
  const Json list = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!list.is_array()) return destinations;
  for (const Json& one : list) {
    if (!one.is_object()) continue;
    DestinationReport& report = destinations.emplace_back();
    try {
      report.name = one.value("name", "");
      report.state = one.value("state", "");
      report.position = Lsn{one.value("position", uint64_t{0})};
      report.lag_bytes = one.value("lag_bytes", int64_t{-1});
      report.lag_seconds = one.value("lag_seconds", -1.0);
      report.since = absl::FromUnixMicros(one.value("since", int64_t{0}));
      report.error = one.value("error", "");
    } catch (const Json::exception&) {
      destinations.pop_back();
    }
  }
  return destinations;
}

WorkerReport ReadReport(const SqlRows& rows, int row) {
  WorkerReport report;
  report.slot = rows.Text(row, 1);
  report.slot_active = rows.Int(row, 2) != 0;
  report.lag_bytes = rows.Int(row, 3);
  report.lag_seconds = rows.Real(row, 4);
  report.detail = rows.Text(row, 5);
  report.changes = rows.Int(row, 6);
  report.at = TimeFromMicros(rows.Int(row, 7));
  report.metrics = rows.Text(row, 8);
  report.destinations = DestinationsFromJson(rows.Text(row, 9));
  return report;
}

}  // namespace

absl::Status SqlStore::PutReport(const std::string& flow_id, const WorkerReport& report) {
  return Write([&](SqlSession& session) -> absl::Status {
    RETURN_IF_ERROR(RequireFlow(session, flow_id));
    return session
        .Query(kPutReport,
               {flow_id, report.slot, int64_t{report.slot_active}, report.lag_bytes, report.lag_seconds, report.detail,
                report.changes, StoredMicros(report.at), report.metrics, DestinationsToJson(report.destinations)})
        .status();
  });
}

absl::StatusOr<std::optional<WorkerReport>> SqlStore::GetReport(const std::string& flow_id) {
  SqlRows rows;
  RETURN_IF_ERROR(database_->Transact(SqlAccess::kRead, [&](SqlSession& session) -> absl::Status {
    ASSIGN_OR_RETURN(
        rows,
        session.Query(absl::StrCat("SELECT ", kReportColumns, " FROM @worker_reports WHERE flow_id = $1"), {flow_id}));
    return absl::OkStatus();
  }));
  if (rows.empty()) return std::optional<WorkerReport>();
  return std::optional<WorkerReport>(ReadReport(rows, 0));
}

absl::StatusOr<std::map<std::string, WorkerReport>> SqlStore::ListReports() {
  std::map<std::string, WorkerReport> reports;
  RETURN_IF_ERROR(database_->Transact(SqlAccess::kRead, [&](SqlSession& session) -> absl::Status {
    reports.clear();
    ASSIGN_OR_RETURN(const SqlRows rows,
                     session.Query(absl::StrCat("SELECT ", kReportColumns, " FROM @worker_reports")));
    for (int row = 0; row < rows.size(); ++row) reports[rows.Text(row, 0)] = ReadReport(rows, row);
    return absl::OkStatus();
  }));
  return reports;
}

absl::StatusOr<int64_t> SqlStore::AddAttempt(const DispatchAttempt& attempt) {
  int64_t id = 0;
  RETURN_IF_ERROR(Write([&](SqlSession& session) -> absl::Status {
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
  return Write([&](SqlSession& session) -> absl::Status {
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
