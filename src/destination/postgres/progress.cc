#include "destination/postgres/progress.h"

#include "absl/strings/str_cat.h"
#include "base/sql_text.h"
#include "base/stable_hash.h"
#include "base/status.h"
#include "destination/postgres/destination_table.h"

namespace wallaby {
namespace {

constexpr char kPartsTable[] = "snapshot_parts";
constexpr char kChangesTable[] = "schema_changes";

// As advisory locks take it.
int32_t LockNumber(std::string_view text) {
  return static_cast<int32_t>(StableHash32(text));
}

}  // namespace

ProgressTables::ProgressTables(const DestinationConfig& config, const TableOptions& options)
    : generation_(config.generation),
      flow_(SqlLiteral(config.flow_id)),
      destination_(SqlLiteral(config.name)),
      shown_(absl::StrCat("destination '", config.name, "' of flow '", config.flow_id, "'")),
      schema_(options.meta_schema),
      table_name_(options.meta_table),
      table_(QualifiedSql(options.meta_schema, options.meta_table)),
      parts_(QualifiedSql(options.meta_schema, kPartsTable)),
      changes_(QualifiedSql(options.meta_schema, kChangesTable)),
      lock_(LockNumber(absl::StrCat(config.flow_id, "\n", config.name))) {}

absl::Status ProgressTables::Ensure(Session& session) const {
  // Looks first: CREATE ... IF NOT EXISTS asks for the right to create even where all is there.
  ASSIGN_OR_RETURN(const PgRows found,
                   session.Select("SELECT n.oid IS NOT NULL, to_regclass($2) IS NOT NULL, to_regclass($3) IS NOT NULL "
                                  "FROM (SELECT) one LEFT JOIN pg_namespace n ON n.nspname = $1",
                                  {schema_, table_, parts_}));
  if (found.Bool(0, 1) && found.Bool(0, 2)) return absl::OkStatus();
  std::string sql = absl::StrCat("BEGIN; SELECT pg_advisory_xact_lock(", LockNumber(schema_), ", 0);");
  if (!found.Bool(0, 0)) absl::StrAppend(&sql, "CREATE SCHEMA IF NOT EXISTS ", SqlIdentifier(schema_), ";");
  absl::StrAppend(&sql, "CREATE TABLE IF NOT EXISTS ", table_,
                  "(flow_id text NOT NULL, destination text NOT NULL, generation bigint NOT NULL, "
                  "commit_lsn pg_lsn NOT NULL DEFAULT '0/0', end_lsn pg_lsn NOT NULL DEFAULT '0/0', "
                  "updated_at timestamp with time zone NOT NULL DEFAULT now(), PRIMARY KEY (flow_id, destination));");
  absl::StrAppend(&sql, "CREATE TABLE IF NOT EXISTS ", parts_,
                  "(flow_id text NOT NULL, destination text NOT NULL, part text NOT NULL, "
                  "finished_at timestamp with time zone NOT NULL DEFAULT now(), "
                  "PRIMARY KEY (flow_id, destination, part)); COMMIT");
  return session.Query(sql, absl::StrCat(schema_, ".", table_name_)).status();
}

absl::StatusOr<Progress> ProgressTables::TakeOver(Session& session) const {
  // Waits for a commit of the older worker that is under way, and then sees what it stored.
  ASSIGN_OR_RETURN(
      const PgRows rows,
      session.Query(absl::StrCat("INSERT INTO ", table_, " AS p (flow_id, destination, generation) VALUES (", flow_,
                                 ", ", destination_, ", ", generation_,
                                 ") ON CONFLICT (flow_id, destination) DO UPDATE SET generation = EXCLUDED.generation "
                                 "WHERE p.generation <= EXCLUDED.generation RETURNING commit_lsn, end_lsn"),
                    absl::StrCat(schema_, ".", table_name_)));
  if (rows.size() == 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("fenced: a worker of a newer generation than ", generation_, " has taken over ", shown_));
  }
  Progress progress;
  ASSIGN_OR_RETURN(progress.commit, Lsn::Parse(rows.Text(0, 0)));
  ASSIGN_OR_RETURN(progress.end, Lsn::Parse(rows.Text(0, 1)));
  ASSIGN_OR_RETURN(const PgRows parts, session.Query(absl::StrCat("SELECT part FROM ", parts_, " WHERE flow_id = ",
                                                                  flow_, " AND destination = ", destination_)));
  for (int i = 0; i < parts.size(); ++i) progress.snapshot_parts.emplace(parts.Text(i, 0));
  // Each session of a worker holds a shared lock that names its generation. Those before us can commit no more. One
  // that waits for its client for long has lost it; one of our own generation is our own lost connection.
  const auto low = static_cast<int32_t>(generation_);
  RETURN_IF_ERROR(
      session
          .Query(absl::StrCat(
              "SELECT pg_terminate_backend(a.pid) FROM pg_locks l JOIN pg_stat_activity a USING (pid) "
              "WHERE l.locktype = 'advisory' AND l.objsubid = 2 AND l.classid = (",
              lock_,
              ")::integer::bit(32)::bigint::oid "
              "AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
              "AND a.usename = current_user AND a.pid <> pg_backend_pid() "
              "AND (a.state LIKE 'idle in transaction%' OR a.wait_event = 'ClientRead' AND a.state = 'active') "
              "AND (l.objid = ",
              low, " OR l.objid < ", low,
              " AND a.state_change < now() - interval '30 seconds'); "
              "SELECT pg_advisory_lock_shared(",
              lock_, ", ", low, ")"))
          .status());
  return progress;
}

std::string ProgressTables::FenceSql(std::string_view set) const {
  return absl::StrCat("WITH moved AS (UPDATE ", table_, " SET ", set, "updated_at = now() WHERE flow_id = ", flow_,
                      " AND destination = ", destination_, " AND generation = ", generation_, " RETURNING 1) SELECT ",
                      Session::Check("count(*) = 1", Session::kFenced, shown_), " FROM moved");
}

std::string ProgressTables::CommitSql(const CommitPoint& point) const {
  std::string set;
  if (point.commit.valid()) {
    set = absl::StrCat("commit_lsn = ", SqlLiteral(point.commit.ToString()),
                       ", end_lsn = ", SqlLiteral(point.end.ToString()), ", ");
  }
  std::string sql = FenceSql(set);
  for (const std::string& part : point.finished_parts) {
    absl::StrAppend(&sql, "; INSERT INTO ", parts_, " (flow_id, destination, part) VALUES (", flow_, ", ", destination_,
                    ", ", SqlLiteral(part), ") ON CONFLICT DO NOTHING");
  }
  return sql;
}

std::string ProgressTables::ForgetPartsSql(std::string_view part_prefix) const {
  return absl::StrCat(FenceSql(""), "; DELETE FROM ", parts_, " WHERE flow_id = ", flow_,
                      " AND destination = ", destination_, " AND starts_with(part, ", SqlLiteral(part_prefix), ")");
}

std::string ProgressTables::ForgetPartSql(std::string_view part) const {
  return absl::StrCat(FenceSql(""), "; DELETE FROM ", parts_, " WHERE flow_id = ", flow_,
                      " AND destination = ", destination_, " AND part = ", SqlLiteral(part));
}

absl::StatusOr<bool> ProgressTables::IsRecorded(Session& session, const std::string& table,
                                                const std::string& change) const {
  ASSIGN_OR_RETURN(const PgRows made, session.Select("SELECT to_regclass($1) IS NOT NULL", {changes_}));
  if (!made.Bool(0, 0)) return false;
  ASSIGN_OR_RETURN(const PgRows rows,
                   session.Query(absl::StrCat("SELECT FROM ", changes_, " c JOIN ", table_,
                                              " p USING (flow_id, destination, commit_lsn) WHERE flow_id = ", flow_,
                                              " AND destination = ", destination_, " AND table_name = ",
                                              SqlLiteral(table), " AND change = ", SqlLiteral(change)),
                                 table));
  return rows.size() > 0;
}

absl::Status ProgressTables::RecordChange(Session& session, const std::string& table, const std::string& change) const {
  ASSIGN_OR_RETURN(const PgRows made, session.Select("SELECT to_regclass($1) IS NOT NULL", {changes_}));
  if (!made.Bool(0, 0)) {
    RETURN_IF_ERROR(session.Add(
        absl::StrCat(
            "CREATE TABLE ", changes_,
            " (flow_id text NOT NULL, destination text NOT NULL, table_name text NOT NULL, "
            "change text NOT NULL, commit_lsn pg_lsn NOT NULL, PRIMARY KEY (flow_id, destination, table_name))"),
        changes_));
  }
  return session.Add(
      absl::StrCat("INSERT INTO ", changes_, " SELECT flow_id, destination, ", SqlLiteral(table), ", ",
                   SqlLiteral(change), ", commit_lsn FROM ", table_, " WHERE flow_id = ", flow_,
                   " AND destination = ", destination_,
                   " ON CONFLICT (flow_id, destination, table_name) DO UPDATE SET change = EXCLUDED.change, "
                   "commit_lsn = EXCLUDED.commit_lsn"),
      changes_);
}

}  // namespace wallaby
