// What a flow wants published, as SQL and as names to check. For publication.cc and source_checks.cc.
#ifndef WALLABY_POSTGRES_PUBLICATION_PLAN_H_
#define WALLABY_POSTGRES_PUBLICATION_PLAN_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "postgres/connection.h"

namespace wallaby {

using TableName = std::pair<std::string, std::string>;  // schema, table

struct PublicationPlan {
  std::vector<TableName> tables;
  std::vector<std::string> schemas;

  // "schema.table": the first dot divides; a bare name stands in public. Names are as the catalog has them.
  static PublicationPlan From(const std::vector<std::string>& tables, const std::vector<std::string>& schemas);

  bool all_tables() const { return tables.empty() && schemas.empty(); }
  // FOR ALL TABLES and TABLES IN SCHEMA are a superuser's.
  bool needs_superuser() const { return tables.empty() || !schemas.empty(); }
  // `stored`: with the generated columns that are stored (18+).
  std::string CreateSql(const std::string& publication, bool stored = false) const;
};

std::string TableListSql(const std::vector<TableName>& tables);
std::string SchemaListSql(const std::vector<std::string>& schemas);
std::string ShownName(const TableName& table);  // schema.table

// NOT_FOUND for tables and schemas that do not exist; INVALID_ARGUMENT for what cannot be published;
// FAILED_PRECONDITION for schemas before PostgreSQL 15.
absl::Status CheckPublicationPlan(PgConnection& sql, const PublicationPlan& plan);

}  // namespace wallaby

#endif  // WALLABY_POSTGRES_PUBLICATION_PLAN_H_
