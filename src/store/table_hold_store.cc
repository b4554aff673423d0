// Tables that wait for a schema change while their flow goes on.
#include "base/status.h"
#include "store/sql_store.h"

namespace wallaby {

absl::StatusOr<std::vector<TableHold>> SqlStore::TableHolds(const std::string& flow_id) {
  std::vector<TableHold> holds;
  RETURN_IF_ERROR(database_->Transact(SqlAccess::kRead, [&](SqlSession& session) -> absl::Status {
    holds.clear();
    ASSIGN_OR_RETURN(const SqlRows rows, session.Query("SELECT oid, table_name, from_lsn FROM @table_holds WHERE "
                                                       "flow_id = $1 ORDER BY from_lsn, oid",
                                                       {flow_id}));
    for (int row = 0; row < rows.size(); ++row) {
      holds.push_back({static_cast<uint32_t>(rows.Int(row, 0)), rows.Text(row, 1), LsnFromStored(rows.Int(row, 2))});
    }
    return absl::OkStatus();
  }));
  return holds;
}

absl::Status SqlStore::PutTableHolds(const std::string& flow_id, const std::vector<TableHold>& holds) {
  return Write([&](SqlSession& session) -> absl::Status {
    RETURN_IF_ERROR(RequireFlow(session, flow_id));
    for (const TableHold& hold : holds) {
      ASSIGN_OR_RETURN(const int64_t from, StoredLsn(hold.from));
      RETURN_IF_ERROR(
          session
              .Query("INSERT INTO @table_holds (flow_id, oid, table_name, from_lsn) VALUES ($1, $2, $3, $4) "
                     "ON CONFLICT (flow_id, oid) DO UPDATE SET table_name = excluded.table_name, "
                     "from_lsn = excluded.from_lsn",
                     {flow_id, static_cast<int64_t>(hold.oid), hold.table, from})
              .status());
    }
    return absl::OkStatus();
  });
}

absl::Status SqlStore::DeleteTableHolds(const std::string& flow_id, const std::vector<TableHold>& holds) {
  return Write([&](SqlSession& session) -> absl::Status {
    for (const TableHold& hold : holds) {
      ASSIGN_OR_RETURN(const int64_t from, StoredLsn(hold.from));
      RETURN_IF_ERROR(session
                          .Query("DELETE FROM @table_holds WHERE flow_id = $1 AND oid = $2 AND from_lsn = $3",
                                 {flow_id, static_cast<int64_t>(hold.oid), from})
                          .status());
    }
    return absl::OkStatus();
  });
}

}  // namespace wallaby
