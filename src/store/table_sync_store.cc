// How far each table's snapshot is.
#include <array>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "store/sql_store.h"

namespace wallaby {
namespace {

constexpr std::array<std::string_view, 3> kStateNames = {"pending", "copying", "done"};

absl::StatusOr<TableSyncState> ParseState(const std::string& name) {
  for (size_t i = 0; i < kStateNames.size(); ++i) {
    if (kStateNames[i] == name) return static_cast<TableSyncState>(i);
  }
  return absl::DataLossError(
      absl::StrCat("a table's snapshot has the unknown state '", name, "' in the control store"));
}

constexpr std::string_view kPut =
    "INSERT INTO @table_syncs (flow_id, table_name, state, snapshot_lsn, parts_total, parts_done, rows_copied, "
    "rows_estimated, plan, oid) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) "
    "ON CONFLICT (flow_id, table_name) DO UPDATE SET state = excluded.state, snapshot_lsn = excluded.snapshot_lsn, "
    "parts_total = excluded.parts_total, parts_done = excluded.parts_done, rows_copied = excluded.rows_copied, "
    "rows_estimated = excluded.rows_estimated, plan = excluded.plan, "
    "oid = excluded.oid";

}  // namespace

absl::StatusOr<std::vector<TableSync>> SqlStore::TableSyncs(const std::string& flow_id) {
  std::vector<TableSync> syncs;
  RETURN_IF_ERROR(database_->Transact(SqlAccess::kRead, [&](SqlSession& session) -> absl::Status {
    syncs.clear();
    ASSIGN_OR_RETURN(const SqlRows rows,
                     session.Query("SELECT table_name, state, snapshot_lsn, parts_total, parts_done, rows_copied, "
                                   "rows_estimated, plan, oid FROM @table_syncs WHERE flow_id = $1 ORDER BY table_name",
                                   {flow_id}));
    for (int row = 0; row < rows.size(); ++row) {
      TableSync& sync = syncs.emplace_back();
      sync.table = rows.Text(row, 0);
      ASSIGN_OR_RETURN(sync.state, ParseState(rows.Text(row, 1)));
      sync.snapshot_lsn = LsnFromStored(rows.Int(row, 2));
      sync.parts_total = rows.Int(row, 3);
      sync.parts_done = rows.Int(row, 4);
      sync.rows_copied = rows.Int(row, 5);
      sync.rows_estimated = rows.Int(row, 6);
      sync.plan = rows.Text(row, 7);
      sync.oid = static_cast<uint32_t>(rows.Int(row, 8));
    }
    return absl::OkStatus();
  }));
  return syncs;
}

absl::Status WriteTableSync(SqlSession& session, const std::string& flow_id, const TableSync& sync) {
  ASSIGN_OR_RETURN(const int64_t lsn, StoredLsn(sync.snapshot_lsn));
  const std::string state(kStateNames[static_cast<size_t>(sync.state)]);
  const auto oid = static_cast<int64_t>(sync.oid);
  if (oid != 0) {
    RETURN_IF_ERROR(session
                        .Query("DELETE FROM @table_syncs WHERE flow_id = $1 AND oid = $2 AND table_name <> $3",
                               {flow_id, oid, sync.table})
                        .status());
  }
  return session
      .Query(kPut, {flow_id, sync.table, state, lsn, sync.parts_total, sync.parts_done, sync.rows_copied,
                    sync.rows_estimated, sync.plan, oid})
      .status();
}

absl::Status SqlStore::PutTableSync(const std::string& flow_id, const TableSync& sync) {
  return Write([&](SqlSession& session) -> absl::Status {
    RETURN_IF_ERROR(RequireFlow(session, flow_id));
    return WriteTableSync(session, flow_id, sync);
  });
}

absl::Status SqlStore::DeleteTableSync(const std::string& flow_id, const std::string& table) {
  return Write([&](SqlSession& session) {
    return session.Query("DELETE FROM @table_syncs WHERE flow_id = $1 AND table_name = $2", {flow_id, table}).status();
  });
}

}  // namespace wallaby
