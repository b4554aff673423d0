#include "postgres/table_checks.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/sql_text.h"
#include "base/status.h"

namespace wallaby {
namespace {

using Severity = Finding::Severity;

// At most so many findings of one kind; one more says how many there are besides.
constexpr int kMostOfAKind = 20;

class Findings {
 public:
  Findings(std::string_view check, Severity severity, std::vector<Finding>* out)
      : check_(check), severity_(severity), out_(out) {}
  ~Findings() {
    if (count_ <= kMostOfAKind) return;
    out_->push_back(
        {severity_, "tables", absl::StrCat("the same holds for ", count_ - kMostOfAKind, " more"), "", check_});
  }
  Findings(const Findings&) = delete;
  Findings& operator=(const Findings&) = delete;

  void Add(std::string subject, std::string message, std::string remedy, std::string sql = "",
           std::string_view run_as = "") {
    if (++count_ > kMostOfAKind) return;
    out_->push_back({severity_, std::move(subject), std::move(message), std::move(remedy), check_, std::move(sql),
                     std::string(run_as)});
  }

 private:
  const std::string check_;
  const Severity severity_;
  std::vector<Finding>* out_;
  int count_ = 0;
};

// A table, or a partition of one that is published through its root: an update needs the partition's own identity.
struct TableState {
  std::string shown;  // schema.table
  std::string sql;    // quoted
  char identity = 'd';
  bool identity_usable = true;  // updates and deletes can be published
  // The identity that costs the least where there is none: the primary key, else a unique index, else the whole row.
  std::string identity_sql;
};

constexpr std::string_view kOwner = "the table's owner";
constexpr std::string_view kPublicationOwner = "the publication's owner";

absl::StatusOr<std::vector<TableState>> ReadStates(PgConnection& sql, const std::string& oids) {
  ASSIGN_OR_RETURN(
      const PgRows rows,
      sql.Query(
          "SELECT n.nspname, c.relname, c.relreplident, CASE c.relreplident"
          "   WHEN 'd' THEN EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid"
          "                         AND i.indisprimary AND i.indimmediate AND i.indisvalid)"
          "   WHEN 'i' THEN EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND i.indisreplident)"
          "   ELSE c.relreplident = 'f' END,"
          " EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND i.indisprimary AND i.indimmediate"
          "         AND i.indisvalid),"
          // What REPLICA IDENTITY USING INDEX takes.
          " (SELECT x.relname FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid"
          "  WHERE i.indrelid = c.oid AND i.indisunique AND i.indimmediate AND i.indisvalid AND i.indpred IS NULL"
          "  AND i.indexprs IS NULL AND NOT EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid"
          "    AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1]) AND NOT a.attnotnull)"
          "  ORDER BY i.indnkeyatts, x.relname LIMIT 1)"
          " FROM pg_catalog.unnest($1::oid[]) AS named(root) JOIN pg_catalog.pg_class r ON r.oid = root"
          " CROSS JOIN LATERAL (SELECT root AS relid WHERE r.relkind <> 'p' UNION ALL"
          "   SELECT t.relid FROM pg_catalog.pg_partition_tree(root) t WHERE r.relkind = 'p' AND t.isleaf) leaf"
          " JOIN pg_catalog.pg_class c ON c.oid = leaf.relid"
          " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
          " WHERE c.relkind = 'r' ORDER BY 1, 2",
          {oids}));
  std::vector<TableState> states;
  for (int i = 0; i < rows.size(); ++i) {
    TableState& state = states.emplace_back();
    state.shown = absl::StrCat(rows.Text(i, 0), ".", rows.Text(i, 1));
    state.sql = SqlTable(rows.Text(i, 0), rows.Text(i, 1));
    state.identity = rows.Text(i, 2)[0];
    state.identity_usable = rows.Bool(i, 3);
    state.identity_sql = absl::StrCat("ALTER TABLE ", state.sql, " REPLICA IDENTITY ",
                                      rows.Bool(i, 4)     ? "DEFAULT"
                                      : rows.IsNull(i, 5) ? "FULL"
                                                          : "USING INDEX " + SqlIdentifier(rows.Text(i, 5)),
                                      ";");
  }
  return states;
}

// What the flow would do to tables that it publishes without having been told their names is an error: the user's own
// statements would begin to fail.
void CheckIdentities(const std::vector<TableState>& states, bool to_be_published, bool named,
                     std::vector<Finding>* findings) {
  Findings unusable("replica_identity", to_be_published && !named ? Severity::kError : Severity::kWarning, findings);
  for (const TableState& state : states) {
    if (state.identity_usable) continue;
    const std::string_view why = state.identity == 'n'   ? "has REPLICA IDENTITY NOTHING"
                                 : state.identity == 'i' ? "has lost the index of its REPLICA IDENTITY"
                                                         : "has no primary key";
    unusable.Add(
        "table " + state.shown,
        absl::StrCat(why, to_be_published ? ": as soon as the flow publishes it, " : ": ",
                     "UPDATE and DELETE on it FAIL at the source, because nothing would identify the row"),
        absl::StrCat("ALTER TABLE ", state.sql, " REPLICA IDENTITY FULL, or give it a primary key; where rows are ",
                     "only ever inserted it may stay",
                     to_be_published && !named ? " if publication_tables names it" : ""),
        state.identity_sql, kOwner);
  }
}

void CheckToastFetch(const SourceOptions& options, const std::vector<TableState>& states,
                     std::vector<Finding>* findings) {
  if (options.toast_fetch != ToastFetch::kFull) return;
  Findings not_full("toast_fetch", Severity::kError, findings);
  for (const TableState& state : states) {
    if (state.identity == 'f') continue;
    not_full.Add("table " + state.shown, "toast_fetch=full needs REPLICA IDENTITY FULL, which the table has not",
                 absl::StrCat("ALTER TABLE ", state.sql, " REPLICA IDENTITY FULL; or choose another toast_fetch"),
                 absl::StrCat("ALTER TABLE ", state.sql, " REPLICA IDENTITY FULL;"), kOwner);
  }
}

// The right to copy the tables' rows, and that a policy hides none of them.
absl::Status CheckRights(PgConnection& sql, const std::string& oids, bool copy_due, std::vector<Finding>* findings) {
  ASSIGN_OR_RETURN(
      const PgRows rows,
      sql.Query("SELECT n.nspname, c.relname, current_user, pg_catalog.has_schema_privilege(n.oid, 'USAGE'),"
                " pg_catalog.has_table_privilege(c.oid, 'SELECT') OR coalesce((SELECT bool_and("
                "   pg_catalog.has_column_privilege(c.oid, a.attnum, 'SELECT')) FROM pg_catalog.pg_attribute a"
                "   WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped), false),"
                " pg_catalog.row_security_active(c.oid)"
                " FROM pg_catalog.unnest($1::oid[]) AS named(oid) JOIN pg_catalog.pg_class c ON c.oid = named.oid"
                " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace ORDER BY 1, 2",
                {oids}));
  const Severity severity = copy_due ? Severity::kError : Severity::kWarning;
  Findings denied("table_rights", severity, findings), hidden("row_security", severity, findings);
  for (int i = 0; i < rows.size(); ++i) {
    const std::string subject = absl::StrCat("table ", rows.Text(i, 0), ".", rows.Text(i, 1));
    const std::string role(rows.Text(i, 2));
    if (!rows.Bool(i, 3) || !rows.Bool(i, 4)) {
      denied.Add(
          subject, absl::StrCat("role ", role, " may not read the table, which copying it needs"),
          absl::StrCat("GRANT USAGE ON SCHEMA ", SqlIdentifier(rows.Text(i, 0)), " TO ", SqlIdentifier(role),
                       "; GRANT SELECT ON ", SqlTable(rows.Text(i, 0), rows.Text(i, 1)), " TO ", SqlIdentifier(role)),
          absl::StrCat(rows.Bool(i, 3) ? ""
                                       : absl::StrCat("GRANT USAGE ON SCHEMA ", SqlIdentifier(rows.Text(i, 0)), " TO ",
                                                      SqlIdentifier(role), ";\n"),
                       rows.Bool(i, 4) ? ""
                                       : absl::StrCat("GRANT SELECT ON ", SqlTable(rows.Text(i, 0), rows.Text(i, 1)),
                                                      " TO ", SqlIdentifier(role), ";")),
          "the owner of schema and table");
    } else if (rows.Bool(i, 5)) {
      hidden.Add(subject,
                 absl::StrCat("row level security would hide rows from role ", role, " when the table is copied"),
                 absl::StrCat("ALTER ROLE ", SqlIdentifier(role), " BYPASSRLS"),
                 absl::StrCat("ALTER ROLE ", SqlIdentifier(role), " BYPASSRLS;"), "a superuser");
    }
  }
  return absl::OkStatus();
}

// FOR ALL TABLES and TABLES IN SCHEMA pass over what the WAL does not hold, without a word.
absl::Status CheckPassedOver(PgConnection& sql, const std::vector<std::string>& schemas,
                             std::vector<Finding>* findings) {
  std::vector<std::string> quoted;
  for (const std::string& schema : schemas) quoted.push_back(SqlLiteral(schema));
  const std::string where =
      quoted.empty() ? "n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'"
                     : absl::StrCat("n.nspname IN (", absl::StrJoin(quoted, ", "), ")");
  ASSIGN_OR_RETURN(
      const PgRows rows,
      sql.Query(absl::StrCat(
          "SELECT n.nspname || '.' || c.relname, c.relkind = 'f', n.nspname, c.relname FROM pg_catalog.pg_class c"
          " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE (c.relkind = 'f' OR"
          " c.relkind IN ('r', 'p') AND c.relpersistence = 'u') AND ",
          where, " ORDER BY 1")));
  Findings foreign("foreign_tables", Severity::kInfo, findings), unlogged("unlogged_tables", Severity::kInfo, findings);
  for (int i = 0; i < rows.size(); ++i) {
    const std::string subject = absl::StrCat("table ", rows.Text(i, 0));
    if (rows.Bool(i, 1)) {
      foreign.Add(subject, "is a foreign table and is not replicated", "");
    } else {
      unlogged.Add(subject, "is unlogged and is not replicated", "ALTER TABLE ... SET LOGGED",
                   absl::StrCat("ALTER TABLE ", SqlTable(rows.Text(i, 2), rows.Text(i, 3)), " SET LOGGED;"), kOwner);
    }
  }
  return absl::OkStatus();
}

std::string OidArray(const std::vector<std::string>& oids) {
  return absl::StrCat("{", absl::StrJoin(oids, ","), "}");
}

bool WillCopy(const SourceOptions& options) {
  return options.snapshot == SnapshotMode::kInitial;
}

// What the publication leaves out.
void DescribeTables(const SourceOptions& options, const std::vector<PublishedTable>& tables, int server_major,
                    std::vector<Finding>* findings) {
  Findings generated("generated_columns", Severity::kInfo, findings), listed("column_lists", Severity::kInfo, findings),
      filtered("row_filters", Severity::kInfo, findings), own("own_tables", Severity::kInfo, findings);
  for (const PublishedTable& table : tables) {
    const std::string subject = "table " + table.relation.QualifiedName();
    if (!table.generated_columns.empty()) {
      // A column list names for itself what it carries, and virtual columns are never sent.
      const bool settable = server_major >= 18 && table.stored_columns_left_out && table.unlisted_columns.empty();
      generated.Add(
          subject, absl::StrCat("generated columns are not replicated: ", absl::StrJoin(table.generated_columns, ", ")),
          "on PostgreSQL 18: ALTER PUBLICATION ... SET (publish_generated_columns = stored)",
          settable ? absl::StrCat("ALTER PUBLICATION ", SqlIdentifier(options.publication),
                                  " SET (publish_generated_columns = stored);")
                   : "",
          settable ? kPublicationOwner : "");
    }
    if (!table.unlisted_columns.empty()) {
      listed.Add(
          subject,
          absl::StrCat("the publication's column list leaves out: ", absl::StrJoin(table.unlisted_columns, ", ")), "");
    }
    if (!table.row_filter.empty()) {
      filtered.Add(subject, absl::StrCat("only rows with ", table.row_filter, " are replicated"), "");
    }
    if (table.relation.schema == options.state_schema) {
      own.Add(subject, "belongs to this product and is published along with the others",
              "name the tables in publication_tables instead of FOR ALL TABLES");
    }
  }
}

}  // namespace

absl::Status CheckPublishedTables(PgConnection& sql, const SourceOptions& options,
                                  const std::vector<PublishedTable>& tables, bool copy_due,
                                  std::vector<Finding>* findings) {
  std::vector<std::string> oids;
  for (const PublishedTable& table : tables) oids.push_back(absl::StrCat(table.relation.oid));
  DescribeTables(options, tables, sql.server_major(), findings);
  const bool updates = !tables.empty() && tables[0].updates_published;
  ASSIGN_OR_RETURN(const std::vector<TableState> states, ReadStates(sql, OidArray(oids)));
  if (updates) CheckIdentities(states, /*to_be_published=*/false, /*named=*/false, findings);
  CheckToastFetch(options, states, findings);
  if (WillCopy(options)) RETURN_IF_ERROR(CheckRights(sql, OidArray(oids), copy_due, findings));
  ASSIGN_OR_RETURN(const PgRows all, sql.Query("SELECT puballtables FROM pg_catalog.pg_publication WHERE pubname = $1",
                                               {options.publication}));
  if (all.size() > 0 && all.Bool(0, 0)) return CheckPassedOver(sql, {}, findings);
  return absl::OkStatus();
}

absl::StatusOr<std::string> OidsToPublish(PgConnection& sql, const PublicationPlan& plan) {
  std::vector<std::string> names, schemas;
  for (const TableName& table : plan.tables) {
    names.push_back(absl::StrCat("(", SqlLiteral(table.first), ", ", SqlLiteral(table.second), ")"));
  }
  for (const std::string& schema : plan.schemas) schemas.push_back(SqlLiteral(schema));
  std::vector<std::string> conditions;
  if (!names.empty())
    conditions.push_back(absl::StrCat("(n.nspname, c.relname) IN (", absl::StrJoin(names, ", "), ")"));
  if (!schemas.empty()) conditions.push_back(absl::StrCat("n.nspname IN (", absl::StrJoin(schemas, ", "), ")"));
  // Catalogs and the information schema have OIDs below 16384.
  if (conditions.empty()) conditions.push_back("c.oid >= 16384 AND NOT c.relispartition");
  ASSIGN_OR_RETURN(const PgRows rows,
                   sql.Query(absl::StrCat("SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n"
                                          " ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p')"
                                          " AND c.relpersistence = 'p' AND (",
                                          absl::StrJoin(conditions, " OR "), ")")));
  std::vector<std::string> oids;
  for (int i = 0; i < rows.size(); ++i) oids.emplace_back(rows.Text(i, 0));
  return OidArray(oids);
}

absl::Status CheckTablesToPublish(PgConnection& sql, const SourceOptions& options, const PublicationPlan& plan,
                                  bool copy_due, std::vector<Finding>* findings) {
  ASSIGN_OR_RETURN(const std::string oids, OidsToPublish(sql, plan));
  ASSIGN_OR_RETURN(const std::vector<TableState> states, ReadStates(sql, oids));
  CheckIdentities(states, /*to_be_published=*/true, /*named=*/!plan.all_tables() && plan.schemas.empty(), findings);
  CheckToastFetch(options, states, findings);
  if (WillCopy(options)) RETURN_IF_ERROR(CheckRights(sql, oids, copy_due, findings));
  if (plan.all_tables() || !plan.schemas.empty()) return CheckPassedOver(sql, plan.schemas, findings);
  return absl::OkStatus();
}

}  // namespace wallaby
