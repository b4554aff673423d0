#include "postgres/linked_tables.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status.h"

namespace wallaby {

absl::StatusOr<std::vector<Relation>> LinkedTables(PgConnection& sql, const std::vector<uint32_t>& oids) {
  std::vector<Relation> tables;
  if (oids.empty()) return tables;
  ASSIGN_OR_RETURN(
      const PgRows rows,
      sql.Query(absl::StrCat(
          "WITH RECURSIVE linked AS (SELECT unnest(ARRAY[", absl::StrJoin(oids, ","),
          "]::oid[]) AS oid UNION SELECT CASE WHEN k.conrelid = l.oid THEN k.confrelid ELSE k.conrelid END FROM linked "
          "l JOIN pg_catalog.pg_constraint k ON k.contype = 'f' AND l.oid IN (k.conrelid, k.confrelid)) SELECT "
          "c.oid::text, n.nspname, c.relname FROM linked JOIN pg_catalog.pg_class c USING (oid) JOIN "
          "pg_catalog.pg_namespace n ON n.oid = c.relnamespace ORDER BY n.nspname, c.relname")));
  for (int row = 0; row < rows.size(); ++row) {
    Relation& table = tables.emplace_back();
    if (!absl::SimpleAtoi(rows.Text(row, 0), &table.oid)) return absl::DataLossError("the catalog has a strange oid");
    table.schema = rows.Text(row, 1);
    table.name = rows.Text(row, 2);
  }
  return tables;
}

}  // namespace wallaby
