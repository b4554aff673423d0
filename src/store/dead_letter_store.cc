// Requests that receivers did not take.
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "store/sql_store.h"

namespace wallaby {
namespace {

constexpr std::string_view kPut =
    "INSERT INTO @dead_letters (flow_id, destination, request_key, schema_name, table_name, operation, first_lsn, "
    "first_seq, last_lsn, last_seq, transaction_id, records, payload_mode, format, content_type, reason, at, bytes, "
    "payload) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, {now}, $17, $18) "
    "ON CONFLICT (flow_id, destination, request_key) DO UPDATE SET reason = excluded.reason, at = excluded.at, "
    "content_type = excluded.content_type, bytes = excluded.bytes, payload = excluded.payload";

constexpr std::string_view kColumns =
    "id, destination, request_key, schema_name, table_name, operation, first_lsn, first_seq, last_lsn, last_seq, "
    "transaction_id, records, payload_mode, format, content_type, reason, at, bytes";
constexpr int kPayload = 18;  // the column behind those

StoredDeadLetter ReadLetter(const SqlRows& rows, int row) {
  StoredDeadLetter stored;
  PushRequest& request = stored.letter.request;
  stored.id = rows.Int(row, 0);
  stored.letter.destination = rows.Text(row, 1);
  request.key = rows.Text(row, 2);
  request.schema = rows.Text(row, 3);
  request.table = rows.Text(row, 4);
  request.operation = rows.Text(row, 5);
  request.first = {LsnFromStored(rows.Int(row, 6)), static_cast<uint32_t>(rows.Int(row, 7))};
  request.last = {LsnFromStored(rows.Int(row, 8)), static_cast<uint32_t>(rows.Int(row, 9))};
  request.transaction_id = static_cast<uint32_t>(rows.Int(row, 10));
  request.records = rows.Int(row, 11);
  request.payload_mode = rows.Text(row, 12);
  request.format = ParseWireFormat(rows.Text(row, 13)).value_or(WireFormat::kUnspecified);
  request.content_type = rows.Text(row, 14);
  stored.letter.reason = rows.Text(row, 15);
  stored.at = TimeFromMicros(rows.Int(row, 16));
  stored.bytes = rows.Int(row, 17);
  return stored;
}

absl::Status CheckRoom(SqlSession& session, const std::string& flow_id, int64_t bytes) {
  ASSIGN_OR_RETURN(
      const SqlRows rows,
      session.Query("SELECT count(*), coalesce(sum(bytes), 0) FROM @dead_letters WHERE flow_id = $1", {flow_id}));
  if (rows.Int(0, 0) <= kMostDeadLetters && rows.Int(0, 1) <= kMostDeadLetterBytes) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("flow '", flow_id, "' has ", rows.Int(0, 0) - 1, " dead letters with ", rows.Int(0, 1) - bytes,
                   " bytes, and may keep ", kMostDeadLetters, " with ", kMostDeadLetterBytes,
                   "; send them again (wallaby-admin dead-letter replay -flow-id ", flow_id,
                   ") or drop them (wallaby-admin dead-letter drop), then start the flow again"));
}

// What a payload is sealed for.
std::string SealContext(const std::string& flow_id, const std::string& key) {
  return absl::StrCat(flow_id, "/", key);
}

}  // namespace

absl::Status SqlStore::PutDeadLetter(const std::string& flow_id, const DeadLetter& letter) {
  const PushRequest& request = letter.request;
  std::string payload = absl::Base64Escape(request.payload);
  if (options_.box) {
    ASSIGN_OR_RETURN(payload, options_.box->Seal(request.payload, SealContext(flow_id, request.key)));
  }
  const auto bytes = static_cast<int64_t>(request.payload.size());
  return Write([&](SqlSession& session) -> absl::Status {
    RETURN_IF_ERROR(RequireFlow(session, flow_id));
    ASSIGN_OR_RETURN(const int64_t first, StoredLsn(request.first.commit));
    ASSIGN_OR_RETURN(const int64_t last, StoredLsn(request.last.commit));
    RETURN_IF_ERROR(session
                        .Query(kPut, {flow_id, letter.destination, request.key, request.schema, request.table,
                                      request.operation, first, int64_t{request.first.seq}, last,
                                      int64_t{request.last.seq}, int64_t{request.transaction_id}, request.records,
                                      request.payload_mode, std::string(WireFormatText(request.format)),
                                      request.content_type, letter.reason, bytes, payload})
                        .status());
    return CheckRoom(session, flow_id, bytes);
  });
}

absl::StatusOr<std::vector<StoredDeadLetter>> SqlStore::DeadLetters(const std::string& flow_id,
                                                                    const std::string& destination, int64_t after_id,
                                                                    int limit) {
  std::vector<StoredDeadLetter> letters;
  RETURN_IF_ERROR(database_->Transact(SqlAccess::kRead, [&](SqlSession& session) -> absl::Status {
    letters.clear();
    RETURN_IF_ERROR(RequireFlow(session, flow_id));
    ASSIGN_OR_RETURN(const SqlRows rows,
                     session.Query(absl::StrCat("SELECT ", kColumns,
                                                " FROM @dead_letters WHERE flow_id = $1 AND id > $2 AND "
                                                "($3 = '' OR destination = $3) ORDER BY id LIMIT $4"),
                                   {flow_id, after_id, destination, int64_t{limit}}));
    for (int row = 0; row < rows.size(); ++row) letters.push_back(ReadLetter(rows, row));
    return absl::OkStatus();
  }));
  return letters;
}

absl::StatusOr<StoredDeadLetter> SqlStore::GetDeadLetter(const std::string& flow_id, int64_t id) {
  SqlRows rows;
  RETURN_IF_ERROR(database_->Transact(SqlAccess::kRead, [&](SqlSession& session) -> absl::Status {
    RETURN_IF_ERROR(RequireFlow(session, flow_id));
    ASSIGN_OR_RETURN(rows, session.Query(absl::StrCat("SELECT ", kColumns,
                                                      ", payload FROM @dead_letters WHERE flow_id = $1 AND id = $2"),
                                         {flow_id, id}));
    return absl::OkStatus();
  }));
  if (rows.empty()) {
    return absl::NotFoundError(absl::StrCat("flow '", flow_id, "' has no dead letter ", id,
                                            "; `wallaby-admin dead-letter list` shows those that there are"));
  }
  StoredDeadLetter stored = ReadLetter(rows, 0);
  PushRequest& request = stored.letter.request;
  const std::string& payload = rows.Text(0, kPayload);
  if (!SecretBox::IsSealed(payload)) {
    if (absl::Base64Unescape(payload, &request.payload)) return stored;
    return absl::DataLossError(absl::StrCat("dead letter ", id, " of flow '", flow_id, "' is not as it was stored"));
  }
  if (!options_.box) {
    return absl::FailedPreconditionError(
        absl::StrCat("dead letter ", id, " of flow '", flow_id, "' is sealed; set WALLABY_SECRET_KEY as it was"));
  }
  ASSIGN_OR_RETURN(request.payload, options_.box->Open(payload, SealContext(flow_id, request.key)));
  return stored;
}

absl::Status SqlStore::DeleteDeadLetter(const std::string& flow_id, int64_t id) {
  return Write([&](SqlSession& session) -> absl::Status {
    return session.Query("DELETE FROM @dead_letters WHERE flow_id = $1 AND id = $2", {flow_id, id}).status();
  });
}

absl::StatusOr<int64_t> SqlStore::CountDeadLetters(const std::string& flow_id) {
  int64_t count = 0;
  RETURN_IF_ERROR(database_->Transact(SqlAccess::kRead, [&](SqlSession& session) -> absl::Status {
    ASSIGN_OR_RETURN(const SqlRows rows,
                     session.Query("SELECT count(*) FROM @dead_letters WHERE flow_id = $1", {flow_id}));
    count = rows.Int(0, 0);
    return absl::OkStatus();
  }));
  return count;
}

}  // namespace wallaby
