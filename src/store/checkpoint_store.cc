// Checkpoints.
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status.h"
#include "nlohmann/json.hpp"
#include "store/sql_store.h"

namespace wallaby {
namespace {

using Metadata = std::map<std::string, std::string>;

absl::StatusOr<Checkpoint> ReadCheckpoint(const std::string& flow_id, const SqlRows& rows, int row, int first) {
  Checkpoint checkpoint;
  checkpoint.lsn = LsnFromStored(rows.Int(row, first));
  checkpoint.at = TimeFromMicros(rows.Int(row, first + 1));
  ASSIGN_OR_RETURN(checkpoint.metadata,
                   MetadataFromJson(absl::StrCat("flow '", flow_id, "'"), rows.Text(row, first + 2)));
  return checkpoint;
}

// Why no row was written.
absl::Status WhyRefused(SqlSession& session, const std::string& flow_id, Lsn lsn, int64_t generation) {
  ASSIGN_OR_RETURN(const SqlRows rows,
                   session.Query("SELECT lsn, generation FROM @checkpoints WHERE flow_id = $1", {flow_id}));
  if (!rows.empty() && rows.Int(0, 1) > generation) return FencedGeneration(flow_id, generation, rows.Int(0, 1), "");
  const Lsn stored = rows.empty() ? Lsn{} : LsnFromStored(rows.Int(0, 0));
  return absl::FailedPreconditionError(absl::StrCat("the checkpoint of flow '", flow_id, "' is at ", stored.ToString(),
                                                    " and a worker cannot put it back to ", lsn.ToString(),
                                                    "; an operator can, with the flow at rest"));
}

constexpr std::string_view kPut =
    "INSERT INTO @checkpoints AS held (flow_id, lsn, at, metadata, generation) VALUES ($1, $2, $3, $4, $5) "
    "ON CONFLICT (flow_id) DO UPDATE SET lsn = excluded.lsn, at = excluded.at, metadata = excluded.metadata, "
    "generation = CASE WHEN excluded.generation = 0 THEN held.generation ELSE excluded.generation END "
    "WHERE excluded.generation = 0 OR (held.lsn <= excluded.lsn AND held.generation <= excluded.generation) "
    "RETURNING flow_id";

}  // namespace

std::string MetadataToJson(const Metadata& metadata) {
  return nlohmann::json(metadata).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

absl::StatusOr<Metadata> MetadataFromJson(const std::string& whose, const std::string& text) {
  const nlohmann::json json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  Metadata metadata;
  if (!json.is_object()) {
    return absl::DataLossError(absl::StrCat("checkpoint of ", whose, ": its metadata cannot be read"));
  }
  for (const auto& [key, value] : json.items()) {
    if (value.is_string()) metadata[key] = value.get<std::string>();
  }
  return metadata;
}

int64_t StoredMicros(absl::Time time) {
  return absl::ToUnixMicros(time == absl::UnixEpoch() ? absl::Now() : time);
}

absl::Time TimeFromMicros(int64_t micros) {
  return absl::FromUnixMicros(micros);
}

absl::StatusOr<int64_t> StoredLsn(Lsn lsn) {
  if (lsn.value <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
    return static_cast<int64_t>(lsn.value);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("lsn: ", lsn.ToString(), " is beyond what a server can reach; allowed: up to 7FFFFFFF/FFFFFFFF"));
}

absl::StatusOr<std::optional<Checkpoint>> SqlStore::GetCheckpoint(const std::string& flow_id) {
  SqlRows rows;
  RETURN_IF_ERROR(database_->Transact(SqlAccess::kRead, [&](SqlSession& session) -> absl::Status {
    ASSIGN_OR_RETURN(rows, session.Query("SELECT lsn, at, metadata FROM @checkpoints WHERE flow_id = $1", {flow_id}));
    return absl::OkStatus();
  }));
  if (rows.empty()) return std::optional<Checkpoint>();
  ASSIGN_OR_RETURN(Checkpoint checkpoint, ReadCheckpoint(flow_id, rows, 0, 0));
  return std::optional<Checkpoint>(std::move(checkpoint));
}

absl::Status SqlStore::PutCheckpoint(const std::string& flow_id, const Checkpoint& checkpoint, int64_t generation) {
  ASSIGN_OR_RETURN(const int64_t lsn, StoredLsn(checkpoint.lsn));
  const std::vector<SqlValue> params = {flow_id, lsn, StoredMicros(checkpoint.at), MetadataToJson(checkpoint.metadata),
                                        generation};
  return Write([&](SqlSession& session) -> absl::Status {
    if (!options_.only_checkpoints) RETURN_IF_ERROR(RequireFlow(session, flow_id));
    if (generation > 0) RETURN_IF_ERROR(CheckGeneration(session, flow_id, generation));
    ASSIGN_OR_RETURN(const SqlRows rows, session.Query(kPut, params));
    return rows.empty() ? WhyRefused(session, flow_id, checkpoint.lsn, generation) : absl::OkStatus();
  });
}

absl::Status SqlStore::DeleteCheckpoint(const std::string& flow_id) {
  return Write([&](SqlSession& session) {
    return session.Query("DELETE FROM @checkpoints WHERE flow_id = $1", {flow_id}).status();
  });
}

absl::StatusOr<std::vector<std::pair<std::string, Checkpoint>>> SqlStore::ListCheckpoints() {
  SqlRows rows;
  RETURN_IF_ERROR(database_->Transact(SqlAccess::kRead, [&](SqlSession& session) -> absl::Status {
    ASSIGN_OR_RETURN(rows, session.Query("SELECT flow_id, lsn, at, metadata FROM @checkpoints ORDER BY flow_id"));
    return absl::OkStatus();
  }));
  std::vector<std::pair<std::string, Checkpoint>> checkpoints;
  for (int row = 0; row < rows.size(); ++row) {
    ASSIGN_OR_RETURN(Checkpoint checkpoint, ReadCheckpoint(rows.Text(row, 0), rows, row, 1));
    checkpoints.emplace_back(rows.Text(row, 0), std::move(checkpoint));
  }
  return checkpoints;
}

}  // namespace wallaby
