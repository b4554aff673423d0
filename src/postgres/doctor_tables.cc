#include "postgres/doctor_tables.h"

#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/sql_text.h"
#include "base/status.h"

namespace wallaby {
namespace {

using Severity = Finding::Severity;

// By table: "column (type)" for each that does not keep its type.
using TextColumns = std::map<std::string, std::vector<std::string>>;

void Judge(const std::string& table, const std::string& column, const PgType& type, bool only_postgres,
           TextColumns* columns) {
  const TypeKept kept = WhereKept(type);
  if (kept == TypeKept::kEverywhere || (kept == TypeKept::kPostgresOnly && only_postgres)) return;
  (*columns)[table].push_back(absl::StrCat(column, " (", type.source_name, ")"));
}

// One finding for all tables with the same columns would hide names; one for each table is short enough.
void Report(const TextColumns& columns, bool only_postgres, std::vector<Finding>* findings) {
  for (const auto& [table, names] : columns) {
    findings->push_back({Severity::kWarning, "table " + table,
                         absl::StrCat(names.size() == 1 ? "a column is" : "columns are", " carried as text",
                                      only_postgres ? "" : " at some destinations",
                                      ", with every value whole: ", absl::StrJoin(names, ", ")),
                         "", "types"});
  }
}

}  // namespace

absl::Status CheckTypes(PgConnection& sql, const std::string& publication, bool only_postgres,
                        std::vector<Finding>* findings) {
  TypeCatalog types(&sql);
  ASSIGN_OR_RETURN(const std::vector<PublishedTable> tables, PublishedTables(sql, publication, types));
  TextColumns columns;
  for (const PublishedTable& table : tables) {
    for (const Column& column : table.relation.columns) {
      Judge(table.relation.QualifiedName(), column.name, column.type, only_postgres, &columns);
    }
  }
  Report(columns, only_postgres, findings);
  return absl::OkStatus();
}

absl::Status CheckTypesToPublish(PgConnection& sql, const std::string& oids, bool only_postgres,
                                 std::vector<Finding>* findings) {
  TypeCatalog types(&sql);
  ASSIGN_OR_RETURN(const PgRows rows,
                   sql.Query("SELECT n.nspname || '.' || c.relname, a.attname, a.atttypid, a.atttypmod"
                             " FROM pg_catalog.unnest($1::oid[]) AS named(oid)"
                             " JOIN pg_catalog.pg_class c ON c.oid = named.oid"
                             " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
                             " JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid"
                             " WHERE a.attnum > 0 AND NOT a.attisdropped ORDER BY 1, a.attnum",
                             {oids}));
  TextColumns columns;
  for (int i = 0; i < rows.size(); ++i) {
    ASSIGN_OR_RETURN(const PgType type,
                     types.Resolve(static_cast<uint32_t>(rows.Int(i, 2)), static_cast<int32_t>(rows.Int(i, 3))));
    Judge(std::string(rows.Text(i, 0)), std::string(rows.Text(i, 1)), type, only_postgres, &columns);
  }
  Report(columns, only_postgres, findings);
  return absl::OkStatus();
}

absl::Status CheckPartitions(PgConnection& sql, const std::string& publication, std::vector<Finding>* findings) {
  ASSIGN_OR_RETURN(const PgRows rows,
                   sql.Query("SELECT count(*) FROM pg_catalog.pg_publication b JOIN pg_catalog.pg_publication_tables p"
                             " ON p.pubname = b.pubname JOIN pg_catalog.pg_namespace n ON n.nspname = p.schemaname"
                             " JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = p.tablename"
                             " WHERE b.pubname = $1 AND NOT b.pubviaroot AND c.relispartition",
                             {publication}));
  if (rows.Int(0, 0) == 0) return absl::OkStatus();
  findings->push_back(
      {Severity::kWarning, "publication " + publication,
       absl::StrCat("has publish_via_partition_root off, so that each of ", rows.Int(0, 0),
                    " partitions arrives as a table of its own"),
       "", "partitions",
       absl::StrCat("ALTER PUBLICATION ", SqlIdentifier(publication), " SET (publish_via_partition_root = true);"),
       "the publication's owner"});
  return absl::OkStatus();
}

absl::Status CheckMayPublish(PgConnection& sql, std::vector<Finding>* findings) {
  ASSIGN_OR_RETURN(const PgRows rows, sql.Query("SELECT current_user, datname,"
                                                " pg_catalog.has_database_privilege(oid, 'CREATE')"
                                                " FROM pg_catalog.pg_database WHERE datname = current_database()"));
  if (rows.Bool(0, 2)) return absl::OkStatus();
  findings->push_back({Severity::kWarning, absl::StrCat("database ", rows.Text(0, 1)),
                       absl::StrCat("role ", rows.Text(0, 0),
                                    " may not create in it: a flow of this role needs a "
                                    "publication that the tables' owner has made"),
                       "", "publication_rights",
                       absl::StrCat("GRANT CREATE ON DATABASE ", SqlIdentifier(rows.Text(0, 1)), " TO ",
                                    SqlIdentifier(rows.Text(0, 0)), ";"),
                       "the database's owner; not needed where somebody else makes the publication"});
  return absl::OkStatus();
}

}  // namespace wallaby
