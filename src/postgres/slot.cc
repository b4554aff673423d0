#include "postgres/slot.h"

#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/sql_text.h"
#include "base/status.h"

namespace wallaby {
namespace {

// A standby has no current position of its own; what it has replayed stands for it.
constexpr std::string_view kCurrentLsn =
    "CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn() "
    "ELSE pg_catalog.pg_current_wal_lsn() END";

absl::StatusOr<Lsn> LsnOrZero(const PgRows& rows, int row, int column) {
  if (rows.IsNull(row, column)) return Lsn{};
  return Lsn::Parse(rows.Text(row, column));
}

absl::StatusOr<std::vector<SlotInfo>> Slots(PgConnection& sql, const std::string& where,
                                            const std::vector<SqlParam>& params) {
  const int major = sql.server_major();
  const std::string_view reason = major >= 17   ? "coalesce(s.invalidation_reason, '')"
                                  : major == 16 ? "CASE WHEN s.conflicting THEN 'conflicting' ELSE '' END"
                                                : "''";
  const std::string_view failover = major >= 17 ? "s.failover, s.synced" : "false, false";
  const std::string_view inactive =
      major >= 17 ? "CASE WHEN NOT s.active THEN extract(epoch FROM pg_catalog.now() - s.inactive_since)::bigint END"
                  : "NULL";
  ASSIGN_OR_RETURN(
      const PgRows rows,
      sql.Query(absl::StrCat("SELECT s.slot_name, coalesce(s.plugin, ''), coalesce(s.database, ''),"
                             " s.slot_type = 'logical', s.temporary, s.active, s.active_pid, s.confirmed_flush_lsn,"
                             " s.restart_lsn, greatest(pg_catalog.pg_wal_lsn_diff(now.lsn, s.restart_lsn), 0)::bigint,"
                             " greatest(pg_catalog.pg_wal_lsn_diff(now.lsn, s.confirmed_flush_lsn), 0)::bigint,"
                             " coalesce(s.wal_status, ''), ",
                             reason, ", ", failover, ", ", inactive,
                             ", s.safe_wal_size, coalesce(pg_catalog.age(s.catalog_xmin), 0) FROM "
                             "pg_catalog.pg_replication_slots s, (SELECT ",
                             kCurrentLsn, " AS lsn) now ", where, " ORDER BY 1"),
                params));
  std::vector<SlotInfo> slots;
  for (int i = 0; i < rows.size(); ++i) {
    SlotInfo& slot = slots.emplace_back();
    slot.name = rows.Text(i, 0);
    slot.plugin = rows.Text(i, 1);
    slot.database = rows.Text(i, 2);
    slot.logical = rows.Bool(i, 3);
    slot.temporary = rows.Bool(i, 4);
    slot.active = rows.Bool(i, 5);
    slot.active_pid = static_cast<int>(rows.Int(i, 6));
    ASSIGN_OR_RETURN(slot.confirmed_flush, LsnOrZero(rows, i, 7));
    ASSIGN_OR_RETURN(slot.restart, LsnOrZero(rows, i, 8));
    slot.retained_bytes = rows.Int(i, 9);
    slot.behind_bytes = rows.Int(i, 10);
    slot.wal_status = rows.Text(i, 11);
    slot.invalidation_reason = rows.Text(i, 12);
    slot.failover = rows.Bool(i, 13);
    slot.synced = rows.Bool(i, 14);
    if (!rows.IsNull(i, 15)) slot.inactive_for = absl::Seconds(rows.Int(i, 15));
    if (!rows.IsNull(i, 16)) slot.safe_wal_bytes = rows.Int(i, 16);
    slot.catalog_xmin_age = rows.Int(i, 17);
  }
  return slots;
}

std::string CreateSlotCommand(const std::string& slot, bool temporary, bool failover, int major) {
  const std::string head = absl::StrCat("CREATE_REPLICATION_SLOT ", SqlIdentifier(slot), temporary ? " TEMPORARY" : "",
                                        " LOGICAL pgoutput ");
  // Options in parentheses came with 15.
  if (major < 15) return head + "EXPORT_SNAPSHOT";
  return absl::StrCat(head, "(SNAPSHOT 'export'", failover ? ", FAILOVER true" : "", ")");
}

}  // namespace

absl::StatusOr<std::optional<SlotInfo>> GetSlot(PgConnection& sql, const std::string& name) {
  ASSIGN_OR_RETURN(std::vector<SlotInfo> slots, Slots(sql, "WHERE s.slot_name = $1", {name}));
  if (slots.empty()) return std::nullopt;
  return std::move(slots[0]);
}

absl::StatusOr<std::vector<SlotInfo>> ListSlots(PgConnection& sql) {
  return Slots(sql, "", {});
}

absl::Status DropSlot(PgConnection& sql, const std::string& name) {
  ASSIGN_OR_RETURN(const std::optional<SlotInfo> slot, GetSlot(sql, name));
  if (!slot.has_value()) return absl::NotFoundError(absl::StrCat("there is no replication slot ", name));
  if (slot->active) {
    return absl::FailedPreconditionError(absl::StrCat("replication slot ", name, " is in use by the server process ",
                                                      slot->active_pid, "; stop what reads from it first"));
  }
  return sql.Query("SELECT pg_catalog.pg_drop_replication_slot($1)", {name}).status();
}

absl::Status AdvanceSlot(PgConnection& sql, const std::string& name, Lsn upto) {
  // It refuses to go back, also where there is nothing to do.
  return sql
      .Query(
          "SELECT pg_catalog.pg_replication_slot_advance(slot_name, $2::pg_lsn) FROM "
          "pg_catalog.pg_replication_slots WHERE slot_name = $1 AND confirmed_flush_lsn < $2::pg_lsn",
          {name, upto.ToString()})
      .status();
}

std::string SlotInUse(const SlotInfo& slot) {
  return absl::StrCat("slot ", slot.name, " is in use by the process with pid ", slot.active_pid,
                      " on the source; end it there (SELECT pg_terminate_backend(", slot.active_pid,
                      ")) or stop the worker it serves");
}

absl::Status CheckSlotUsable(const SlotInfo& slot, const std::string& database) {
  const auto refuse = [&slot](std::string_view why) {
    return absl::FailedPreconditionError(absl::StrCat("replication slot ", slot.name, " ", why));
  };
  if (!slot.logical) return refuse("is a physical slot; choose another slot name for this flow");
  if (slot.plugin != "pgoutput") {
    return refuse(absl::StrCat("uses the plugin ", slot.plugin, ", not pgoutput; choose another slot name"));
  }
  if (slot.database != database) {
    return refuse(absl::StrCat("belongs to the database ", slot.database, ", the flow reads ", database,
                               "; choose another slot name"));
  }
  if (slot.wal_status == "lost" || !slot.invalidation_reason.empty()) {
    const std::string reason =
        slot.invalidation_reason.empty() ? "" : absl::StrCat(" (", slot.invalidation_reason, ")");
    return refuse(
        absl::StrCat("is lost", reason,
                     ": the server has removed WAL that it needs, so changes are missing for good; drop it (SELECT ",
                     "pg_drop_replication_slot(", SqlLiteral(slot.name),
                     ")) and start the flow again with a new snapshot; raise max_slot_wal_keep_size to prevent it"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<SlotSnapshot>> SlotSnapshot::Create(const std::string& dsn, const std::string& slot,
                                                                   bool temporary, bool failover) {
  ConnectOptions connect;
  connect.replication = true;
  // The connection waits for open transactions and then holds the snapshot, as long as it takes.
  for (const char* limit :
       {"statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "idle_session_timeout"}) {
    connect.settings[limit] = "0";
  }
  ASSIGN_OR_RETURN(auto connection, PgConnection::Connect(dsn, connect));
  const int major = connection->server_major();
  if (failover && major < 17) {
    return absl::FailedPreconditionError(absl::StrCat("replication slot ", slot,
                                                      " cannot be a failover slot: PostgreSQL ", major,
                                                      " has none (17 and newer do); set failover=false"));
  }
  auto created = connection->Query(CreateSlotCommand(slot, temporary, failover, major));
  if (!created.ok()) return Annotate(created.status(), absl::StrCat("creating the replication slot ", slot));
  if (created->size() != 1 || created->columns() < 3 || created->IsNull(0, 2)) {
    return absl::InternalError(absl::StrCat("creating the replication slot ", slot, ": the server gave no snapshot"));
  }
  std::unique_ptr<SlotSnapshot> snapshot(new SlotSnapshot);  // NOLINT: the constructor is private
  ASSIGN_OR_RETURN(snapshot->consistent_, Lsn::Parse(created->Text(0, 1)));
  snapshot->snapshot_ = created->Text(0, 2);
  snapshot->connection_ = std::move(connection);
  return snapshot;
}

absl::StatusOr<ServerInfo> GetServerInfo(PgConnection& sql) {
  ASSIGN_OR_RETURN(
      const PgRows rows,
      sql.Query(absl::StrCat(
          "SELECT pg_catalog.current_setting('wal_level'), pg_catalog.current_database(),"
          " pg_catalog.current_setting('max_replication_slots'),"
          " (SELECT count(*) FROM pg_catalog.pg_replication_slots),"
          " pg_catalog.current_setting('max_wal_senders'),"
          " (SELECT count(*) FROM pg_catalog.pg_stat_replication),"
          " pg_catalog.pg_is_in_recovery(),"
          " (SELECT rolsuper OR rolreplication FROM pg_catalog.pg_roles WHERE rolname = current_user) OR"
          "  EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'rds_replication'"
          "          AND pg_catalog.pg_has_role(oid, 'MEMBER')),"
          " ",
          kCurrentLsn,
          ","
          " CASE WHEN pg_catalog.has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE')"
          "  THEN (SELECT system_identifier FROM pg_catalog.pg_control_system())::text ELSE '' END,"
          " CASE WHEN pg_catalog.pg_is_in_recovery()"
          "  THEN (SELECT timeline_id FROM pg_catalog.pg_control_checkpoint())"
          "  ELSE ('x' || left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 8))::bit(32)::int END")));
  ServerInfo info;
  info.version = sql.server_version();
  info.wal_level = rows.Text(0, 0);
  info.database = rows.Text(0, 1);
  info.max_replication_slots = static_cast<int>(rows.Int(0, 2));
  info.used_replication_slots = static_cast<int>(rows.Int(0, 3));
  info.max_wal_senders = static_cast<int>(rows.Int(0, 4));
  info.used_wal_senders = static_cast<int>(rows.Int(0, 5));
  info.in_recovery = rows.Bool(0, 6);
  info.role_can_replicate = rows.Bool(0, 7);
  ASSIGN_OR_RETURN(info.current_lsn, LsnOrZero(rows, 0, 8));
  info.system_identifier = rows.Text(0, 9);
  info.timeline = static_cast<int>(rows.Int(0, 10));
  return info;
}

absl::StatusOr<Lsn> GetCurrentLsn(PgConnection& sql) {
  ASSIGN_OR_RETURN(const PgRows rows, sql.Query(absl::StrCat("SELECT ", kCurrentLsn)));
  return LsnOrZero(rows, 0, 0);
}

absl::StatusOr<std::optional<Lsn>> EndOfTimeline(const std::string& dsn, int timeline) {
  ConnectOptions connect;
  connect.replication = true;
  ASSIGN_OR_RETURN(const auto connection, PgConnection::Connect(dsn, connect));
  ASSIGN_OR_RETURN(const PgRows system, connection->Query("IDENTIFY_SYSTEM"));
  const int64_t current = system.Int(0, 1);
  if (current <= 1) return std::nullopt;  // it has no history
  ASSIGN_OR_RETURN(const PgRows history, connection->Query(absl::StrCat("TIMELINE_HISTORY ", current)));
  for (const absl::string_view line : absl::StrSplit(history.Text(0, 1), '\n')) {
    const std::vector<std::string> fields = absl::StrSplit(line, '\t');
    int number = 0;
    if (fields.size() < 2 || !absl::SimpleAtoi(fields[0], &number) || number != timeline) continue;
    ASSIGN_OR_RETURN(const Lsn end, Lsn::Parse(fields[1]));
    return end;
  }
  return std::nullopt;
}

}  // namespace wallaby
