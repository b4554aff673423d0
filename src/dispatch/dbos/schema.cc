#include "dispatch/dbos/schema.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace wallaby {
namespace {

// "wallaby", "dbos" as two numbers of four bytes; servers that start together wait for each other.
constexpr char kLock[] = "SELECT pg_advisory_xact_lock(2002873452, 1684172659)";

// nullopt: nothing there. The catalog is asked as a table, because to_regclass() would answer from a cache that does
// not see what another process made while this one waited for the lock.
absl::StatusOr<std::optional<int64_t>> StoredVersion(PgConnection& sql) {
  ASSIGN_OR_RETURN(const PgRows tables,
                   sql.Query("SELECT coalesce(bool_or(tablename = 'dbos_migrations'), false), count(*) "
                             "FROM pg_catalog.pg_tables WHERE schemaname = 'dbos'"));
  if (tables.Int(0, 1) == 0) return std::nullopt;
  if (!tables.Bool(0, 0)) {
    return absl::FailedPreconditionError(
        "the schema dbos holds tables but no dbos_migrations: it is not a DBOS system database. Nothing was changed; "
        "rename that schema, or point WALLABY_POSTGRES_DSN at another database");
  }
  ASSIGN_OR_RETURN(const PgRows version, sql.Query("SELECT max(version) FROM dbos.dbos_migrations"));
  return version.Int(0, 0);
}

absl::Status CheckVersion(int64_t version) {
  if (version == kDbosSchemaVersion) return absl::OkStatus();
  const std::string found = absl::StrCat("the DBOS system database (schema dbos) is at migration ", version,
                                         ", and this program knows ", kDbosSchemaVersion, ". Nothing was changed; ");
  if (version > kDbosSchemaVersion) {
    return absl::FailedPreconditionError(absl::StrCat(
        found,
        "run a newer WALlaby, point WALLABY_POSTGRES_DSN at another database, or leave WALLABY_DBOS_ENABLED "
        "out"));
  }
  return absl::FailedPreconditionError(absl::StrCat(
      found,
      "other applications may use it, so it is theirs to migrate: run `dbos migrate -s <URL>` of an SDK with "
      "that migration (Python 3.4, Go 1.8), or point WALLABY_POSTGRES_DSN at another database"));
}

}  // namespace

absl::Status PrepareDbosSchema(PgConnection& sql) {
  // Looked at first without a transaction that could write.
  ASSIGN_OR_RETURN(std::optional<int64_t> version, StoredVersion(sql));
  if (version) return CheckVersion(*version);
  RETURN_IF_ERROR(sql.Execute("BEGIN"));
  const absl::Status made = [&]() -> absl::Status {
    RETURN_IF_ERROR(sql.Execute(kLock));
    ASSIGN_OR_RETURN(version, StoredVersion(sql));
    if (version) return CheckVersion(*version);
    return sql.Execute(std::string(DbosSchemaSql()));
  }();
  if (!made.ok()) {
    sql.Execute("ROLLBACK").IgnoreError();
    return Annotate(made, "the DBOS system database could not be prepared");
  }
  return sql.Execute("COMMIT");
}

}  // namespace wallaby
