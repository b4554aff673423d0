#include "postgres/replica_identity.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/sql_text.h"
#include "base/status.h"

namespace wallaby {
namespace {

using Names = std::vector<std::string>;
using Index = TableIdentity::Index;

bool Has(const Names& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

Names Without(const Names& names, const Names& taken) {
  Names left;
  std::copy_if(names.begin(), names.end(), std::back_inserter(left), [&](const auto& n) { return !Has(taken, n); });
  return left;
}

// What a table could have for its identity, or has.
struct Identity {
  bool full = false;
  const Index* index = nullptr;  // null with !full: nothing
};

Identity IdentityOf(const TableIdentity& table) {
  if (table.identity == 'f') return {true, nullptr};
  for (const Index& index : table.indexes) {
    if (table.identity == 'd' ? index.primary : table.identity == 'i' && index.in_use) return {false, &index};
  }
  return {};
}

// Generated columns that do not arrive by a publication without a column list.
Names Unsent(const TableIdentity& table, const PublishedAs& in) {
  Names unsent = table.computed;
  if (!in.sends_stored) unsent.insert(unsent.end(), table.stored.begin(), table.stored.end());
  return unsent;
}

void AddGaps(const TableIdentity& table, const Identity& identity, const PublishedAs& in, int server_major,
             std::vector<IdentityGap>* gaps) {
  const auto add = [&](GapKind kind, Names columns) {
    if (!columns.empty()) gaps->push_back({kind, &in, std::move(columns)});
  };
  if (!in.updates && !in.deletes) return;
  if (identity.full) {
    if (in.has_list) {
      gaps->push_back({GapKind::kList, &in, {}});
    } else if (server_major >= 18) {
      add(GapKind::kGenerated, Unsent(table, in));
    }
    return;
  }
  if (identity.index == nullptr) return gaps->push_back({GapKind::kNothing, &in, {}});
  const Names& columns = identity.index->columns;
  add(GapKind::kFilter, Without(in.filter_uses, columns));
  if (in.has_list) return add(GapKind::kList, Without(columns, in.list));
  const Names unsent = Unsent(table, in);
  add(GapKind::kGenerated, Without(columns, Without(columns, unsent)));
}

std::vector<IdentityGap> GapsOf(const TableIdentity& table, const Identity& identity, int server_major) {
  std::vector<IdentityGap> gaps;
  for (const PublishedAs& in : table.published) AddGaps(table, identity, in, server_major, &gaps);
  return gaps;
}

// ---- reading ----

// The tables themselves: roots have no rows.
constexpr std::string_view kLeaves =
    "WITH leaf AS (SELECT DISTINCT c.oid, n.nspname, c.relname, c.relreplident"
    " FROM pg_catalog.unnest($1::oid[]) AS named(root) JOIN pg_catalog.pg_class r ON r.oid = root"
    " CROSS JOIN LATERAL (SELECT root AS relid WHERE r.relkind <> 'p' UNION ALL"
    "   SELECT t.relid FROM pg_catalog.pg_partition_tree(root) t WHERE r.relkind = 'p' AND t.isleaf) part"
    " JOIN pg_catalog.pg_class c ON c.oid = part.relid"
    " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r') ";

using ByOid = std::map<int64_t, TableIdentity*>;

absl::Status ReadGenerated(PgConnection& sql, const std::string& oids, const ByOid& tables) {
  ASSIGN_OR_RETURN(const PgRows rows,
                   sql.Query(absl::StrCat(kLeaves,
                                          "SELECT a.attrelid, a.attname, a.attgenerated = 's' FROM leaf"
                                          " JOIN pg_catalog.pg_attribute a ON a.attrelid = leaf.oid"
                                          " WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated <> ''"
                                          " ORDER BY a.attrelid, a.attnum"),
                             {oids}));
  for (int i = 0; i < rows.size(); ++i) {
    TableIdentity& table = *tables.at(rows.Int(i, 0));
    (rows.Bool(i, 2) ? table.stored : table.computed).emplace_back(rows.Text(i, 1));
  }
  return absl::OkStatus();
}

// What REPLICA IDENTITY USING INDEX takes, which a primary key that is not deferrable always is; and what it has taken.
absl::Status ReadIndexes(PgConnection& sql, const std::string& oids, const ByOid& tables) {
  ASSIGN_OR_RETURN(
      const PgRows rows,
      sql.Query(
          absl::StrCat(
              kLeaves,
              "SELECT i.indrelid, x.relname, i.indisprimary, i.indisreplident, a.attname FROM leaf"
              " JOIN pg_catalog.pg_index i ON i.indrelid = leaf.oid"
              " JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid"
              " CROSS JOIN LATERAL pg_catalog.unnest((i.indkey::int2[])[0:i.indnkeyatts - 1]) WITH ORDINALITY k(n, nth)"
              " JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.n"
              " WHERE i.indisreplident OR i.indisunique AND i.indimmediate AND i.indisvalid AND i.indpred IS NULL"
              "   AND i.indexprs IS NULL AND NOT EXISTS (SELECT FROM pg_catalog.pg_attribute b"
              "     WHERE b.attrelid = i.indrelid AND b.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])"
              "     AND NOT b.attnotnull)"
              " ORDER BY i.indrelid, NOT i.indisprimary, i.indnkeyatts, x.relname, k.nth"),
          {oids}));
  for (int i = 0; i < rows.size(); ++i) {
    TableIdentity& table = *tables.at(rows.Int(i, 0));
    if (table.indexes.empty() || table.indexes.back().name != rows.Text(i, 1)) {
      table.indexes.push_back({std::string(rows.Text(i, 1)), rows.Bool(i, 2), rows.Bool(i, 3), {}});
      table.has_primary_key |= rows.Bool(i, 2);
    }
    table.indexes.back().columns.emplace_back(rows.Text(i, 4));
  }
  return absl::OkStatus();
}

// pg_publication_tables knows of roots, schemas and FOR ALL TABLES; lists and filters stand with the table under whose
// name it is published. `published`: by the OID of that entry, for ReadListsAndFilters.
absl::Status ReadPublications(PgConnection& sql, const std::string& oids, const std::string& publication,
                              const ByOid& tables) {
  const bool lists = sql.server_major() >= 15;
  ASSIGN_OR_RETURN(
      const PgRows rows,
      sql.Query(
          absl::StrCat(
              kLeaves, "SELECT leaf.oid, p.pubname, p.pubupdate, p.pubdelete, n.nspname, c.relname, ",
              sql.server_major() >= 18 ? "p.pubgencols = 's'" : "false",
              lists ? ", r.prattrs IS NOT NULL, pg_catalog.pg_get_expr(r.prqual, r.prrelid)" : ", false, NULL",
              " FROM leaf CROSS JOIN LATERAL (SELECT leaf.oid AS relid UNION"
              "   SELECT relid FROM pg_catalog.pg_partition_ancestors(leaf.oid)) up"
              " JOIN pg_catalog.pg_class c ON c.oid = up.relid"
              " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
              " JOIN pg_catalog.pg_publication_tables t ON t.schemaname = n.nspname AND t.tablename = c.relname"
              " JOIN pg_catalog.pg_publication p ON p.pubname = t.pubname",
              lists ? " LEFT JOIN pg_catalog.pg_publication_rel r ON r.prpubid = p.oid AND r.prrelid = c.oid" : "",
              " WHERE p.pubupdate OR p.pubdelete OR p.pubname = $2 ORDER BY leaf.oid, p.pubname, n.nspname, c.relname"),
          {oids, publication}));
  for (int i = 0; i < rows.size(); ++i) {
    PublishedAs& in = tables.at(rows.Int(i, 0))->published.emplace_back();
    in.publication = rows.Text(i, 1);
    in.updates = rows.Bool(i, 2);
    in.deletes = rows.Bool(i, 3);
    in.table_sql = SqlTable(rows.Text(i, 4), rows.Text(i, 5));
    in.sends_stored = rows.Bool(i, 6);
    in.has_list = rows.Bool(i, 7);
    in.filter = rows.Text(i, 8);
  }
  return absl::OkStatus();
}

// The columns of lists and filters, by publication and quoted table. A filter's columns stand only in its parsed form,
// in which neither a name nor a constant can look like one.
absl::Status ReadListsAndFilters(PgConnection& sql, std::vector<TableIdentity>* tables) {
  ASSIGN_OR_RETURN(
      const PgRows rows,
      sql.Query(
          "SELECT p.pubname, n.nspname, c.relname, a.attname, coalesce(a.attnum = ANY (r.prattrs::int2[]), false),"
          " a.attnum = ANY (used.attnums) FROM pg_catalog.pg_publication_rel r"
          " JOIN pg_catalog.pg_publication p ON p.oid = r.prpubid"
          " JOIN pg_catalog.pg_class c ON c.oid = r.prrelid"
          " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
          " CROSS JOIN LATERAL (SELECT coalesce(pg_catalog.array_agg(m[1]::int2), '{}') AS attnums"
          "   FROM pg_catalog.regexp_matches(r.prqual::text, ':varattno ([0-9]+)', 'g') m) used"
          " JOIN pg_catalog.pg_attribute a ON a.attrelid = r.prrelid"
          "   AND (a.attnum = ANY (r.prattrs::int2[]) OR a.attnum = ANY (used.attnums))"
          " WHERE r.prattrs IS NOT NULL OR r.prqual IS NOT NULL ORDER BY r.oid, a.attnum"));
  std::map<std::pair<std::string, std::string>, std::pair<Names, Names>> columns;
  for (int i = 0; i < rows.size(); ++i) {
    auto& [list, filter] = columns[{std::string(rows.Text(i, 0)), SqlTable(rows.Text(i, 1), rows.Text(i, 2))}];
    if (rows.Bool(i, 4)) list.emplace_back(rows.Text(i, 3));
    if (rows.Bool(i, 5)) filter.emplace_back(rows.Text(i, 3));
  }
  for (TableIdentity& table : *tables) {
    for (PublishedAs& in : table.published) {
      const auto found = columns.find({in.publication, in.table_sql});
      if (found != columns.end()) std::tie(in.list, in.filter_uses) = found->second;
    }
  }
  return absl::OkStatus();
}

// ---- words ----

std::string Verbs(const std::vector<IdentityGap>& gaps) {
  const bool updates = std::any_of(gaps.begin(), gaps.end(), [](const IdentityGap& gap) { return gap.in->updates; });
  const bool deletes = std::any_of(gaps.begin(), gaps.end(), [](const IdentityGap& gap) { return gap.in->deletes; });
  return updates && deletes ? "UPDATE and DELETE" : updates ? "UPDATE" : "DELETE";
}

std::string ShownPublication(const PublishedAs& in) {
  return in.publication.empty() ? "the publication" : "publication " + in.publication;
}

std::string Reason(const TableIdentity& table, const IdentityGap& gap, int server_major) {
  const std::string columns = absl::StrJoin(gap.columns, ", ");
  const std::string in = ShownPublication(*gap.in);
  const Identity identity = IdentityOf(table);
  const std::string of = identity.index == nullptr ? "REPLICA IDENTITY FULL"
                                                   : absl::StrCat("its replica identity (",
                                                                  absl::StrJoin(identity.index->columns, ", "), ")");
  switch (gap.kind) {
    case GapKind::kNothing:
      return table.identity == 'n'   ? "has REPLICA IDENTITY NOTHING"
             : table.identity == 'i' ? "has lost the index of its REPLICA IDENTITY"
                                     : "has no primary key";
    case GapKind::kFilter:
      return absl::StrCat("the row filter of ", in, " looks at ", columns, ", which is not in ", of);
    case GapKind::kList:
      if (identity.full) return absl::StrCat("has REPLICA IDENTITY FULL, with which ", in, " may have no column list");
      return absl::StrCat("the column list of ", in, " leaves out ", columns, " of ", of);
    case GapKind::kGenerated:
      if (server_major < 18) {
        return absl::StrCat("PostgreSQL before 18 does not send ", columns, " of ", of, ", which is generated");
      }
      return absl::StrCat(in, " does not carry the generated column ", columns, " of ", of);
  }
  return "";
}

// ---- mending ----

constexpr std::string_view kTablesOwner = "the table's owner";

std::string SetIdentity(const TableIdentity& table, const Identity& identity) {
  return absl::StrCat("ALTER TABLE ", table.sql, " REPLICA IDENTITY ",
                      identity.full             ? "FULL"
                      : identity.index->primary ? "DEFAULT"
                                                : "USING INDEX " + SqlIdentifier(identity.index->name),
                      ";");
}

// Taken out and put in again within one transaction: nothing else changes the columns of one table alone.
std::string WidenList(const IdentityGap& gap) {
  std::vector<std::string> columns;
  for (const std::string& name : gap.in->list) columns.push_back(SqlIdentifier(name));
  for (const std::string& name : gap.columns) columns.push_back(SqlIdentifier(name));
  const std::string alter = absl::StrCat("ALTER PUBLICATION ", SqlIdentifier(gap.in->publication));
  return absl::StrCat("BEGIN;\n", alter, " DROP TABLE ONLY ", gap.in->table_sql, ";\n", alter, " ADD TABLE ONLY ",
                      gap.in->table_sql, " (", absl::StrJoin(columns, ", "), ")",
                      gap.in->filter.empty() ? "" : absl::StrCat(" WHERE (", gap.in->filter, ")"), ";\nCOMMIT;");
}

// The identity as it is to be, and publications that carry more; "" where they cannot.
std::string WidenPublications(const TableIdentity& table, const Identity& identity,
                              const std::vector<IdentityGap>& gaps, int server_major) {
  std::vector<std::string> statements;
  if (identity.full != (table.identity == 'f') || identity.index != IdentityOf(table).index) {
    statements.push_back(SetIdentity(table, identity));
  }
  for (const IdentityGap& gap : gaps) {
    // Before 18 no list may name a generated column.
    const bool listable = server_major >= 18 || Without(gap.columns, table.stored).size() == gap.columns.size();
    if (gap.kind == GapKind::kList && !identity.full && listable) {
      statements.push_back(WidenList(gap));
    } else if (!MendedByStored(table, gap, server_major) || (gap.in->missing && gap.in->create_sql.empty())) {
      return "";
    } else if (gap.in->missing) {
      statements.push_back(gap.in->create_sql);
    } else {
      statements.push_back(absl::StrCat("ALTER PUBLICATION ", SqlIdentifier(gap.in->publication),
                                        " SET (publish_generated_columns = stored);"));
    }
  }
  return absl::StrJoin(statements, "\n");
}

}  // namespace

absl::StatusOr<std::vector<TableIdentity>> ReadIdentities(PgConnection& sql, const std::string& oids,
                                                          const std::string& publication) {
  ASSIGN_OR_RETURN(
      const PgRows rows,
      sql.Query(absl::StrCat(kLeaves, "SELECT oid, nspname, relname, relreplident FROM leaf ORDER BY 2, 3"), {oids}));
  std::vector<TableIdentity> tables(static_cast<size_t>(rows.size()));
  ByOid by_oid;
  for (int i = 0; i < rows.size(); ++i) {
    TableIdentity& table = tables[static_cast<size_t>(i)];
    by_oid[rows.Int(i, 0)] = &table;
    table.shown = absl::StrCat(rows.Text(i, 1), ".", rows.Text(i, 2));
    table.sql = SqlTable(rows.Text(i, 1), rows.Text(i, 2));
    table.identity = rows.Text(i, 3)[0];
  }
  if (tables.empty()) return tables;
  RETURN_IF_ERROR(ReadGenerated(sql, oids, by_oid));
  RETURN_IF_ERROR(ReadIndexes(sql, oids, by_oid));
  RETURN_IF_ERROR(ReadPublications(sql, oids, publication, by_oid));
  if (sql.server_major() >= 15) RETURN_IF_ERROR(ReadListsAndFilters(sql, &tables));
  return tables;
}

std::vector<IdentityGap> IdentityGaps(const TableIdentity& table, int server_major) {
  return GapsOf(table, IdentityOf(table), server_major);
}

bool FullIdentityFits(const TableIdentity& table, int server_major) {
  return GapsOf(table, {true, nullptr}, server_major).empty();
}

bool FailsAtSource(const IdentityGap& gap, int server_major) {
  return gap.kind != GapKind::kGenerated || server_major >= 18;
}

bool MendedByStored(const TableIdentity& table, const IdentityGap& gap, int server_major) {
  return gap.kind == GapKind::kGenerated && server_major >= 18 && Without(gap.columns, table.stored).empty();
}

std::string DescribeGaps(const TableIdentity& table, const std::vector<IdentityGap>& gaps, int server_major,
                         std::string_view when) {
  Names reasons;
  for (const IdentityGap& gap : gaps) {
    std::string reason = Reason(table, gap, server_major);
    if (!Has(reasons, reason)) reasons.push_back(std::move(reason));
  }
  const bool nothing = gaps[0].kind == GapKind::kNothing;
  const bool to_be = std::all_of(gaps.begin(), gaps.end(), [](const IdentityGap& gap) { return gap.in->to_be; });
  const bool fails =
      std::any_of(gaps.begin(), gaps.end(), [&](const IdentityGap& gap) { return FailsAtSource(gap, server_major); });
  return absl::StrCat(
      absl::StrJoin(reasons, "; "), ": ", to_be ? when : "", Verbs(gaps),
      fails ? " on it FAIL at the source" : " arrive without what identifies the row, and stop the flow",
      nothing ? ", because nothing would identify the row" : "");
}

IdentityMend MendOf(const TableIdentity& table, int server_major) {
  std::vector<Identity> identities;
  for (const Index& index : table.indexes) identities.push_back({false, &index});
  identities.push_back({true, nullptr});
  for (const Identity& identity : identities) {
    if (GapsOf(table, identity, server_major).empty()) return {SetIdentity(table, identity), kTablesOwner};
  }
  // The one that it has should stay, where publications are what changes.
  if (const Identity now = IdentityOf(table); now.full || now.index != nullptr) {
    identities.insert(identities.begin(), now);
  }
  for (const Identity& identity : identities) {
    const std::vector<IdentityGap> gaps = GapsOf(table, identity, server_major);
    const std::string sql = WidenPublications(table, identity, gaps, server_major);
    if (sql.empty()) continue;
    return {sql, gaps[0].in->missing ? gaps[0].in->create_as : "the owner of the publication and of the table"};
  }
  return {};
}

}  // namespace wallaby
