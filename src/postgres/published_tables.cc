#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "base/sql_text.h"
#include "base/status.h"
#include "postgres/catalog.h"
#include "postgres/ddl_capture_sql.h"
#include "postgres/publication_plan.h"
#include "postgres/table_checks.h"

namespace wallaby {
namespace {

// One row for each column of each table, tables in order of name. pg_publication_tables knows of partition roots,
// schemas and FOR ALL TABLES; from 15 on it names the published columns, generated ones included where 18 sends them.
// `published` is what stands for that view.
std::string ColumnsQuery(int major, std::string_view published) {
  const bool lists = major >= 15;
  return absl::StrCat(
      "SELECT c.oid, n.nspname, c.relname, c.relreplident, c.relkind = 'p', ",
      lists ? "coalesce(p.rowfilter, '')" : "''",
      ", size.rows, size.pages, pk.indexrelid IS NOT NULL, a.attname, a.atttypid, a.atttypmod, a.attgenerated <> '', "
      "a.attgenerated = 's', ",
      lists ? "a.attname = ANY (p.attnames)" : "true",
      // Before 18 the view names generated columns, but they are never sent.
      major >= 18 ? "" : " AND a.attgenerated = ''",
      ", coalesce(a.attnum = ANY ((pk.indkey::int2[])[0:pk.indnkeyatts - 1]), false)"
      ", coalesce(a.attnum = ANY ((ri.indkey::int2[])[0:ri.indnkeyatts - 1]), false)"
      ", coalesce(pk.indnkeyatts, 0), coalesce(ri.indnkeyatts, 0), a.attnum, ",
      kColumnDetailSql, " FROM ", published,
      " p"
      " JOIN pg_catalog.pg_namespace n ON n.nspname = p.schemaname"
      " JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = p.tablename"
      // As a table grows since its last ANALYZE, so do its rows. Never analysed: 60 rows a page.
      " CROSS JOIN LATERAL (SELECT"
      "   coalesce(sum(pages * CASE WHEN l.relpages > 0 AND l.reltuples >= 0 THEN l.reltuples / l.relpages ELSE 60 "
      "END),"
      "            0)::bigint AS rows,"
      "   coalesce(sum(pages), 0)::bigint AS pages"
      "   FROM (SELECT c.oid AS relid WHERE c.relkind <> 'p' UNION ALL"
      "         SELECT t.relid FROM pg_catalog.pg_partition_tree(c.oid) t WHERE c.relkind = 'p' AND t.isleaf) leaf"
      "   JOIN pg_catalog.pg_class l ON l.oid = leaf.relid"
      "   CROSS JOIN LATERAL (SELECT coalesce(pg_catalog.pg_relation_size(l.oid), 0)"
      "     / pg_catalog.current_setting('block_size')::bigint AS pages) s) size"
      // A deferrable primary key is no replica identity.
      " LEFT JOIN pg_catalog.pg_index pk ON pk.indrelid = c.oid AND pk.indisprimary AND pk.indimmediate AND "
      "pk.indisvalid"
      " LEFT JOIN pg_catalog.pg_index ri ON ri.indrelid = c.oid AND ri.indisreplident"
      // LEFT: a table may have no columns.
      " LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"
      " LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum"
      " ORDER BY n.nspname, c.relname, a.attnum");
}

constexpr char kPublishedTables[] = "(SELECT * FROM pg_catalog.pg_publication_tables WHERE pubname = $1)";
// A publication that a flow makes has no row filters and column lists, and shows partitions as their root.
constexpr char kTablesToPublish[] =
    "(SELECT n.nspname AS schemaname, c.relname AS tablename, NULL::text AS rowfilter,"
    " (SELECT pg_catalog.array_agg(attname) FROM pg_catalog.pg_attribute"
    "  WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped AND attgenerated = '') AS attnames"
    " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
    " WHERE c.oid = ANY ($1::oid[]) AND NOT EXISTS (SELECT FROM pg_catalog.pg_partition_ancestors(c.oid) a"
    "  WHERE a.relid <> c.oid AND a.relid = ANY ($1::oid[])))";

enum Field {
  kOid,
  kSchema,
  kName,
  kIdentity,
  kIsRoot,
  kFilter,
  kRows,
  kPages,
  kHasKey,
  kColumn,
  kType,
  kTypmod,
  kGenerated,
  kStored,
  kPublished,
  kInPrimaryKey,
  kInIdentityIndex,
  kPrimaryKeySize,
  kIdentityIndexSize,
  kAttnum,
  kNotNull,
  kDefault,
  kFill,
  kRewritten
};

PublishedTable NewTable(const PgRows& rows, int i, bool updates) {
  PublishedTable table;
  table.relation.oid = static_cast<uint32_t>(rows.Int(i, kOid));
  table.relation.schema = rows.Text(i, kSchema);
  table.relation.name = rows.Text(i, kName);
  table.relation.identity = static_cast<ReplicaIdentity>(rows.Text(i, kIdentity)[0]);
  table.partitioned_root = rows.Bool(i, kIsRoot);
  table.row_filter = rows.Text(i, kFilter);
  table.estimated_rows = rows.Int(i, kRows);
  table.pages = rows.Int(i, kPages);
  table.has_primary_key = rows.Bool(i, kHasKey);
  table.updates_published = updates;
  return table;
}

absl::Status AddColumn(const PgRows& rows, int i, TypeCatalog& types, PublishedTable* table) {
  if (rows.IsNull(i, kColumn)) return absl::OkStatus();
  const std::string name(rows.Text(i, kColumn));
  if (!rows.Bool(i, kPublished)) {
    (rows.Bool(i, kGenerated) ? table->generated_columns : table->unlisted_columns).push_back(name);
    if (rows.Bool(i, kStored)) table->stored_columns_left_out = true;
    return absl::OkStatus();
  }
  Relation& relation = table->relation;
  Column column;
  column.name = name;
  ASSIGN_OR_RETURN(column.type, types.Resolve(static_cast<uint32_t>(rows.Int(i, kType)),
                                              static_cast<int32_t>(rows.Int(i, kTypmod))));
  bool identifies = false;
  switch (relation.identity) {
    case ReplicaIdentity::kDefault:
      column.key = identifies = rows.Bool(i, kInPrimaryKey);
      break;
    case ReplicaIdentity::kIndex:
      column.key = identifies = rows.Bool(i, kInIdentityIndex);
      break;
    case ReplicaIdentity::kFull:
      column.key = true;
      identifies = rows.Bool(i, kInPrimaryKey);
      break;
    case ReplicaIdentity::kNothing:
      break;
  }
  if (identifies) relation.key.push_back(static_cast<int>(relation.columns.size()));
  relation.columns.push_back(std::move(column));
  ColumnDetail& detail = table->details.emplace_back();
  detail.attnum = static_cast<int>(rows.Int(i, kAttnum));
  detail.not_null = rows.Bool(i, kNotNull);
  detail.default_sql = rows.Text(i, kDefault);
  if (!rows.IsNull(i, kFill)) detail.fill = std::string(rows.Text(i, kFill));
  detail.filled_by_rewrite = rows.Bool(i, kRewritten);
  return absl::OkStatus();
}

// A key of which a column is not published identifies nothing at the destination.
void CheckKeyIsWhole(const PgRows& rows, int i, Relation* relation) {
  const int64_t size =
      rows.Int(i, relation->identity == ReplicaIdentity::kIndex ? kIdentityIndexSize : kPrimaryKeySize);
  if (static_cast<int64_t>(relation->key.size()) != size) relation->key.clear();
}

absl::StatusOr<std::vector<PublishedTable>> ReadTables(const PgRows& rows, TypeCatalog& types, bool updates) {
  std::vector<PublishedTable> tables;
  for (int i = 0; i < rows.size(); ++i) {
    if (tables.empty() || tables.back().relation.oid != rows.Int(i, kOid)) {
      tables.push_back(NewTable(rows, i, updates));
    }
    RETURN_IF_ERROR(AddColumn(rows, i, types, &tables.back()));
    const bool last = i + 1 == rows.size() || rows.Int(i + 1, kOid) != rows.Int(i, kOid);
    if (last) CheckKeyIsWhole(rows, i, &tables.back().relation);
  }
  return tables;
}

}  // namespace

absl::StatusOr<std::vector<PublishedTable>> PublishedTables(PgConnection& sql, const std::string& publication,
                                                            TypeCatalog& types) {
  ASSIGN_OR_RETURN(const PgRows settings,
                   sql.Query("SELECT pubupdate OR pubdelete, pg_catalog.current_setting('search_path')"
                             " FROM pg_catalog.pg_publication WHERE pubname = $1",
                             {publication}));
  if (settings.size() == 0) {
    return absl::NotFoundError(absl::StrCat("there is no publication ", publication, " in this database"));
  }
  // Row filters are printed with every name qualified that the search path does not find.
  const std::string search_path(settings.Text(0, 1));
  RETURN_IF_ERROR(sql.Query("SELECT pg_catalog.set_config('search_path', 'pg_catalog', false)").status());
  absl::Cleanup restore = [&] {
    (void)sql.Query("SELECT pg_catalog.set_config('search_path', $1, false)", {search_path});
  };
  ASSIGN_OR_RETURN(const PgRows rows, sql.Query(ColumnsQuery(sql.server_major(), kPublishedTables), {publication}));
  return ReadTables(rows, types, settings.Bool(0, 0));
}

absl::StatusOr<std::vector<PublishedTable>> TablesToPublish(PgConnection& sql, const SourceOptions& options,
                                                            TypeCatalog& types) {
  const auto plan = PublicationPlan::From(options.publication_tables, options.publication_schemas);
  ASSIGN_OR_RETURN(const std::string oids, OidsToPublish(sql, plan));
  ASSIGN_OR_RETURN(const PgRows rows, sql.Query(ColumnsQuery(sql.server_major(), kTablesToPublish), {oids}));
  return ReadTables(rows, types, /*updates=*/true);
}
absl::StatusOr<std::vector<std::string>> PrimaryKeyColumns(PgConnection& sql, uint32_t table_oid) {
  ASSIGN_OR_RETURN(const PgRows rows,
                   sql.Query("SELECT a.attname FROM pg_catalog.pg_index i JOIN pg_catalog.pg_attribute a"
                             " ON a.attrelid = i.indrelid AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])"
                             " WHERE i.indrelid = $1 AND i.indisprimary AND i.indimmediate AND i.indisvalid"
                             " ORDER BY a.attnum",
                             {absl::StrCat(table_oid)}));
  std::vector<std::string> columns;
  for (int i = 0; i < rows.size(); ++i) columns.emplace_back(rows.Text(i, 0));
  return columns;
}

}  // namespace wallaby
