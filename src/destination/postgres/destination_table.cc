#include "destination/postgres/destination_table.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/sql_text.h"
#include "base/status.h"
#include "destination/options.h"

namespace wallaby {
namespace {

constexpr char kTableSql[] = R"(
  SELECT c.oid, c.relkind IN ('r', 'p'), row_security_active(c.oid), pg_has_role(c.relowner, 'USAGE'),
         has_table_privilege(c.oid, 'TRUNCATE')
           AND NOT EXISTS (SELECT FROM pg_constraint f
                           WHERE f.contype = 'f' AND f.confrelid = c.oid AND f.conrelid <> c.oid),
         (SELECT coalesce(string_agg(p, ', '), '') FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) p
          WHERE NOT has_table_privilege(c.oid, p))
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind NOT IN ('i', 'I', 'S', 'c', 't'))";

constexpr char kColumnsSql[] = R"(
  SELECT a.attname, b.oid, format_type(b.oid, CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END),
         a.attgenerated <> '', a.attidentity = 'a', a.attnotnull
  FROM pg_attribute a
  JOIN pg_type t ON t.oid = a.atttypid
  JOIN pg_type b ON b.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END
  WHERE a.attrelid = $1::oid AND a.attnum > 0 AND NOT a.attisdropped
  ORDER BY a.attnum)";

constexpr char kIndexesSql[] = R"(
  SELECT i.indexrelid::regclass::text, coalesce(a.attname, ''),
         i.indisvalid AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL,
         i.indexrelid, i.indisprimary, coalesce(quote_ident(o.conname), '')
  FROM pg_index i
  CROSS JOIN LATERAL unnest((i.indkey::int2[])[0:i.indnkeyatts - 1]) k
  LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k
  LEFT JOIN pg_constraint o ON o.conindid = i.indexrelid AND o.conrelid = i.indrelid AND o.contype IN ('p', 'u')
  WHERE i.indrelid = $1::oid AND i.indisunique
  ORDER BY i.indexrelid)";

absl::Status LoadIndexes(Session& session, const std::string& oid, DestinationTable* table) {
  ASSIGN_OR_RETURN(const PgRows rows, session.Select(kIndexesSql, {oid}));
  for (int i = 0; i < rows.size(); ++i) {
    const std::string name(rows.Text(i, 0));
    if (table->unique_indexes.empty() || table->unique_indexes.back().name != name) {
      table->unique_indexes.push_back({name,
                                       {},
                                       rows.Bool(i, 2),
                                       static_cast<uint32_t>(rows.Int(i, 3)),
                                       rows.Bool(i, 4),
                                       std::string(rows.Text(i, 5))});
    }
    table->unique_indexes.back().columns.emplace_back(rows.Text(i, 1));
  }
  return absl::OkStatus();
}

}  // namespace

const DestinationColumn* DestinationTable::Find(std::string_view name) const {
  auto it = std::find_if(columns.begin(), columns.end(), [name](const DestinationColumn& c) { return c.name == name; });
  return it == columns.end() ? nullptr : &*it;
}

bool DestinationTable::HasUniqueIndexOn(const std::vector<std::string>& names) const {
  return std::any_of(unique_indexes.begin(), unique_indexes.end(), [&names](const UniqueIndex& index) {
    return index.plain && index.columns.size() == names.size() &&
           std::is_permutation(index.columns.begin(), index.columns.end(), names.begin());
  });
}

std::string QualifiedSql(std::string_view schema, std::string_view name) {
  return absl::StrCat(SqlIdentifier(schema), ".", SqlIdentifier(name));
}

absl::StatusOr<std::optional<DestinationTable>> LoadTable(Session& session, const std::string& schema,
                                                          const std::string& name) {
  ASSIGN_OR_RETURN(const PgRows found, session.Select(kTableSql, {schema, name}));
  if (found.size() == 0) return std::nullopt;
  const std::string oid(found.Text(0, 0));
  DestinationTable table;
  table.oid = static_cast<uint32_t>(found.Int(0, 0));
  table.is_table = found.Bool(0, 1);
  table.row_security = found.Bool(0, 2);
  table.owned = found.Bool(0, 3);
  table.can_truncate = found.Bool(0, 4);
  table.missing_rights = std::string(found.Text(0, 5));
  ASSIGN_OR_RETURN(const PgRows columns, session.Select(kColumnsSql, {oid}));
  for (int i = 0; i < columns.size(); ++i) {
    table.columns.push_back({std::string(columns.Text(i, 0)), static_cast<uint32_t>(columns.Int(i, 1)),
                             std::string(columns.Text(i, 2)), columns.Bool(i, 3), columns.Bool(i, 4),
                             columns.Bool(i, 5)});
  }
  RETURN_IF_ERROR(LoadIndexes(session, oid, &table));
  return table;
}

}  // namespace wallaby
