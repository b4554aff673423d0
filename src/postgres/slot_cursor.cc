#include "postgres/slot_cursor.h"

#include <libpq-fe.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/sql_text.h"
#include "base/status.h"
#include "change/tuple.h"
#include "postgres/slot.h"
#include "postgres/walsender_stream.h"

namespace wallaby {
namespace {

constexpr std::string_view kDoing = "reading changes through SQL";
constexpr std::string_view kSignature("PGCOPY\n\377\r\n\0", 11);

absl::Status Malformed() {
  return absl::DataLossError("the server's answer to COPY does not follow the binary format");
}

}  // namespace

absl::StatusOr<std::unique_ptr<SlotCursor>> SlotCursor::Open(PgConnection* sql, const StreamOptions& options) {
  // 18+. Nobody reads the slot itself meanwhile, and a slow destination may make that long.
  ASSIGN_OR_RETURN(const PgRows timeout,
                   sql->Query("SELECT coalesce(current_setting('idle_replication_slot_timeout', true), '0') <> '0'"));
  if (timeout.Bool(0, 0)) {
    return absl::FailedPreconditionError("idle_replication_slot_timeout could invalidate the slot meanwhile");
  }
  const std::string name = absl::StrCat("wallaby_cursor_", sql->backend_pid());
  RETURN_IF_ERROR(
      sql->Query("SELECT pg_catalog.pg_copy_logical_replication_slot($1, $2, true)", {options.slot, name}).status());
  RETURN_IF_ERROR(AdvanceSlot(*sql, name, options.start));
  const std::string head =
      absl::StrCat("COPY (SELECT data FROM pg_catalog.pg_logical_slot_get_binary_changes(", SqlLiteral(name), ", ");
  std::string tail = ", NULL";
  for (const auto& [option, value] : PluginOptions(options)) {
    absl::StrAppend(&tail, ", ", SqlLiteral(option), ", ", SqlLiteral(value));
  }
  absl::StrAppend(&tail, ")) TO STDOUT (FORMAT binary)");
  return std::unique_ptr<SlotCursor>(new SlotCursor(sql, name, head, std::move(tail)));
}

SlotCursor::~SlotCursor() {
  FreeBuffer();
}

void SlotCursor::FreeBuffer() {
  PQfreemem(buffer_);
  buffer_ = nullptr;
}

absl::Status SlotCursor::Begin(Lsn upto) {
  const std::string query = absl::StrCat(head_, SqlLiteral(upto.ToString()), tail_);
  if (PQsendQuery(sql_->raw(), query.c_str()) != 1) return sql_->LastError(kDoing);
  state_ = State::kStarting;
  header_seen_ = ended_ = false;
  return absl::OkStatus();
}

absl::StatusOr<SlotCursor::Step> SlotCursor::Next(std::string_view* message) {
  switch (state_) {
    case State::kStarting:
      return Start();
    case State::kCopying:
      return Copy(message);
    case State::kEnding:
      break;
  }
  return End();
}

absl::StatusOr<SlotCursor::Step> SlotCursor::Start() {
  PGconn* conn = sql_->raw();
  if (PQconsumeInput(conn) == 0) return sql_->LastError(kDoing);
  if (PQisBusy(conn) != 0) return Step::kNone;
  PGresult* result = PQgetResult(conn);
  const absl::Status status =
      PQresultStatus(result) == PGRES_COPY_OUT ? absl::OkStatus() : StatusFromResult(result, kDoing);
  PQclear(result);
  RETURN_IF_ERROR(status);
  state_ = State::kCopying;
  return Step::kNone;
}

absl::StatusOr<SlotCursor::Step> SlotCursor::Copy(std::string_view* message) {
  PGconn* conn = sql_->raw();
  while (true) {
    ASSIGN_OR_RETURN(const bool parsed, Parse(message));
    if (parsed) return Step::kMessage;
    FreeBuffer();
    int got = PQgetCopyData(conn, &buffer_, /*async=*/1);
    if (got == 0) {
      if (PQconsumeInput(conn) == 0) return sql_->LastError(kDoing);
      got = PQgetCopyData(conn, &buffer_, /*async=*/1);
    }
    if (got == 0) return Step::kNone;
    if (got == -2) return sql_->LastError(kDoing);
    if (got == -1) break;
    rest_ = std::string_view(buffer_, static_cast<size_t>(got));
  }
  state_ = State::kEnding;
  return End();
}

absl::StatusOr<bool> SlotCursor::Parse(std::string_view* message) {
  if (rest_.empty()) return false;
  if (!header_seen_) {
    if (!rest_.starts_with(kSignature) || rest_.size() < 19) return Malformed();
    const size_t extension = ReadBigEndian32(rest_.data() + 15);
    if (rest_.size() - 19 < extension) return Malformed();
    rest_.remove_prefix(19 + extension);
    header_seen_ = true;
    if (rest_.empty()) return false;
  }
  if (rest_.size() < 2 || ended_) return Malformed();
  const auto fields = static_cast<int16_t>(ReadBigEndian16(rest_.data()));
  if (fields == -1) {
    ended_ = true;
    rest_.remove_prefix(2);
    return false;
  }
  if (fields != 1 || rest_.size() < 6) return Malformed();
  const uint32_t length = ReadBigEndian32(rest_.data() + 2);
  if (rest_.size() - 6 < length) return Malformed();
  *message = rest_.substr(6, length);
  rest_.remove_prefix(6 + length);
  return true;
}

absl::StatusOr<SlotCursor::Step> SlotCursor::End() {
  PGconn* conn = sql_->raw();
  while (true) {
    if (PQconsumeInput(conn) == 0) return sql_->LastError(kDoing);
    if (PQisBusy(conn) != 0) return Step::kNone;
    PGresult* result = PQgetResult(conn);
    if (result == nullptr) break;
    const absl::Status status =
        PQresultStatus(result) == PGRES_FATAL_ERROR ? StatusFromResult(result, kDoing) : absl::OkStatus();
    PQclear(result);
    RETURN_IF_ERROR(status);
  }
  if (!ended_) return Malformed();
  return Step::kEnd;
}

absl::StatusOr<SlotCursor::Where> SlotCursor::Look() {
  ASSIGN_OR_RETURN(const PgRows rows,
                   sql_->Query("SELECT confirmed_flush_lsn, restart_lsn FROM pg_catalog.pg_replication_slots "
                               "WHERE slot_name = $1",
                               {name_}));
  if (rows.size() != 1) return absl::UnavailableError(absl::StrCat("the temporary slot ", name_, " is gone"));
  Where where;
  ASSIGN_OR_RETURN(where.confirmed, Lsn::Parse(rows.Text(0, 0)));
  ASSIGN_OR_RETURN(where.restart, Lsn::Parse(rows.Text(0, 1)));
  return where;
}

absl::Status SlotCursor::Drop() {
  return sql_->Query("SELECT pg_catalog.pg_drop_replication_slot($1)", {name_}).status();
}

}  // namespace wallaby
