// Lanes: how far the destinations are that go at their own pace, and what their streams know of the tables.
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "store/sql_store.h"

namespace wallaby {
namespace {

constexpr std::string_view kBegin =
    "INSERT INTO @lanes (flow_id, destination, lsn, at, metadata) VALUES ($1, $2, $3, $4, $5) "
    "ON CONFLICT (flow_id, destination) DO UPDATE SET lsn = excluded.lsn, at = excluded.at, "
    "metadata = excluded.metadata";

// What a lane is, for errors.
std::string Name(const std::string& flow_id, const std::string& destination) {
  return absl::StrCat("destination '", destination, "' of flow '", flow_id, "'");
}

absl::Status DeleteShapes(SqlSession& session, const std::string& flow_id, const std::string& destination) {
  return session.Query("DELETE FROM @table_shapes WHERE flow_id = $1 AND lane = $2", {flow_id, destination}).status();
}

absl::Status WhyNotMoved(SqlSession& session, const std::string& flow_id, const std::string& destination, Lsn lsn) {
  ASSIGN_OR_RETURN(const SqlRows rows, session.Query("SELECT lsn FROM @lanes WHERE flow_id = $1 AND destination = $2",
                                                     {flow_id, destination}));
  if (rows.empty()) return absl::NotFoundError(absl::StrCat(Name(flow_id, destination), " has no lane"));
  return absl::FailedPreconditionError(absl::StrCat("the checkpoint of ", Name(flow_id, destination), " is at ",
                                                    LsnFromStored(rows.Int(0, 0)).ToString(),
                                                    " and cannot be put back to ", lsn.ToString()));
}

}  // namespace

absl::StatusOr<std::map<std::string, Checkpoint>> SqlStore::Lanes(const std::string& flow_id) {
  std::map<std::string, Checkpoint> lanes;
  RETURN_IF_ERROR(database_->Transact(SqlAccess::kRead, [&](SqlSession& session) -> absl::Status {
    lanes.clear();
    ASSIGN_OR_RETURN(const SqlRows rows,
                     session.Query("SELECT destination, lsn, at, metadata FROM @lanes WHERE flow_id = $1", {flow_id}));
    for (int row = 0; row < rows.size(); ++row) {
      Checkpoint& checkpoint = lanes[rows.Text(row, 0)];
      checkpoint.lsn = LsnFromStored(rows.Int(row, 1));
      checkpoint.at = TimeFromMicros(rows.Int(row, 2));
      ASSIGN_OR_RETURN(checkpoint.metadata, MetadataFromJson(Name(flow_id, rows.Text(row, 0)), rows.Text(row, 3)));
    }
    return absl::OkStatus();
  }));
  return lanes;
}

absl::Status SqlStore::BeginLane(const std::string& flow_id, const std::string& destination,
                                 const Checkpoint& checkpoint) {
  ASSIGN_OR_RETURN(const int64_t lsn, StoredLsn(checkpoint.lsn));
  return Write([&](SqlSession& session) -> absl::Status {
    RETURN_IF_ERROR(RequireFlow(session, flow_id));
    RETURN_IF_ERROR(session
                        .Query(kBegin, {flow_id, destination, lsn, StoredMicros(checkpoint.at),
                                        MetadataToJson(checkpoint.metadata)})
                        .status());
    RETURN_IF_ERROR(DeleteShapes(session, flow_id, destination));
    return session
        .Query(
            "INSERT INTO @table_shapes (flow_id, lane, oid, lsn, shape) SELECT flow_id, $2, oid, lsn, shape "
            "FROM @table_shapes WHERE flow_id = $1 AND lane = ''",
            {flow_id, destination})
        .status();
  });
}

absl::Status SqlStore::PutLaneCheckpoint(const std::string& flow_id, const std::string& destination,
                                         const Checkpoint& checkpoint) {
  ASSIGN_OR_RETURN(const int64_t lsn, StoredLsn(checkpoint.lsn));
  return Write([&](SqlSession& session) -> absl::Status {
    ASSIGN_OR_RETURN(
        const SqlRows rows,
        session.Query("UPDATE @lanes SET lsn = $3, at = $4, metadata = $5 WHERE flow_id = $1 AND destination = $2 "
                      "AND lsn <= $3 RETURNING lsn",
                      {flow_id, destination, lsn, StoredMicros(checkpoint.at), MetadataToJson(checkpoint.metadata)}));
    return rows.empty() ? WhyNotMoved(session, flow_id, destination, checkpoint.lsn) : absl::OkStatus();
  });
}

absl::Status SqlStore::SettleLaneDdl(const std::string& flow_id, const std::string& destination,
                                     const std::vector<LaneDdl>& events) {
  return Write([&](SqlSession& session) -> absl::Status {
    RETURN_IF_ERROR(RequireFlow(session, flow_id));
    for (const LaneDdl& event : events) {
      RETURN_IF_ERROR(WriteDdlReceipt(session, event.event_id, destination));
      if (event.shape) RETURN_IF_ERROR(WriteTableShape(session, flow_id, destination, {*event.shape, event.lsn}));
      if (event.dropped != 0) RETURN_IF_ERROR(DeleteTableShape(session, flow_id, destination, event.dropped));
    }
    return absl::OkStatus();
  });
}

absl::Status SqlStore::ForgetLane(const std::string& flow_id, const std::string& destination) {
  return Write([&](SqlSession& session) -> absl::Status {
    RETURN_IF_ERROR(DeleteShapes(session, flow_id, destination));
    return session.Query("DELETE FROM @lanes WHERE flow_id = $1 AND destination = $2", {flow_id, destination}).status();
  });
}

}  // namespace wallaby
