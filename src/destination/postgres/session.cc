#include "destination/postgres/session.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/check.h"
#include "base/sql_text.h"
#include "base/status.h"
#include "destination/options.h"

namespace wallaby {
namespace {

constexpr size_t kSendAt = 256 << 10;
constexpr std::string_view kBegin = "BEGIN ISOLATION LEVEL READ COMMITTED;";

// PgConnection puts the statement's beginning before the server's message; rows' values may stand in it.
std::string_view WithoutStatement(std::string_view message) {
  const size_t at = message.find("...: ");
  return at == message.npos || at > 100 ? message : message.substr(at + 5);
}

// The text behind `mark` in an error that Session::Check() raised; empty when it did not.
std::string_view Marked(std::string_view message, std::string_view mark) {
  const size_t at = message.find(mark);
  if (at == message.npos) return {};
  message.remove_prefix(at + mark.size() + 1);
  return message.substr(0, message.rfind('"'));
}

// "CONTEXT:  COPY orders, line 3, column total: ..." -> "total".
std::string_view ColumnInContext(std::string_view error) {
  const size_t context = error.find("CONTEXT:");
  if (context == error.npos) return {};
  constexpr std::string_view kColumn = ", column ";
  const size_t at = error.find(kColumn, context);
  if (at == error.npos) return {};
  error.remove_prefix(at + kColumn.size());
  return error.substr(0, error.find_first_of(":;"));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Session>> Session::Connect(const std::string& dsn) {
  ConnectOptions options;
  options.application_name = "wallaby destination";
  // The worker may wait long for the rest of a large transaction; but not for ever for somebody else's lock.
  options.settings = {
      {"statement_timeout", "0"}, {"idle_in_transaction_session_timeout", "0"}, {"lock_timeout", "60s"}};
  ASSIGN_OR_RETURN(std::unique_ptr<PgConnection> connection, PgConnection::Connect(dsn, options));
  // Constraints and triggers have done their work at the source. A role that may not say so goes on without.
  const absl::Status replica = connection->Execute("SET session_replication_role = replica");
  if (!replica.ok() && !absl::IsPermissionDenied(replica)) return replica;
  ASSIGN_OR_RETURN(std::unique_ptr<SessionWatch> watch, SessionWatch::Start(connection.get(), dsn));
  return std::unique_ptr<Session>(new Session(std::move(connection), std::move(watch)));
}

void Session::Begin() {
  in_transaction_ = true;
}

std::string Session::Prefix() {
  if (!in_transaction_ || begun_) return "";
  begun_ = true;
  return std::string(kBegin);
}

absl::Status Session::Add(std::string_view statement, std::string_view table) {
  absl::StrAppend(&pending_, Prefix(), statement, ";");
  if (std::find(pending_tables_.begin(), pending_tables_.end(), table) == pending_tables_.end()) {
    pending_tables_.emplace_back(table);
  }
  return pending_.size() < kSendAt ? absl::OkStatus() : Send();
}

absl::Status Session::Send() {
  std::string sql = absl::StrCat(std::exchange(pending_, {}), Prefix());
  const std::string tables = absl::StrJoin(std::exchange(pending_tables_, {}), ", ");
  if (sql.empty()) return absl::OkStatus();
  return Explain(connection_->Execute(sql), tables);
}

absl::StatusOr<PgRows> Session::Query(const std::string& sql, std::string_view table) {
  RETURN_IF_ERROR(Send());
  auto rows = connection_->Query(sql);
  if (!rows.ok()) return Explain(rows.status(), table);
  return rows;
}

absl::StatusOr<PgRows> Session::Select(const std::string& sql, const std::vector<SqlParam>& params) {
  RETURN_IF_ERROR(Send());
  auto rows = connection_->Query(sql, params);
  if (!rows.ok()) RETURN_IF_ERROR(watch_->status());
  return rows;
}

absl::Status Session::Commit(std::string_view last) {
  WALLABY_CHECK(in_transaction_, "a commit ends a transaction");
  std::string sql = absl::StrCat(Prefix(), std::exchange(pending_, {}), last, last.empty() ? "" : ";", "COMMIT");
  const std::string tables = absl::StrJoin(std::exchange(pending_tables_, {}), ", ");
  RETURN_IF_ERROR(Explain(connection_->Execute(sql), tables));
  in_transaction_ = begun_ = false;
  return absl::OkStatus();
}

absl::Status Session::BeginCopy(const std::string& sql) {
  RETURN_IF_ERROR(Send());
  return connection_->BeginCopyIn(sql);
}

std::string Session::Check(std::string_view condition, std::string_view mark, std::string_view about) {
  // count(*) keeps the failing cast out of constant folding.
  return absl::StrCat("CASE WHEN ", condition, " THEN 0 ELSE (", SqlLiteral(absl::StrCat(mark, " ", about)),
                      " || left(count(*)::text, 0))::integer END");
}

absl::Status Session::Explain(const absl::Status& status, std::string_view table) const {
  if (status.ok()) return status;
  RETURN_IF_ERROR(watch_->status());
  const std::string_view message = WithoutStatement(status.message());
  if (std::string_view about = Marked(message, kFenced); !about.empty()) {
    return absl::FailedPreconditionError(absl::StrCat("fenced: a worker of a newer generation has taken over ", about));
  }
  if (std::string_view about = Marked(message, kNoRow); !about.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat("table ", about,
                     ": an update left out an unchanged TOASTed value, and the destination has no row "
                     "that holds it; set toast_fetch=source, or at the source ALTER TABLE ",
                     about, " REPLICA IDENTITY FULL, then copy the table again"));
  }
  if (std::string_view about = Marked(message, kMissing); !about.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat("destination table ", about,
                     ": a row that the source deleted or updated is not there: somebody else "
                     "has changed the table; give the table a primary key at the source, or copy it again"));
  }
  std::string text = table.empty() ? "destination: " : absl::StrCat("destination table ", table, ": ");
  const absl::Status error = connection_->LastError("");
  if (std::string_view column = ColumnInContext(error.message()); !column.empty()) {
    absl::StrAppend(&text, "column ", column, ": ");
  }
  absl::StrAppend(&text, message);
  for (const char* altered : {"42703", "42804", "42P01", "42P10"}) {
    if (!absl::StrContains(message, absl::StrCat("SQLSTATE ", altered))) continue;
    absl::StrAppend(&text,
                    "; somebody has altered the table: undo that and start the flow again; where values are gone, copy "
                    "the table again with -mode backfill -tables");
  }
  if (absl::IsInvalidArgument(status)) {
    absl::StrAppend(&text,
                    "; the destination's column type or a constraint there refuses the row: alter the table, or "
                    "map the column to text with type_mappings");
  }
  return absl::Status(status.code(), text);
}

}  // namespace wallaby
