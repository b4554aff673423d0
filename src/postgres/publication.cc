#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/sql_text.h"
#include "base/status.h"
#include "postgres/catalog.h"
#include "postgres/publication_plan.h"

namespace wallaby {
namespace {

// What a publication names now.
struct Current {
  bool exists = false;
  bool all_tables = false;
  std::set<TableName> tables;
  std::set<std::string> schemas;
};

absl::StatusOr<Current> ReadPublication(PgConnection& sql, const std::string& name) {
  Current current;
  ASSIGN_OR_RETURN(const PgRows found,
                   sql.Query("SELECT puballtables FROM pg_catalog.pg_publication WHERE pubname = $1", {name}));
  if (found.size() == 0) return current;
  current.exists = true;
  current.all_tables = found.Bool(0, 0);
  ASSIGN_OR_RETURN(const PgRows tables,
                   sql.Query("SELECT n.nspname, c.relname FROM pg_catalog.pg_publication p"
                             " JOIN pg_catalog.pg_publication_rel r ON r.prpubid = p.oid"
                             " JOIN pg_catalog.pg_class c ON c.oid = r.prrelid"
                             " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE p.pubname = $1",
                             {name}));
  for (int i = 0; i < tables.size(); ++i) current.tables.emplace(tables.Text(i, 0), tables.Text(i, 1));
  if (sql.server_major() < 15) return current;
  ASSIGN_OR_RETURN(const PgRows schemas,
                   sql.Query("SELECT n.nspname FROM pg_catalog.pg_publication p"
                             " JOIN pg_catalog.pg_publication_namespace s ON s.pnpubid = p.oid"
                             " JOIN pg_catalog.pg_namespace n ON n.oid = s.pnnspid WHERE p.pubname = $1",
                             {name}));
  for (int i = 0; i < schemas.size(); ++i) current.schemas.emplace(schemas.Text(i, 0));
  return current;
}

// Runs the statement, or tells who should run it.
absl::Status Change(PgConnection& sql, const std::string& name, const std::string& statement, bool needs_superuser) {
  const absl::Status status = sql.Execute(statement);
  if (!absl::IsPermissionDenied(status)) return status;
  return absl::PermissionDeniedError(absl::StrCat(
      status.message(), "; publication ", name, ": let ",
      needs_superuser ? "a superuser"
                      : "a role that owns the tables and the publication, and may create in the database,",
      " run: ", statement,
      needs_superuser ? "; or name the tables in publication_tables and let the flow's role own them" : ""));
}

absl::StatusOr<PublicationChange> Create(PgConnection& sql, const std::string& name, const PublicationPlan& wanted) {
  RETURN_IF_ERROR(Change(sql, name, wanted.CreateSql(name), wanted.needs_superuser()));
  PublicationChange change;
  change.created = true;
  for (const TableName& table : wanted.tables) change.added.push_back(ShownName(table));
  for (const std::string& schema : wanted.schemas) change.added.push_back(schema + ".*");
  if (change.added.empty()) change.added.push_back("*");
  return change;
}

// What is to be added and dropped. SET is not used: it would lose column lists and row filters.
absl::StatusOr<PublicationChange> Alter(PgConnection& sql, const std::string& name, const PublicationPlan& wanted,
                                        const Current& current, PublicationMode mode) {
  PublicationPlan add, drop;
  for (const TableName& table : wanted.tables) {
    if (!current.tables.contains(table) && !current.schemas.contains(table.first)) add.tables.push_back(table);
  }
  for (const std::string& schema : wanted.schemas) {
    if (!current.schemas.contains(schema)) add.schemas.push_back(schema);
  }
  if (mode == PublicationMode::kSync) {
    for (const TableName& table : current.tables) {
      const bool keep = std::count(wanted.tables.begin(), wanted.tables.end(), table) > 0 ||
                        std::count(wanted.schemas.begin(), wanted.schemas.end(), table.first) > 0;
      if (!keep) drop.tables.push_back(table);
    }
    for (const std::string& schema : current.schemas) {
      if (std::count(wanted.schemas.begin(), wanted.schemas.end(), schema) > 0) continue;
      drop.schemas.push_back(schema);
      // A wanted table that was published through its schema only.
      for (const TableName& table : wanted.tables) {
        if (table.first == schema && !current.tables.contains(table)) add.tables.push_back(table);
      }
    }
  }
  PublicationChange change;
  std::vector<std::string> statements;
  const auto alter = [&](const PublicationPlan& what, std::string_view verb, std::vector<std::string>* told) {
    const std::string head = absl::StrCat("ALTER PUBLICATION ", SqlIdentifier(name), " ", verb, " ");
    if (!what.tables.empty()) statements.push_back(absl::StrCat(head, "TABLE ", TableListSql(what.tables)));
    if (!what.schemas.empty())
      statements.push_back(absl::StrCat(head, "TABLES IN SCHEMA ", SchemaListSql(what.schemas)));
    for (const TableName& table : what.tables) told->push_back(ShownName(table));
    for (const std::string& schema : what.schemas) told->push_back(schema + ".*");
  };
  alter(drop, "DROP", &change.removed);
  alter(add, "ADD", &change.added);
  if (statements.empty()) return change;
  // One message, so one transaction.
  RETURN_IF_ERROR(Change(sql, name, absl::StrJoin(statements, "; "), !add.schemas.empty()));
  return change;
}

}  // namespace

absl::StatusOr<bool> PublicationExists(PgConnection& sql, const std::string& name) {
  ASSIGN_OR_RETURN(const PgRows rows, sql.Query("SELECT FROM pg_catalog.pg_publication WHERE pubname = $1", {name}));
  return rows.size() > 0;
}

absl::StatusOr<PublicationChange> EnsurePublication(PgConnection& sql, const std::string& name,
                                                    const std::vector<std::string>& tables,
                                                    const std::vector<std::string>& schemas, bool sync,
                                                    PublicationMode mode) {
  ASSIGN_OR_RETURN(Current current, ReadPublication(sql, name));
  if (current.exists && !sync) return PublicationChange{};
  const PublicationPlan wanted = PublicationPlan::From(tables, schemas);
  RETURN_IF_ERROR(CheckPublicationPlan(sql, wanted));
  if (!current.exists) {
    auto created = Create(sql, name, wanted);
    if (!absl::IsAlreadyExists(created.status())) return created;
    // Somebody else made it at the same moment.
    if (!sync) return PublicationChange{};
    ASSIGN_OR_RETURN(current, ReadPublication(sql, name));
  }
  if (wanted.all_tables()) {
    return absl::InvalidArgumentError(
        absl::StrCat("publication ", name,
                     " cannot be synchronised: neither publication_tables nor publication_schemas names a table"));
  }
  if (current.all_tables) {
    if (mode == PublicationMode::kAdd) return PublicationChange{};
    return absl::FailedPreconditionError(
        absl::StrCat("publication ", name,
                     " is FOR ALL TABLES, which cannot be made equal to a list; use sync_publication_mode=add, ",
                     "or drop it (DROP PUBLICATION ", SqlIdentifier(name), ") so that the flow makes it anew"));
  }
  return Alter(sql, name, wanted, current, mode);
}

}  // namespace wallaby
