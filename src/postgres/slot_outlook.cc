#include "postgres/slot_outlook.h"

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace wallaby {
namespace {

absl::StatusOr<std::optional<WalSender>> FindSender(PgConnection& sql, int pid) {
  // A standby sends what it has replayed.
  ASSIGN_OR_RETURN(
      const PgRows rows,
      sql.Query("SELECT r.pid, r.state, r.sent_lsn, r.write_lsn,"
                " greatest(pg_catalog.pg_wal_lsn_diff(CASE WHEN pg_catalog.pg_is_in_recovery()"
                "   THEN pg_catalog.pg_last_wal_replay_lsn() ELSE pg_catalog.pg_current_wal_lsn() END, r.sent_lsn),"
                "   0)::bigint,"
                " greatest(pg_catalog.pg_wal_lsn_diff(r.sent_lsn, r.write_lsn), 0)::bigint"
                " FROM pg_catalog.pg_stat_replication r WHERE r.pid = $1 AND r.sent_lsn IS NOT NULL",
                {absl::StrCat(pid)}));
  if (rows.size() == 0) return std::nullopt;
  WalSender sender;
  sender.pid = static_cast<int>(rows.Int(0, 0));
  sender.state = rows.Text(0, 1);
  ASSIGN_OR_RETURN(sender.sent, Lsn::Parse(rows.Text(0, 2)));
  if (!rows.IsNull(0, 3)) {
    ASSIGN_OR_RETURN(sender.received, Lsn::Parse(rows.Text(0, 3)));
  }
  sender.unsent_bytes = rows.Int(0, 4);
  sender.unreceived_bytes = rows.Int(0, 5);
  return sender;
}

}  // namespace

absl::StatusOr<SlotOutlook> LookAhead(PgConnection& sql, const SlotInfo& slot) {
  SlotOutlook outlook;
  ASSIGN_OR_RETURN(
      const PgRows rows,
      sql.Query("SELECT (SELECT setting::bigint FROM pg_catalog.pg_settings WHERE name = 'max_slot_wal_keep_size'),"
                " (SELECT setting::bigint FROM pg_catalog.pg_settings WHERE name = 'idle_replication_slot_timeout'),"
                " CASE WHEN pg_catalog.has_function_privilege('pg_catalog.pg_ls_waldir()', 'EXECUTE')"
                "  THEN (SELECT sum(size) FROM pg_catalog.pg_ls_waldir())::bigint END"));
  if (rows.Int(0, 0) >= 0) outlook.keep_limit_bytes = rows.Int(0, 0) << 20;
  outlook.idle_timeout = absl::Seconds(rows.Int(0, 1));
  if (!rows.IsNull(0, 2)) outlook.wal_bytes = rows.Int(0, 2);
  if (slot.active) {
    ASSIGN_OR_RETURN(outlook.sender, FindSender(sql, slot.active_pid));
  }
  ASSIGN_OR_RETURN(outlook.holders, FindSlotHolders(sql));
  return outlook;
}

}  // namespace wallaby
