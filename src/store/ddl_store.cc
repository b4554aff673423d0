// Schema changes: their events and receipts, and the shapes of tables.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status.h"
#include "store/sql_store.h"

namespace wallaby {
namespace {

constexpr std::string_view kColumns =
    "id, flow_id, lsn, ordinal, ddl, table_name, status, gated, plan, error, created_at";

constexpr std::string_view kInsert =
    "INSERT INTO @ddl_events (flow_id, lsn, ordinal, ddl, table_name, status, gated, plan, error, created_at) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, '', {now}) ON CONFLICT (flow_id, lsn, ordinal) DO NOTHING RETURNING id";

absl::StatusOr<DdlEvent> ReadEvent(SqlSession& session, const SqlRows& rows, int row) {
  DdlEvent event;
  event.id = rows.Int(row, 0);
  event.flow_id = rows.Text(row, 1);
  event.lsn = LsnFromStored(rows.Int(row, 2));
  event.ordinal = static_cast<int32_t>(rows.Int(row, 3));
  event.ddl = rows.Text(row, 4);
  event.table = rows.Text(row, 5);
  ASSIGN_OR_RETURN(event.status, ParseDdlStatus(rows.Text(row, 6)));
  event.gated = rows.Int(row, 7) != 0;
  event.plan = rows.Text(row, 8);
  event.error = rows.Text(row, 9);
  event.created_at = TimeFromMicros(rows.Int(row, 10));
  ASSIGN_OR_RETURN(
      const SqlRows receipts,
      session.Query("SELECT destination, at FROM @ddl_receipts WHERE event_id = $1 ORDER BY at, destination",
                    {event.id}));
  for (int i = 0; i < receipts.size(); ++i) {
    event.receipts.push_back({receipts.Text(i, 0), TimeFromMicros(receipts.Int(i, 1))});
  }
  return event;
}

absl::Status NoEvent(int64_t id) {
  return absl::NotFoundError(absl::StrCat("there is no DDL event ", id, "; ddl list shows those that there are"));
}

// With `lock` the event stays as it is to the end of the transaction.
absl::StatusOr<DdlEvent> LoadEvent(SqlSession& session, int64_t id, bool lock) {
  ASSIGN_OR_RETURN(
      const SqlRows rows,
      session.Query(absl::StrCat("SELECT ", kColumns, " FROM @ddl_events WHERE id = $1", lock ? " {for_update}" : ""),
                    {id}));
  if (rows.empty()) return NoEvent(id);
  return ReadEvent(session, rows, 0);
}

absl::StatusOr<DdlEvent> Move(SqlSession& session, int64_t id, const std::vector<DdlStatus>& from, DdlStatus to,
                              const std::string& error) {
  ASSIGN_OR_RETURN(DdlEvent event, LoadEvent(session, id, /*lock=*/true));
  if (std::find(from.begin(), from.end(), event.status) == from.end()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "DDL event ", id, " is ", DdlStatusName(event.status), "; it becomes ", DdlStatusName(to), " only from ",
        absl::StrJoin(from, " or ", [](std::string* out, DdlStatus status) { out->append(DdlStatusName(status)); })));
  }
  RETURN_IF_ERROR(session
                      .Query("UPDATE @ddl_events SET status = $2, error = $3 WHERE id = $1",
                             {id, std::string(DdlStatusName(to)), error})
                      .status());
  event.status = to;
  event.error = error;
  return event;
}

absl::Status MarkCopy(SqlSession& session, const std::string& flow_id, const ControlStore::DdlSettlement& end) {
  bool due = end.copy;
  if (!end.old_table.empty() && end.old_table != end.new_table) {
    ASSIGN_OR_RETURN(const SqlRows gone,
                     session.Query("DELETE FROM @table_syncs WHERE flow_id = $1 AND table_name = $2 RETURNING state",
                                   {flow_id, end.old_table}));
    due |= !gone.empty() && gone.Text(0, 0) != "done";
  }
  if (!due || end.new_table.empty()) return absl::OkStatus();
  return WriteTableSync(session, flow_id, {.table = end.new_table, .oid = end.shape ? end.shape->relation.oid : 0});
}

}  // namespace

absl::Status WriteDdlReceipt(SqlSession& session, int64_t id, const std::string& destination) {
  return session
      .Query(
          "INSERT INTO @ddl_receipts (event_id, destination, at) VALUES ($1, $2, {now}) "
          "ON CONFLICT (event_id, destination) DO NOTHING",
          {id, destination})
      .status();
}

absl::Status WriteTableShape(SqlSession& session, const std::string& flow_id, const std::string& lane,
                             const StoredShape& stored) {
  ASSIGN_OR_RETURN(const int64_t lsn, StoredLsn(stored.lsn));
  return session
      .Query(
          "INSERT INTO @table_shapes (flow_id, lane, oid, lsn, shape) VALUES ($1, $2, $3, $4, $5) "
          "ON CONFLICT (flow_id, lane, oid) DO UPDATE SET lsn = excluded.lsn, shape = excluded.shape",
          {flow_id, lane, static_cast<int64_t>(stored.shape.relation.oid), lsn, ShapeToJson(stored.shape)})
      .status();
}

absl::Status DeleteTableShape(SqlSession& session, const std::string& flow_id, const std::string& lane, uint32_t oid) {
  return session
      .Query("DELETE FROM @table_shapes WHERE flow_id = $1 AND lane = $2 AND oid = $3",
             {flow_id, lane, static_cast<int64_t>(oid)})
      .status();
}

absl::StatusOr<std::vector<ControlStore::RecordedDdl>> SqlStore::RecordDdl(const std::vector<DdlEvent>& events) {
  std::vector<RecordedDdl> recorded;
  RETURN_IF_ERROR(Write([&](SqlSession& session) -> absl::Status {
    recorded.clear();
    for (const DdlEvent& event : events) {
      RETURN_IF_ERROR(RequireFlow(session, event.flow_id));
      ASSIGN_OR_RETURN(const int64_t lsn, StoredLsn(event.lsn));
      const auto ordinal = static_cast<int64_t>(event.ordinal);
      ASSIGN_OR_RETURN(const SqlRows added, session.Query(kInsert, {event.flow_id, lsn, ordinal, event.ddl, event.table,
                                                                    std::string(DdlStatusName(event.status)),
                                                                    static_cast<int64_t>(event.gated), event.plan}));
      if (!added.empty() && event.gated) {
        RETURN_IF_ERROR(
            session.Query("UPDATE @flows SET gated_ddl = gated_ddl + 1 WHERE id = $1", {event.flow_id}).status());
      }
      ASSIGN_OR_RETURN(const SqlRows rows,
                       session.Query(absl::StrCat("SELECT ", kColumns,
                                                  " FROM @ddl_events WHERE flow_id = $1 AND lsn = $2 AND ordinal = $3"),
                                     {event.flow_id, lsn, ordinal}));
      if (rows.empty()) return absl::InternalError("a DDL event is not there after it was recorded");
      RecordedDdl& entry = recorded.emplace_back();
      ASSIGN_OR_RETURN(entry.event, ReadEvent(session, rows, 0));
      entry.added = !added.empty();
    }
    return absl::OkStatus();
  }));
  return recorded;
}

absl::StatusOr<DdlEvent> SqlStore::GetDdl(int64_t id) {
  DdlEvent event;
  RETURN_IF_ERROR(database_->Transact(SqlAccess::kRead, [&](SqlSession& session) -> absl::Status {
    ASSIGN_OR_RETURN(event, LoadEvent(session, id, /*lock=*/false));
    return absl::OkStatus();
  }));
  return event;
}

absl::StatusOr<std::vector<DdlEvent>> SqlStore::ListDdl(const std::string& flow_id,
                                                        const std::vector<DdlStatus>& statuses, int limit,
                                                        int64_t before_id) {
  std::string where = "WHERE TRUE";
  std::vector<SqlValue> params;
  if (!flow_id.empty()) {
    params.emplace_back(flow_id);
    absl::StrAppend(&where, " AND flow_id = $1");
  }
  std::vector<std::string> wanted;
  for (const DdlStatus status : statuses) {
    params.emplace_back(std::string(DdlStatusName(status)));
    wanted.push_back(absl::StrCat("$", params.size()));
  }
  if (!wanted.empty()) absl::StrAppend(&where, " AND status IN (", absl::StrJoin(wanted, ", "), ")");
  if (before_id > 0) {
    params.emplace_back(before_id);
    absl::StrAppend(&where, " AND id < $", params.size());
  }
  std::string last;
  if (limit > 0) {
    params.emplace_back(int64_t{limit});
    last = absl::StrCat(" DESC LIMIT $", params.size());
  }
  std::vector<DdlEvent> events;
  RETURN_IF_ERROR(database_->Transact(SqlAccess::kRead, [&](SqlSession& session) -> absl::Status {
    events.clear();
    if (!flow_id.empty()) RETURN_IF_ERROR(RequireFlow(session, flow_id));
    ASSIGN_OR_RETURN(
        const SqlRows rows,
        session.Query(absl::StrCat("SELECT ", kColumns, " FROM @ddl_events ", where, " ORDER BY id", last), params));
    for (int row = 0; row < rows.size(); ++row) {
      ASSIGN_OR_RETURN(events.emplace_back(), ReadEvent(session, rows, row));
    }
    return absl::OkStatus();
  }));
  if (limit > 0) std::reverse(events.begin(), events.end());
  return events;
}

absl::StatusOr<DdlEvent> SqlStore::MoveDdl(int64_t id, const std::vector<DdlStatus>& from, DdlStatus to,
                                           const std::string& error) {
  DdlEvent event;
  RETURN_IF_ERROR(Write([&](SqlSession& session) -> absl::Status {
    ASSIGN_OR_RETURN(event, Move(session, id, from, to, error));
    return absl::OkStatus();
  }));
  return event;
}

absl::Status SqlStore::PutDdlReceipt(int64_t id, const std::string& destination) {
  return Write([&](SqlSession& session) -> absl::Status {
    RETURN_IF_ERROR(LoadEvent(session, id, /*lock=*/false).status());
    return WriteDdlReceipt(session, id, destination);
  });
}

absl::StatusOr<DdlEvent> SqlStore::SettleDdl(int64_t id, const std::vector<DdlStatus>& from,
                                             const DdlSettlement& settlement) {
  DdlEvent event;
  RETURN_IF_ERROR(Write([&](SqlSession& session) -> absl::Status {
    ASSIGN_OR_RETURN(event, Move(session, id, from, settlement.status, ""));
    if (settlement.shape) {
      RETURN_IF_ERROR(WriteTableShape(session, event.flow_id, "", {*settlement.shape, event.lsn}));
    }
    if (settlement.dropped != 0) {
      RETURN_IF_ERROR(DeleteTableShape(session, event.flow_id, "", settlement.dropped));
    }
    return MarkCopy(session, event.flow_id, settlement);
  }));
  return event;
}

absl::StatusOr<std::map<std::string, int64_t>> SqlStore::GatedDdlCounts() {
  std::map<std::string, int64_t> counts;
  RETURN_IF_ERROR(database_->Transact(SqlAccess::kRead, [&](SqlSession& session) -> absl::Status {
    counts.clear();
    ASSIGN_OR_RETURN(const SqlRows rows, session.Query("SELECT id, gated_ddl FROM @flows"));
    for (int row = 0; row < rows.size(); ++row) counts[rows.Text(row, 0)] = rows.Int(row, 1);
    return absl::OkStatus();
  }));
  return counts;
}

absl::StatusOr<std::vector<StoredShape>> SqlStore::TableShapes(const std::string& flow_id, const std::string& lane) {
  std::vector<StoredShape> shapes;
  RETURN_IF_ERROR(database_->Transact(SqlAccess::kRead, [&](SqlSession& session) -> absl::Status {
    shapes.clear();
    ASSIGN_OR_RETURN(const SqlRows rows,
                     session.Query("SELECT lsn, shape FROM @table_shapes WHERE flow_id = $1 AND lane = $2 ORDER BY oid",
                                   {flow_id, lane}));
    for (int row = 0; row < rows.size(); ++row) {
      StoredShape& stored = shapes.emplace_back();
      stored.lsn = LsnFromStored(rows.Int(row, 0));
      ASSIGN_OR_RETURN(stored.shape, ShapeFromJson(rows.Text(row, 1)));
    }
    return absl::OkStatus();
  }));
  return shapes;
}

absl::Status SqlStore::PutTableShape(const std::string& flow_id, const StoredShape& shape, const std::string& lane) {
  return Write([&](SqlSession& session) -> absl::Status {
    RETURN_IF_ERROR(RequireFlow(session, flow_id));
    return WriteTableShape(session, flow_id, lane, shape);
  });
}

}  // namespace wallaby
