// CheckSource and its checks: the server, the role, the slot and the publication. The tables are in table_checks.cc.
#include "postgres/source_checks.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/sql_text.h"
#include "base/status.h"

namespace wallaby {
namespace {

using Severity = Finding::Severity;

// Whoever may set what the server's configuration says.
constexpr std::string_view kAfterRestart = "a superuser; then restart the server";
constexpr std::string_view kTablesOwner = "the tables' owner, with CREATE on the database";
constexpr std::string_view kPublicationOwner = "the publication's owner";
constexpr std::string_view kSuperuser = "a superuser";
// No statement may be offered that makes the users' own fail.
constexpr std::string_view kIdentitiesFirst = "first mend what the check replica_identity finds, then ask again";
// In a statement that somebody is to read.
constexpr int kMostTablesNamed = 100;

// What a pooler answers to a replication connection: it refuses the startup parameter, or takes it for an ordinary one
// and fails on the replication command.
bool LooksLikePooler(const absl::Status& status) {
  const std::string text = absl::AsciiStrToLower(status.message());
  for (const std::string_view sign : {"unsupported startup parameter", "pgbouncer", "pooler", "sqlstate 42601"}) {
    if (absl::StrContains(text, sign)) return true;
  }
  return false;
}

}  // namespace

void SourceChecker::CheckServer() {
  if (server_.wal_level != "logical") {
    Add(Severity::kError, "wal_level", "wal_level",
        absl::StrCat("wal_level is ", server_.wal_level, ", logical replication needs logical"),
        "ALTER SYSTEM SET wal_level = 'logical'; then restart the server",
        {"ALTER SYSTEM SET wal_level = 'logical';", kAfterRestart});
  }
  if (server_.max_wal_senders == 0) {
    Add(Severity::kError, "wal_senders", "max_wal_senders", "max_wal_senders is 0, so that nobody can read the stream",
        "ALTER SYSTEM SET max_wal_senders = 10; then restart the server",
        {"ALTER SYSTEM SET max_wal_senders = 10;", kAfterRestart});
  }
  if (server_.in_recovery && sql_.server_major() < 16) {
    Add(Severity::kError, "standby", "server",
        "this server is a standby; before PostgreSQL 16 a standby cannot decode changes",
        "put the primary's address into the dsn");
  } else if (server_.in_recovery) {
    Add(Severity::kInfo, "standby", "server",
        "this server is a standby: the slot is made once the primary has logged its running transactions",
        "SELECT pg_log_standby_snapshot() on the primary, when making the slot takes long");
  }
}

absl::Status SourceChecker::CheckRole() {
  ASSIGN_OR_RETURN(const PgRows rows, sql_.Query("SELECT current_user"));
  const std::string role(rows.Text(0, 0));
  if (!server_.role_can_replicate) {
    Add(Severity::kError, "role", "role", absl::StrCat("role ", role, " may not replicate"),
        absl::StrCat("ALTER ROLE ", SqlIdentifier(role), " REPLICATION (on Amazon RDS: GRANT rds_replication TO ",
                     SqlIdentifier(role), ")"),
        {absl::StrCat("ALTER ROLE ", SqlIdentifier(role), " REPLICATION;"), "a superuser"});
    return absl::OkStatus();
  }
  return CheckReplicationConnection(role);
}

absl::Status SourceChecker::CheckReplicationConnection(const std::string& role) {
  ConnectOptions connect;
  connect.replication = true;
  auto connection = PgConnection::Connect(options_.dsn, connect);
  const absl::Status status = connection.ok() ? (*connection)->Execute("IDENTIFY_SYSTEM") : connection.status();
  if (status.ok()) return status;
  const std::string message = absl::StrCat("no replication connection: ", status.message());
  if (LooksLikePooler(status)) {
    Add(Severity::kError, "pooler", "connection", message,
        "a connection pooler stands between; put the address of the PostgreSQL server itself into the dsn");
  } else if (absl::IsUnauthenticated(status)) {
    Add(Severity::kError, "replication_connection", "connection", message,
        absl::StrCat("allow role ", role,
                     " to connect for replication in pg_hba.conf; logical replication uses the lines ",
                     "of the database itself"));
  } else if (IsTransient(status)) {
    return status;  // Such as all walsenders in use: may pass by itself.
  } else {
    Add(Severity::kError, "replication_connection", "connection", message);
  }
  return absl::OkStatus();
}

absl::Status SourceChecker::CheckSlot() {
  ASSIGN_OR_RETURN(const std::optional<SlotInfo> slot, GetSlot(sql_, options_.slot));
  copy_due_ = !slot.has_value() && options_.snapshot == SnapshotMode::kInitial;
  if (slot.has_value()) {
    CheckSlotState(*slot);
    return absl::OkStatus();
  }
  const std::string subject = "slot " + options_.slot;
  if (!IsSlotName(options_.slot)) {
    Add(Severity::kError, "slot", subject,
        "no slot can have this name; allowed: 1 to 63 lower case letters, digits and _");
  } else if (!options_.create_slot) {
    const std::string create =
        absl::StrCat("SELECT pg_create_logical_replication_slot(", SqlLiteral(options_.slot), ", 'pgoutput')");
    Add(Severity::kError, "slot", subject, "there is no such slot, and create_slot is false", create,
        {create + ";", "a role with REPLICATION"});
  } else if (server_.used_replication_slots >= server_.max_replication_slots) {
    Add(Severity::kError, "replication_slots", subject,
        absl::StrCat("all ", server_.max_replication_slots, " replication slots of the server are in use"),
        absl::StrCat(
            "drop one that nobody needs (SELECT slot_name, active FROM pg_replication_slots), or ALTER SYSTEM SET ",
            "max_replication_slots = ", server_.max_replication_slots + 10, "; then restart the server"),
        {absl::StrCat("ALTER SYSTEM SET max_replication_slots = ", server_.max_replication_slots + 10, ";"),
         kAfterRestart});
  }
  if (options_.failover && sql_.server_major() < 17) {
    Add(Severity::kError, "failover", "option failover",
        absl::StrCat("PostgreSQL ", sql_.server_major(), " has no failover slots (17 and newer do)"),
        "set failover=false");
  }
  return absl::OkStatus();
}

void SourceChecker::CheckSlotState(const SlotInfo& slot) {
  const std::string subject = "slot " + slot.name;
  const absl::Status usable = CheckSlotUsable(slot, server_.database);
  if (!usable.ok()) {
    const bool lost = slot.wal_status == "lost" || !slot.invalidation_reason.empty();
    Add(Severity::kError, "slot", subject, usable.message(), "",
        {lost ? absl::StrCat("SELECT pg_drop_replication_slot(", SqlLiteral(slot.name), ");") : "",
         lost ? "a role with REPLICATION" : ""});
    return;
  }
  if (slot.active) {
    Add(Severity::kWarning, "slot_in_use", subject, absl::StrCat("is in use by the server process ", slot.active_pid),
        "stop what reads from it; two readers of one slot cannot work");
  }
  if (slot.wal_status == "unreserved") {
    Add(Severity::kWarning, "slot", subject,
        absl::StrCat("holds ", slot.retained_bytes, " bytes of WAL, which is more than max_slot_wal_keep_size: ",
                     "at the next checkpoint the server may invalidate it"),
        "let the flow catch up at once, or raise max_slot_wal_keep_size");
  }
  if (options_.failover && !slot.failover) {
    Add(Severity::kWarning, "failover", subject, "is not a failover slot, though failover is true; it is not made anew",
        "stop the flow and run ALTER_REPLICATION_SLOT over a replication connection (psql with replication=database)",
        {absl::StrCat("ALTER_REPLICATION_SLOT ", SqlIdentifier(slot.name), " (FAILOVER true);"),
         "a role with REPLICATION over a replication connection (psql with replication=database), while the flow is "
         "stopped"});
  }
}

absl::Status SourceChecker::CheckPublication() {
  ASSIGN_OR_RETURN(const bool exists, PublicationExists(sql_, options_.publication));
  return exists ? CheckPresentPublication() : CheckMissingPublication();
}

// The statement for whoever is to make the publication. Where nothing says which tables, those that there are: that
// takes their owner instead of a superuser.
absl::StatusOr<PublicationPlan> SourceChecker::PlanToPrint() const {
  PublicationPlan plan = PublicationPlan::From(options_.publication_tables, options_.publication_schemas);
  if (!plan.all_tables()) return plan;
  ASSIGN_OR_RETURN(const PgRows rows,
                   sql_.Query("SELECT n.nspname, c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n"
                              " ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p') AND c.relpersistence = 'p'"
                              " AND c.oid >= 16384 AND NOT c.relispartition AND n.nspname <> $1 ORDER BY 1, 2",
                              {options_.state_schema}));
  if (rows.size() > kMostTablesNamed) return plan;
  for (int i = 0; i < rows.size(); ++i) plan.tables.emplace_back(rows.Text(i, 0), rows.Text(i, 1));
  return plan;
}

absl::Status SourceChecker::CheckMissingPublication() {
  const std::string subject = "publication " + options_.publication;
  const bool by_flow = options_.ensure_publication && !server_.in_recovery;
  const std::string_view missing = by_flow ? ""
                                   : options_.ensure_publication
                                       ? "there is no such publication, and a standby cannot make one"
                                       : "there is no such publication, and ensure_publication is false";
  PublicationPlan plan = PublicationPlan::From(options_.publication_tables, options_.publication_schemas);
  const absl::Status named = CheckPublicationPlan(sql_, plan);
  if (!named.ok()) {
    if (IsTransient(named)) return named;
    if (!by_flow) Add(Severity::kError, "publication", subject, missing);
    Add(Severity::kError, "publication", subject, named.message());
    return absl::OkStatus();
  }
  if (!by_flow) {
    ASSIGN_OR_RETURN(plan, PlanToPrint());
  }
  ASSIGN_OR_RETURN(const PlanFit fit, CheckTablesToPublish(sql_, options_, plan, by_flow, copy_due_, &findings_));
  if (by_flow) return CheckRightToPublish(plan, fit);
  const std::string create = plan.CreateSql(options_.publication, fit.with_stored);
  if (!fit.fits) {
    Add(Severity::kError, "publication", subject, missing, kIdentitiesFirst);
    return absl::OkStatus();
  }
  const std::string_view owner = plan.needs_superuser() ? kSuperuser : kTablesOwner;
  if (server_.in_recovery) {
    Add(Severity::kError, "publication", subject, missing, absl::StrCat("on the primary: ", create),
        {create + ";", plan.needs_superuser() ? "a superuser, on the primary" : "the tables' owner, on the primary"});
  } else {
    Add(Severity::kError, "publication", subject, missing, create, {create + ";", owner});
  }
  return absl::OkStatus();
}

absl::Status SourceChecker::CheckRightToPublish(const PublicationPlan& plan, const PlanFit& fit) {
  ASSIGN_OR_RETURN(
      const PgRows role,
      sql_.Query("SELECT r.rolsuper, r.rolname, pg_catalog.has_database_privilege(d.oid, 'CREATE'), d.datname"
                 " FROM pg_catalog.pg_roles r, pg_catalog.pg_database d"
                 " WHERE r.rolname = current_user AND d.datname = pg_catalog.current_database()"));
  if (role.Bool(0, 0)) return absl::OkStatus();
  const std::string subject = "publication " + options_.publication;
  const std::string create = plan.CreateSql(options_.publication, fit.with_stored);
  const auto add = [&](std::string_view message, std::string_view remedy, std::string_view owner) {
    const Mend mend = fit.fits ? Mend{create + ";", owner} : Mend{};
    Add(Severity::kError, "publication_rights", subject, message, fit.fits ? remedy : kIdentitiesFirst, mend);
  };
  if (plan.needs_superuser()) {
    add(absl::StrCat("does not exist, and ", plan.all_tables() ? "FOR ALL TABLES" : "TABLES IN SCHEMA",
                     " is a superuser's to make"),
        absl::StrCat("as a superuser: ", create, plan.all_tables() ? "; or name the tables in publication_tables" : ""),
        kSuperuser);
    return absl::OkStatus();
  }
  if (!role.Bool(0, 2)) {
    add(absl::StrCat("does not exist, and role ", role.Text(0, 1), " may not create in database ", role.Text(0, 3)),
        absl::StrCat("GRANT CREATE ON DATABASE ", SqlIdentifier(role.Text(0, 3)), " TO ",
                     SqlIdentifier(role.Text(0, 1)), "; or as the tables' owner: ", create),
        kTablesOwner);
  }
  for (const TableName& table : plan.tables) {
    ASSIGN_OR_RETURN(const PgRows owned,
                     sql_.Query("SELECT pg_catalog.pg_has_role(c.relowner, 'USAGE') FROM pg_catalog.pg_class c"
                                " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
                                " WHERE n.nspname = $1 AND c.relname = $2",
                                {table.first, table.second}));
    if (owned.size() > 0 && owned.Bool(0, 0)) continue;
    add(absl::StrCat("does not exist, and role ", role.Text(0, 1), " does not own ", ShownName(table)),
        absl::StrCat("as the tables' owner: ", create), kTablesOwner);
    break;
  }
  return absl::OkStatus();
}

absl::Status SourceChecker::CheckPresentPublication() {
  TypeCatalog types(options_.resolve_types ? &sql_ : nullptr);
  ASSIGN_OR_RETURN(const std::vector<PublishedTable> tables, PublishedTables(sql_, options_.publication, types));
  ASSIGN_OR_RETURN(const PgRows rows,
                   sql_.Query("SELECT puballtables, pubinsert, pubupdate, pubdelete, pubtruncate, pubviaroot"
                              " FROM pg_catalog.pg_publication WHERE pubname = $1",
                              {options_.publication}));
  const std::string subject = "publication " + options_.publication;
  std::vector<std::string> missing;
  constexpr std::string_view kActions[] = {"insert", "update", "delete", "truncate"};
  for (int i = 0; i < 4; ++i) {
    if (!rows.Bool(0, i + 1)) missing.emplace_back(kActions[i]);
  }
  ASSIGN_OR_RETURN(const bool fits, CheckPublishedTables(sql_, options_, tables, copy_due_, &findings_));
  if (!missing.empty()) {
    const bool rows_identified = fits || (rows.Bool(0, 2) && rows.Bool(0, 3));
    const std::string publish = absl::StrCat("ALTER PUBLICATION ", SqlIdentifier(options_.publication),
                                             " SET (publish = 'insert, update, delete, truncate')");
    Add(Severity::kWarning, "publication", subject,
        absl::StrCat("does not publish ", absl::StrJoin(missing, ", "), ", so that these changes never arrive"),
        rows_identified ? publish : kIdentitiesFirst,
        rows_identified ? Mend{publish + ";", kPublicationOwner} : Mend{});
  }
  if (options_.sync_publication && options_.sync_publication_mode == PublicationMode::kSync && rows.Bool(0, 0)) {
    Add(Severity::kError, "publication", subject,
        "is FOR ALL TABLES, which sync_publication_mode=sync cannot make equal to a list",
        "set sync_publication_mode=add or sync_publication=false");
    return absl::OkStatus();
  }
  return CheckCoverage(tables);
}

// Named tables that are not published, and published ones that synchronising would take out.
absl::Status SourceChecker::CheckCoverage(const std::vector<PublishedTable>& tables) {
  const std::string subject = "publication " + options_.publication;
  const PublicationPlan plan = PublicationPlan::From(options_.publication_tables, options_.publication_schemas);
  if (tables.empty() && !options_.sync_publication) {
    Add(Severity::kWarning, "publication", subject, "has no tables, so that nothing arrives",
        absl::StrCat("ALTER PUBLICATION ", SqlIdentifier(options_.publication), " ADD TABLE ..."));
  }
  std::vector<TableName> published, absent;
  for (const PublishedTable& table : tables) published.emplace_back(table.relation.schema, table.relation.name);
  const auto has = [](const auto& list, const auto& item) {
    return std::find(list.begin(), list.end(), item) != list.end();
  };
  for (const TableName& table : plan.tables) {
    if (!has(published, table)) absent.push_back(table);
  }
  if (!absent.empty()) RETURN_IF_ERROR(CheckAbsentTables(absent));
  if (!options_.sync_publication || options_.sync_publication_mode != PublicationMode::kSync) return absl::OkStatus();
  std::vector<TableName> extra;
  for (const TableName& table : published) {
    if (!has(plan.tables, table) && !has(plan.schemas, table.first)) extra.push_back(table);
  }
  if (!extra.empty()) {
    Add(Severity::kWarning, "publication", subject,
        absl::StrCat("carries ", TableListSql(extra),
                     ", which sync_publication_mode=sync takes out; whoever else reads the ",
                     "publication loses them too"),
        "add them to publication_tables, or set sync_publication_mode=add");
  }
  return absl::OkStatus();
}

// Named tables that the publication does not carry: the flow adds them, or somebody is to.
absl::Status SourceChecker::CheckAbsentTables(const std::vector<TableName>& absent) {
  const std::string subject = "publication " + options_.publication;
  const bool by_flow = options_.sync_publication;
  const PublicationPlan plan{absent, {}};
  const absl::Status named = CheckPublicationPlan(sql_, plan);
  if (IsTransient(named)) return named;
  ASSIGN_OR_RETURN(const PlanFit fit, CheckTablesToPublish(sql_, options_, plan, by_flow, copy_due_, &findings_));
  if (by_flow) {
    if (!named.ok()) Add(Severity::kError, "publication", subject, named.message());
    return absl::OkStatus();
  }
  const std::string message = absl::StrCat("does not carry ", TableListSql(absent), " of publication_tables");
  if (!named.ok() || !fit.fits) {
    Add(Severity::kWarning, "publication", subject, message,
        named.ok() ? kIdentitiesFirst : std::string_view(named.message()));
    return absl::OkStatus();
  }
  const std::string add =
      absl::StrCat("ALTER PUBLICATION ", SqlIdentifier(options_.publication), " ADD TABLE ", TableListSql(absent), ";");
  Add(Severity::kWarning, "publication", subject, message, absl::StrCat(add, " or set sync_publication=true"),
      {add, "the owner of the publication and of the tables"});
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Finding>> CheckSource(PgConnection& sql, const SourceOptions& options) {
  std::vector<Finding> findings;
  if (sql.server_major() < 14) {
    findings.push_back({Severity::kError, "server",
                        absl::StrCat("PostgreSQL ", sql.server_major(), " is too old; 14 to 18 are read"),
                        "upgrade the server", "server_version"});
    return findings;
  }
  ASSIGN_OR_RETURN(const ServerInfo server, GetServerInfo(sql));
  SourceChecker checker(sql, options, server, &findings);
  checker.CheckServer();
  RETURN_IF_ERROR(checker.CheckRole());
  RETURN_IF_ERROR(checker.CheckSlot());
  RETURN_IF_ERROR(checker.CheckPublication());
  std::stable_sort(findings.begin(), findings.end(),
                   [](const Finding& a, const Finding& b) { return a.severity < b.severity; });
  return findings;
}

}  // namespace wallaby
