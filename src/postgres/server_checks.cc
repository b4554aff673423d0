#include "postgres/server_checks.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/sql_text.h"
#include "base/status.h"
#include "postgres/ddl_capture_sql.h"
#include "postgres/slot_holders.h"

namespace wallaby {
namespace {

using Severity = Finding::Severity;

constexpr std::string_view kSuperuser = "a superuser";
constexpr std::string_view kAfterRestart = "a superuser; then restart the server";
// A proposal: what fits depends on the source's disk, which no SQL shows.
constexpr std::string_view kKeepSize = "64GB";
constexpr int64_t kShortKeepMegabytes = 1024;

void Add(std::string_view check, Severity severity, std::string object, std::string message,
         std::vector<Finding>* findings, std::string sql = "", std::string_view run_as = "") {
  findings->push_back(
      {severity, std::move(object), std::move(message), "", std::string(check), std::move(sql), std::string(run_as)});
}

void AddInfo(std::string_view check, std::string message, std::vector<Finding>* findings) {
  Add(check, Severity::kInfo, "", std::move(message), findings);
}

std::string SetAndReload(std::string_view name, std::string_view value) {
  return absl::StrCat("ALTER SYSTEM SET ", name, " = ", value, ";\nSELECT pg_reload_conf();");
}

// `used` of `max` places are taken; a flow takes `needed` more, and now and then another one for a while.
void CheckPlaces(std::string_view check, std::string_view setting, std::string_view what, int used, int max, int needed,
                 std::vector<Finding>* findings) {
  if (std::any_of(findings->begin(), findings->end(), [&](const Finding& f) { return f.check == check; })) return;
  const int left = std::max(max - used, 0);
  const std::string count = absl::StrCat(used, " of ", max, " ", what, " are in use");
  if (left > needed) return AddInfo(check, count, findings);
  Add(check, left < needed ? Severity::kError : Severity::kWarning, std::string(setting),
      left < needed ? absl::StrCat(count, ", so that a flow cannot begin")
                    : absl::StrCat(count, ", so that none is to spare for catching up and for copying tables"),
      findings, absl::StrCat("ALTER SYSTEM SET ", setting, " = ", max + 10, ";"), kAfterRestart);
}

// A setting as a number in its own unit; nullopt where the server has no such setting.
absl::StatusOr<std::optional<int64_t>> NumberSetting(PgConnection& sql, const std::string& name) {
  ASSIGN_OR_RETURN(const PgRows rows,
                   sql.Query("SELECT setting::bigint FROM pg_catalog.pg_settings WHERE name = $1", {name}));
  if (rows.size() == 0) return std::nullopt;
  return rows.Int(0, 0);
}

}  // namespace

void CheckPlacesLeft(const ServerInfo& server, const std::vector<SlotInfo>& slots, std::vector<Finding>* findings) {
  CheckPlaces("replication_slots", "max_replication_slots", "replication slots", server.used_replication_slots,
              server.max_replication_slots, slots.empty() ? 1 : 0, findings);
  const bool read = std::any_of(slots.begin(), slots.end(), [](const SlotInfo& slot) { return slot.active; });
  CheckPlaces("wal_senders", "max_wal_senders", "WAL senders", server.used_wal_senders, server.max_wal_senders,
              read ? 0 : 1, findings);
}

absl::Status CheckPooler(PgConnection& sql, std::vector<Finding>* findings) {
  ASSIGN_OR_RETURN(const PgRows rows, sql.Query("SELECT pg_catalog.pg_backend_pid()"));
  if (rows.Int(0, 0) == sql.backend_pid()) return absl::OkStatus();
  if (std::any_of(findings->begin(), findings->end(), [](const Finding& f) { return f.check == "pooler"; })) {
    return absl::OkStatus();
  }
  Add("pooler", Severity::kError, "connection",
      absl::StrCat("the server process is ", rows.Int(0, 0), ", but the connection says ", sql.backend_pid(),
                   ": a connection pooler stands between; put the address of the PostgreSQL server itself into the "
                   "dsn"),
      findings);
  return absl::OkStatus();
}

bool NamesPgoutput(std::string_view libraries) {
  for (std::string_view name : absl::StrSplit(libraries, ',')) {
    name = absl::StripAsciiWhitespace(name);
    if (name == "pgoutput" || name == "\"pgoutput\"") return true;
  }
  return false;
}

absl::Status CheckOutputPlugins(PgConnection& sql, std::vector<Finding>* findings) {
  ASSIGN_OR_RETURN(const PgRows rows,
                   sql.Query("SELECT setting FROM pg_catalog.pg_settings WHERE name = 'output_plugin_libraries'"));
  if (rows.size() == 0) {
    AddInfo("output_plugin_libraries", "the server does not restrict output plugins", findings);
    return absl::OkStatus();
  }
  const std::string_view now = rows.Text(0, 0);
  if (NamesPgoutput(now)) return absl::OkStatus();
  // One literal for each name: right for a list, whether the server quotes its items or not.
  std::vector<std::string> names = {"'pgoutput'"};
  for (const std::string_view name : absl::StrSplit(now, ',', absl::SkipWhitespace())) {
    names.push_back(SqlLiteral(absl::StripAsciiWhitespace(name)));
  }
  Add("output_plugin_libraries", Severity::kError, "output_plugin_libraries",
      "does not name pgoutput, so that the server refuses to decode for any flow", findings,
      SetAndReload("output_plugin_libraries", absl::StrJoin(names, ", ")), kSuperuser);
  return absl::OkStatus();
}

absl::Status CheckWalLimit(PgConnection& sql, std::vector<Finding>* findings) {
  ASSIGN_OR_RETURN(const std::optional<int64_t> megabytes, NumberSetting(sql, "max_slot_wal_keep_size"));
  if (!megabytes) return absl::NotFoundError("the server has no setting max_slot_wal_keep_size");
  const std::string mend = SetAndReload("max_slot_wal_keep_size", SqlLiteral(kKeepSize));
  if (*megabytes < 0) {
    Add("wal_keep_limit", Severity::kWarning, "max_slot_wal_keep_size",
        "is -1: the slot of a flow that stands still keeps WAL until the source's disk is full; set a limit below what "
        "the disk has free, beyond which the slot is given up instead",
        findings, mend, kSuperuser);
  } else if (*megabytes < kShortKeepMegabytes) {
    Add("wal_keep_limit", Severity::kWarning, "max_slot_wal_keep_size",
        absl::StrCat("is ", *megabytes, " MB: a short pause of a flow under load loses its slot"), findings, mend,
        kSuperuser);
  } else {
    AddInfo("wal_keep_limit", absl::StrCat("a slot keeps at most ", *megabytes, " MB of WAL"), findings);
  }
  return absl::OkStatus();
}

absl::Status CheckIdleTimeout(PgConnection& sql, std::vector<Finding>* findings) {
  ASSIGN_OR_RETURN(const std::optional<int64_t> seconds, NumberSetting(sql, "idle_replication_slot_timeout"));
  if (seconds.value_or(0) <= 0) return absl::OkStatus();
  Add("idle_slot_timeout", Severity::kWarning, "idle_replication_slot_timeout",
      absl::StrCat("is ", *seconds, " s: a flow that is paused or stopped for longer loses its slot"), findings,
      SetAndReload("idle_replication_slot_timeout", "0"), kSuperuser);
  return absl::OkStatus();
}

absl::Status CheckFailover(PgConnection& sql, const ServerInfo& server, const std::vector<SlotInfo>& slots,
                           std::vector<Finding>* findings) {
  ASSIGN_OR_RETURN(const std::vector<SlotInfo> all, ListSlots(sql));
  std::vector<std::string> standbys;
  for (const SlotInfo& slot : all) {
    if (!slot.logical && slot.active) standbys.push_back(slot.name);
  }
  if (server.in_recovery) return absl::OkStatus();
  if (sql.server_major() < 17) {
    if (!standbys.empty()) {
      AddInfo("failover", "PostgreSQL before 17 has no failover slots: a promoted standby has none of them", findings);
    }
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(const PgRows setting, sql.Query("SELECT current_setting('synchronized_standby_slots')"));
  const bool waits = !setting.Text(0, 0).empty();
  for (const SlotInfo& slot : slots) {
    if (!slot.failover && !standbys.empty()) {
      Add("failover", Severity::kWarning, "slot " + slot.name,
          absl::StrCat("is not a failover slot: when the standby behind slot ", standbys[0],
                       " is promoted, the slot is gone and every table is copied again"),
          findings, absl::StrCat("ALTER_REPLICATION_SLOT ", SqlIdentifier(slot.name), " (FAILOVER true);"),
          "a role with REPLICATION over a replication connection (psql with replication=database), while the flow is "
          "stopped");
    } else if (slot.failover && !waits) {
      const std::string names =
          absl::StrJoin(standbys, ", ", [](std::string* out, const std::string& name) { *out += SqlLiteral(name); });
      Add("failover", Severity::kWarning, "slot " + slot.name,
          absl::StrCat("is a failover slot, but synchronized_standby_slots is empty: destinations may be ahead of the "
                       "standby that is promoted",
                       standbys.empty() ? "; no standby is connected that it could name" : ""),
          findings, names.empty() ? "" : SetAndReload("synchronized_standby_slots", names),
          names.empty() ? "" : kSuperuser);
    }
  }
  return absl::OkStatus();
}

absl::Status CheckHolders(PgConnection& sql, absl::Duration limit, std::vector<Finding>* findings) {
  ASSIGN_OR_RETURN(const std::vector<SlotHolder> holders, FindSlotHolders(sql));
  int hidden = 0;
  for (const SlotHolder& holder : holders) {
    if (!holder.age) {
      ++hidden;
    } else if (*holder.age >= limit) {
      Add(holder.pid == 0 ? "prepared_transactions" : "long_transactions", Severity::kWarning, "",
          absl::StrCat(holder.Describe(),
                       " is open: until it ends, slots keep the WAL since it began, and none can be "
                       "made"),
          findings, holder.EndSql(), holder.EndAs());
    }
  }
  if (hidden > 0) {
    AddInfo("long_transactions",
            absl::StrCat("open transactions of other roles that hide their age: ", hidden,
                         "; membership in pg_read_all_stats shows it"),
            findings);
  }
  return absl::OkStatus();
}

absl::Status CheckCapture(PgConnection& sql, const SourceOptions& options, bool wanted,
                          std::vector<Finding>* findings) {
  // The administrators' roles of managed services may make event triggers too.
  ASSIGN_OR_RETURN(
      const PgRows rows,
      sql.Query("SELECT current_user, EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = current_user AND rolsuper"
                " OR rolname IN ('rds_superuser', 'cloudsqlsuperuser', 'azure_pg_admin', 'alloydbsuperuser')"
                " AND pg_catalog.pg_has_role(oid, 'MEMBER')),"
                " EXISTS (SELECT FROM pg_catalog.pg_event_trigger WHERE evtname = $1 AND evtenabled <> 'D')",
                {options.ddl_trigger_name}));
  if (options.capture_ddl.has_value() && !*options.capture_ddl) {
    AddInfo("event_trigger", "capture_ddl is false: a table's change is seen by its next row", findings);
  } else if (rows.Bool(0, 2)) {
    AddInfo("event_trigger", "the capture of schema changes is installed", findings);
  } else if (rows.Bool(0, 1)) {
    AddInfo("event_trigger", "the role may install the capture of schema changes", findings);
  } else if (!wanted) {
    AddInfo("event_trigger",
            "the role may not make event triggers: a table's change is seen by its next row, unless a superuser "
            "installs the capture (wallaby-admin flow capture-sql)",
            findings);
  } else {
    const std::string role = SqlIdentifier(rows.Text(0, 0));
    Add("event_trigger", options.capture_ddl.value_or(false) ? Severity::kError : Severity::kWarning,
        "event trigger " + options.ddl_trigger_name,
        absl::StrCat("is missing, and role ", rows.Text(0, 0),
                     " may not make it: a table's change is seen only by its next row"),
        findings,
        absl::StrCat(DdlCaptureSql(options, sql.server_major()), "GRANT USAGE ON SCHEMA ",
                     SqlIdentifier(options.state_schema), ", ", SqlIdentifier(options.ddl_trigger_schema), " TO ", role,
                     ";"),
        kSuperuser);
  }
  return absl::OkStatus();
}

}  // namespace wallaby
