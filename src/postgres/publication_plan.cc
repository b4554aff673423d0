#include "postgres/publication_plan.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/sql_text.h"
#include "base/status.h"

namespace wallaby {
namespace {

absl::Status CheckTables(PgConnection& sql, const std::vector<TableName>& tables) {
  std::vector<std::string> missing;
  for (const TableName& table : tables) {
    ASSIGN_OR_RETURN(const PgRows rows, sql.Query("SELECT c.relkind, c.relpersistence FROM pg_catalog.pg_class c JOIN"
                                                  " pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
                                                  " WHERE n.nspname = $1 AND c.relname = $2",
                                                  {table.first, table.second}));
    if (rows.size() == 0) {
      missing.push_back(ShownName(table));
      continue;
    }
    const std::string_view kind = rows.Text(0, 0);
    if (kind != "r" && kind != "p") {
      return absl::InvalidArgumentError(
          absl::StrCat(ShownName(table), " is not a table but a ",
                       kind == "v"   ? "view"
                       : kind == "m" ? "materialized view"
                       : kind == "f" ? "foreign table"
                                     : "relation of another kind",
                       ", which logical replication cannot carry; take it out of publication_tables"));
    }
    if (rows.Text(0, 1) != "p") {
      return absl::InvalidArgumentError(absl::StrCat(
          ShownName(table), " is ", rows.Text(0, 1) == "u" ? "unlogged" : "temporary",
          ", so that its changes are not in the WAL; take it out of publication_tables, or run ALTER TABLE ",
          SqlTable(table.first, table.second), " SET LOGGED"));
    }
  }
  if (missing.empty()) return absl::OkStatus();
  return absl::NotFoundError(absl::StrCat("publication_tables names what does not exist in this database: ",
                                          absl::StrJoin(missing, ", "), " (names are taken as they are written)"));
}

absl::Status CheckSchemas(PgConnection& sql, const std::vector<std::string>& schemas) {
  if (!schemas.empty() && sql.server_major() < 15) {
    return absl::FailedPreconditionError(absl::StrCat("publication_schemas needs PostgreSQL 15, this is ",
                                                      sql.server_major(), "; name the tables in publication_tables"));
  }
  for (const std::string& schema : schemas) {
    ASSIGN_OR_RETURN(const PgRows rows, sql.Query("SELECT FROM pg_catalog.pg_namespace WHERE nspname = $1", {schema}));
    if (rows.size() == 0) {
      return absl::NotFoundError(absl::StrCat("publication_schemas names ", schema, ", which does not exist"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

PublicationPlan PublicationPlan::From(const std::vector<std::string>& tables, const std::vector<std::string>& schemas) {
  PublicationPlan plan{{}, schemas};
  for (const std::string& name : tables) {
    const size_t dot = name.find('.');
    if (dot == std::string::npos) {
      plan.tables.emplace_back("public", name);
    } else {
      plan.tables.emplace_back(name.substr(0, dot), name.substr(dot + 1));
    }
  }
  return plan;
}

std::string PublicationPlan::CreateSql(const std::string& publication, bool stored) const {
  std::vector<std::string> what;
  if (!tables.empty()) what.push_back("TABLE " + TableListSql(tables));
  if (!schemas.empty()) what.push_back("TABLES IN SCHEMA " + SchemaListSql(schemas));
  if (what.empty()) what.push_back("ALL TABLES");
  return absl::StrCat("CREATE PUBLICATION ", SqlIdentifier(publication), " FOR ", absl::StrJoin(what, ", "),
                      " WITH (publish_via_partition_root = true",
                      stored ? ", publish_generated_columns = stored)" : ")");
}

std::string TableListSql(const std::vector<TableName>& tables) {
  return absl::StrJoin(tables, ", ",
                       [](std::string* out, const TableName& t) { absl::StrAppend(out, SqlTable(t.first, t.second)); });
}

std::string SchemaListSql(const std::vector<std::string>& schemas) {
  return absl::StrJoin(schemas, ", ",
                       [](std::string* out, const std::string& s) { absl::StrAppend(out, SqlIdentifier(s)); });
}

std::string ShownName(const TableName& table) {
  return absl::StrCat(table.first, ".", table.second);
}

absl::Status CheckPublicationPlan(PgConnection& sql, const PublicationPlan& plan) {
  RETURN_IF_ERROR(CheckTables(sql, plan.tables));
  return CheckSchemas(sql, plan.schemas);
}

}  // namespace wallaby
