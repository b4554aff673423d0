#include "postgres/connection.h"

#include <libpq-fe.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/status.h"
#include "postgres/sqlstate.h"

namespace wallaby {
namespace {

std::string OneLine(std::string_view text) {
  std::string line(absl::StripAsciiWhitespace(text));
  return absl::StrReplaceAll(line, {{"\n", "; "}});
}

// A statement's beginning, to say in an error what was being done.
std::string Shorten(std::string_view sql) {
  constexpr size_t kLimit = 80;
  std::string line = OneLine(sql.substr(0, sql.find(" PASSWORD ")));
  return line.size() <= kLimit ? line : line.substr(0, kLimit) + "...";
}

}  // namespace

// ---- PgRows ----

void PgRows::Free::operator()(pg_result* result) const {
  PQclear(result);
}
int PgRows::size() const {
  return PQntuples(result_.get());
}
int PgRows::columns() const {
  return PQnfields(result_.get());
}

bool PgRows::IsNull(int row, int column) const {
  return PQgetisnull(result_.get(), row, column) != 0;
}

std::string_view PgRows::Text(int row, int column) const {
  WALLABY_CHECK(row >= 0 && row < size() && column >= 0 && column < columns(), "no such field in the result");
  return {PQgetvalue(result_.get(), row, column), static_cast<size_t>(PQgetlength(result_.get(), row, column))};
}

int64_t PgRows::Int(int row, int column) const {
  int64_t value = 0;
  const std::string_view text = Text(row, column);
  if (text.empty()) return 0;
  WALLABY_CHECK(absl::SimpleAtoi(text, &value), "the query gives an integer in this column");
  return value;
}

bool PgRows::Bool(int row, int column) const {
  return Text(row, column) == "t";
}

int64_t PgRows::affected() const {
  int64_t count = 0;
  if (result_ == nullptr || !absl::SimpleAtoi(PQcmdTuples(result_.get()), &count)) return 0;
  return count;
}

// ---- errors ----

absl::Status StatusFromResult(const pg_result* result, std::string_view doing) {
  if (result == nullptr) return absl::UnavailableError(absl::StrCat(doing, ": the connection gave no result"));
  const auto field = [result](int code) {
    const char* text = PQresultErrorField(result, code);
    return text == nullptr ? std::string() : OneLine(text);
  };
  const std::string state = field(PG_DIAG_SQLSTATE);
  std::string message = field(PG_DIAG_MESSAGE_PRIMARY);
  if (message.empty()) message = OneLine(PQresultErrorMessage(result));
  if (message.empty()) {
    return absl::InternalError(absl::StrCat(doing, ": unexpected result ", PQresStatus(PQresultStatus(result))));
  }
  std::string text = absl::StrCat(doing, ": ", message);
  if (!state.empty()) absl::StrAppend(&text, " (SQLSTATE ", state, ")");
  const bool shows_data = state.starts_with("22") || state.starts_with("23");
  if (const std::string detail = field(PG_DIAG_MESSAGE_DETAIL); !detail.empty() && !shows_data) {
    absl::StrAppend(&text, "; ", detail);
  }
  if (const std::string hint = field(PG_DIAG_MESSAGE_HINT); !hint.empty()) absl::StrAppend(&text, "; ", hint);
  return absl::Status(StatusCodeFromSqlState(state), text);
}

absl::Status PgConnection::LastError(std::string_view doing) const {
  std::string message = OneLine(PQerrorMessage(conn_));
  const bool lost = PQstatus(conn_) == CONNECTION_BAD;
  if (message.empty()) message = lost ? "the connection is lost" : "unknown error";
  return absl::Status(lost ? absl::StatusCode::kUnavailable : absl::StatusCode::kInternal,
                      absl::StrCat(doing, ": ", message));
}

// ---- PgConnection ----

PgConnection::PgConnection(pg_conn* conn, absl::Duration silence_limit, absl::Duration answer_limit)
    : conn_(conn), silence_limit_(silence_limit), answer_limit_(answer_limit), cancel_(PQgetCancel(conn)) {}

PgConnection::~PgConnection() {
  FreeCopyBuffer();
  PQfreeCancel(cancel_);
  PQfinish(conn_);
}

int PgConnection::server_version() const {
  return PQserverVersion(conn_);
}
int PgConnection::backend_pid() const {
  return PQbackendPID(conn_);
}

absl::Status PgConnection::Cancel() {
  char error[256] = "";
  if (cancel_ == nullptr || PQcancel(cancel_, error, sizeof(error)) == 0) {
    return absl::UnavailableError(absl::StrCat("cancelling a statement: ", OneLine(error)));
  }
  return absl::OkStatus();
}

namespace {

class CountedCall {
 public:
  explicit CountedCall(std::atomic<uint64_t>* calls) : calls_(calls) { Count(); }
  ~CountedCall() { Count(); }
  CountedCall(const CountedCall&) = delete;
  CountedCall& operator=(const CountedCall&) = delete;

 private:
  void Count() {
    if (calls_ != nullptr) calls_->fetch_add(1);
  }
  std::atomic<uint64_t>* const calls_;
};

absl::StatusOr<PgRows> Checked(PGresult* result, const PgConnection& connection, std::string_view sql) {
  PgRows rows(result);
  switch (PQresultStatus(result)) {
    case PGRES_TUPLES_OK:
    case PGRES_COMMAND_OK:
    case PGRES_EMPTY_QUERY:
      return rows;
    default:
      // A lost connection has no SQLSTATE; its reason is the connection's.
      if (result == nullptr || PQresultErrorField(result, PG_DIAG_SQLSTATE) == nullptr) {
        return connection.LastError(Shorten(sql));
      }
      return StatusFromResult(result, Shorten(sql));
  }
}

}  // namespace

absl::StatusOr<PgRows> PgConnection::Query(const std::string& sql) {
  const CountedCall call(calls_);
  if (answer_limit_ == absl::InfiniteDuration()) return Checked(PQexec(conn_, sql.c_str()), *this, sql);
  if (PQsendQuery(conn_, sql.c_str()) == 0) return LastError(Shorten(sql));
  return Drain(Shorten(sql));
}

absl::StatusOr<PgRows> PgConnection::Query(const std::string& sql, const std::vector<SqlParam>& params) {
  const CountedCall call(calls_);
  std::vector<const char*> values;
  values.reserve(params.size());
  for (const SqlParam& param : params) {
    if (param.has_value() && param->find('\0') != std::string::npos) {
      return absl::InvalidArgumentError(absl::StrCat(Shorten(sql), ": a text parameter holds a zero byte"));
    }
    values.push_back(param.has_value() ? param->c_str() : nullptr);
  }
  const int count = static_cast<int>(values.size());
  if (answer_limit_ == absl::InfiniteDuration()) {
    return Checked(
        PQexecParams(conn_, sql.c_str(), count, nullptr, values.data(), nullptr, nullptr, /*resultFormat=*/0), *this,
        sql);
  }
  if (PQsendQueryParams(conn_, sql.c_str(), count, nullptr, values.data(), nullptr, nullptr, /*resultFormat=*/0) == 0) {
    return LastError(Shorten(sql));
  }
  return Drain(Shorten(sql));
}

absl::StatusOr<PgRows> PgConnection::QueryBinary(const std::string& sql) {
  const CountedCall call(calls_);
  if (PQsendQueryParams(conn_, sql.c_str(), 0, nullptr, nullptr, nullptr, nullptr, /*resultFormat=*/1) == 0) {
    return LastError(Shorten(sql));
  }
  return Drain(Shorten(sql));
}

absl::Status PgConnection::Execute(const std::string& sql) {
  return Query(sql).status();
}

absl::Status PgConnection::AwaitResult(std::string_view doing) {
  if (answer_limit_ == absl::InfiniteDuration()) return absl::OkStatus();
  const absl::Duration deadline = Clock::Real()->Monotonic() + answer_limit_;
  while (PQisBusy(conn_) != 0) {
    pollfd fd = {PQsocket(conn_), POLLIN, 0};
    const absl::Duration left = std::max(deadline - Clock::Real()->Monotonic(), absl::ZeroDuration());
    const int ready =
        poll(&fd, 1, static_cast<int>(absl::ToInt64Milliseconds(absl::Ceil(left, absl::Milliseconds(1)))));
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) {
      // Nothing that comes later is an answer to anything; libpq is made to see that the connection is lost.
      shutdown(fd.fd, SHUT_RDWR);
      while (PQstatus(conn_) != CONNECTION_BAD) {
        PGresult* const result = PQgetResult(conn_);
        PQclear(result);
        if (result == nullptr) break;
      }
      return absl::UnavailableError(absl::StrCat(doing, ": no answer from the server within ",
                                                 absl::FormatDuration(answer_limit_), "; the connection is given up"));
    }
    if (PQconsumeInput(conn_) == 0) return LastError(doing);
  }
  return absl::OkStatus();
}

absl::StatusOr<PgRows> PgConnection::Drain(std::string_view doing) {
  PgRows last;
  absl::Status failed;
  while (true) {
    RETURN_IF_ERROR(AwaitResult(doing));
    PGresult* result = PQgetResult(conn_);
    if (result == nullptr) break;
    const ExecStatusType status = PQresultStatus(result);
    PgRows rows(result);
    if (status == PGRES_FATAL_ERROR && failed.ok()) failed = StatusFromResult(result, doing);
    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) last = std::move(rows);
    // Still in COPY: only an end of the connection or of the COPY leads out.
    if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH) break;
  }
  if (PQstatus(conn_) == CONNECTION_BAD) {
    return failed.ok() || absl::IsInternal(failed) ? LastError(doing) : failed;
  }
  if (!failed.ok()) return failed;
  return last;
}

// ---- COPY ----

absl::Status PgConnection::BeginCopyIn(const std::string& sql) {
  const CountedCall call(calls_);
  PGresult* result = PQexec(conn_, sql.c_str());
  if (PQresultStatus(result) != PGRES_COPY_IN) return Checked(result, *this, sql).status();
  PQclear(result);
  return absl::OkStatus();
}

absl::Status PgConnection::PutCopyData(std::string_view data) {
  const CountedCall call(calls_);
  while (!data.empty()) {
    const std::string_view piece = data.substr(0, size_t{1} << 20);
    if (PQputCopyData(conn_, piece.data(), static_cast<int>(piece.size())) <= 0) {
      // The server may have ended the COPY with an error, which is the better reason.
      const absl::Status own = LastError("sending rows by COPY");
      const absl::Status status = Drain("sending rows by COPY").status();
      return status.ok() ? own : status;
    }
    data.remove_prefix(piece.size());
  }
  return absl::OkStatus();
}

absl::StatusOr<int64_t> PgConnection::EndCopyIn() {
  const CountedCall call(calls_);
  const bool sent = PQputCopyEnd(conn_, nullptr) > 0;
  const absl::Status own = sent ? absl::OkStatus() : LastError("ending COPY");
  ASSIGN_OR_RETURN(const PgRows rows, Drain("ending COPY"));
  RETURN_IF_ERROR(own);
  return rows.affected();
}

void PgConnection::AbortCopyIn(const std::string& reason) {
  const CountedCall call(calls_);
  PQputCopyEnd(conn_, reason.empty() ? "aborted" : reason.c_str());
  (void)Drain("aborting COPY");  // The error that the abort itself causes.
}

absl::Status PgConnection::BeginCopyOut(const std::string& sql) {
  const CountedCall call(calls_);
  PGresult* result = PQexec(conn_, sql.c_str());
  if (PQresultStatus(result) != PGRES_COPY_OUT) return Checked(result, *this, sql).status();
  PQclear(result);
  return absl::OkStatus();
}

absl::StatusOr<bool> PgConnection::GetCopyRow(std::string_view* row) {
  const CountedCall call(calls_);
  FreeCopyBuffer();
  const int got = PQgetCopyData(conn_, &copy_buffer_, /*async=*/0);
  if (got > 0) {
    *row = std::string_view(copy_buffer_, static_cast<size_t>(got));
    return true;
  }
  *row = {};
  const absl::Status own = got == -2 ? LastError("reading rows by COPY") : absl::OkStatus();
  RETURN_IF_ERROR(Drain("reading rows by COPY").status());
  RETURN_IF_ERROR(own);
  return false;
}

void PgConnection::FreeCopyBuffer() {
  PQfreemem(copy_buffer_);
  copy_buffer_ = nullptr;
}

}  // namespace wallaby
