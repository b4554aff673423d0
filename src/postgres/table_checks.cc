#include "postgres/table_checks.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "base/sql_text.h"
#include "base/status.h"
#include "postgres/replica_identity.h"

namespace wallaby {
namespace {

using Severity = Finding::Severity;

constexpr std::string_view kOwner = "the table's owner";
constexpr std::string_view kPublicationOwner = "the publication's owner";
constexpr std::string_view kOwners = "the owner of the publication and of the tables";

// At most so many findings of one kind; one more says how many there are besides.
constexpr int kMostOfAKind = 20;

class Findings {
 public:
  Findings(std::string_view check, Severity severity, std::vector<Finding>* out)
      : check_(check), severity_(severity), out_(out) {}
  ~Findings() {
    if (count_ <= kMostOfAKind) return;
    out_->push_back({severity_, "tables", absl::StrCat("the same holds for ", count_ - kMostOfAKind, " more"), "",
                     check_, std::move(more_sql_), std::move(more_as_)});
  }
  Findings(const Findings&) = delete;
  Findings& operator=(const Findings&) = delete;

  void Add(std::string subject, std::string message, std::string remedy, std::string sql = "",
           std::string_view run_as = "") {
    if (++count_ > kMostOfAKind) {
      // None may be left unmended by who runs all that is printed.
      if (sql.empty()) return;
      const bool mixed = !more_as_.empty() && more_as_ != run_as;
      absl::StrAppend(&more_sql_, more_sql_.empty() ? "" : "\n", sql);
      more_as_ = mixed ? kOwners : run_as;
      return;
    }
    out_->push_back({severity_, std::move(subject), std::move(message), std::move(remedy), check_, std::move(sql),
                     std::string(run_as)});
  }

 private:
  const std::string check_;
  const Severity severity_;
  std::vector<Finding>* out_;
  int count_ = 0;
  std::string more_sql_, more_as_;
};

// SQL within a sentence.
std::string Inline(std::string_view sql) {
  return absl::StrReplaceAll(absl::StripSuffix(sql, ";"), {{"\n", " "}});
}

std::string IdentityRemedy(const TableIdentity& table, const IdentityGap& gap, const IdentityMend& mend,
                           int server_major) {
  const std::string sql = Inline(mend.sql);
  if (gap.kind == GapKind::kNothing) {
    return absl::StrCat(sql, sql.empty() ? "" : ", or ", "give it a primary key; where rows are only ever inserted it ",
                        "may stay");
  }
  if (!sql.empty()) return sql;
  if (MendedByStored(table, gap, server_major)) {
    return "let a publication carry it that has publish_generated_columns = stored, or give it another key";
  }
  return absl::StrCat("make a unique index over columns that are NOT NULL, that the publications carry, and that ",
                      "include what row filters look at, and name it with ALTER TABLE ", table.sql,
                      " REPLICA IDENTITY USING INDEX; or take the row filter or the column list away");
}

// What the flow would do to tables that it publishes without having been told their names is an error: the user's own
// statements would begin to fail. `severity` is for those that fail at the source.
void CheckIdentities(const std::vector<TableIdentity>& tables, int server_major, Severity severity,
                     std::string_view when, std::vector<Finding>* findings) {
  Findings refused("replica_identity", severity, findings);
  Findings unfit("replica_identity", std::max(severity, Severity::kWarning), findings);
  for (const TableIdentity& table : tables) {
    const std::vector<IdentityGap> gaps = IdentityGaps(table, server_major);
    if (gaps.empty()) continue;
    const bool fails =
        std::any_of(gaps.begin(), gaps.end(), [&](const IdentityGap& gap) { return FailsAtSource(gap, server_major); });
    const IdentityMend mend = MendOf(table, server_major);
    std::string remedy = IdentityRemedy(table, gaps[0], mend, server_major);
    if (severity == Severity::kError && gaps[0].kind == GapKind::kNothing) {
      absl::StrAppend(&remedy, " if publication_tables names it");
    }
    (fails ? refused : unfit)
        .Add("table " + table.shown, DescribeGaps(table, gaps, server_major, when), std::move(remedy), mend.sql,
             mend.run_as);
  }
}

// How the publication would carry a table that it does not carry yet.
absl::StatusOr<PublishedAs> Planned(PgConnection& sql, const std::string& publication) {
  ASSIGN_OR_RETURN(const PgRows rows, sql.Query(absl::StrCat("SELECT pubupdate, pubdelete, ",
                                                             sql.server_major() >= 18 ? "pubgencols = 's'" : "false",
                                                             " FROM pg_catalog.pg_publication WHERE pubname = $1"),
                                                {publication}));
  PublishedAs planned;
  planned.publication = publication;
  planned.to_be = true;
  planned.missing = rows.size() == 0;
  if (planned.missing) return planned;
  planned.updates = rows.Bool(0, 0);
  planned.deletes = rows.Bool(0, 1);
  planned.sends_stored = rows.Bool(0, 2);
  return planned;
}

// Tables whose updates or deletes the publication does not carry: would it do harm if it did? True when not.
bool CheckFurtherChanges(const std::vector<TableIdentity>& tables, const std::string& publication, int server_major,
                         std::vector<Finding>* findings) {
  std::vector<TableIdentity> further;
  bool fit = true;
  for (const TableIdentity& table : tables) {
    TableIdentity whole = table;
    for (PublishedAs& in : whole.published) {
      if (in.publication == publication && !(in.updates && in.deletes)) in.updates = in.deletes = in.to_be = true;
    }
    if (IdentityGaps(whole, server_major).empty()) continue;
    fit = false;
    if (IdentityGaps(table, server_major).empty()) further.push_back(std::move(whole));
  }
  CheckIdentities(further, server_major, Severity::kInfo,
                  absl::StrCat("as soon as publication ", publication, " carries them, "), findings);
  return fit;
}

// What the publication to be would do, and whether another way of making it does no harm. Puts it into each table.
PlanFit FitPlan(const PublicationPlan& plan, PublishedAs planned, bool by_flow, int server_major,
                std::vector<TableIdentity>* tables) {
  PlanFit fit;
  const auto each_planned = [&](const auto& change) {
    for (TableIdentity& table : *tables) change(&table.published.back());
  };
  const auto any_gap = [&](const auto& is) {
    for (const TableIdentity& table : *tables) {
      for (const IdentityGap& gap : IdentityGaps(table, server_major)) {
        if (gap.in->to_be && is(table, gap)) return true;
      }
    }
    return false;
  };
  for (TableIdentity& table : *tables) {
    planned.table_sql = table.sql;
    table.published.push_back(planned);
  }
  fit.with_stored = planned.missing && any_gap([&](const TableIdentity& table, const IdentityGap& gap) {
                      return MendedByStored(table, gap, server_major);
                    });
  if (fit.with_stored) each_planned([](PublishedAs* in) { in->sends_stored = true; });
  fit.fits = !any_gap([](const TableIdentity&, const IdentityGap&) { return true; });
  // The flow does not make it so.
  if (!by_flow || !fit.with_stored) return fit;
  each_planned([&](PublishedAs* in) {
    in->sends_stored = false;
    if (!fit.fits || in->publication.empty()) return;
    in->create_sql = plan.CreateSql(in->publication, /*stored=*/true) + ";";
    in->create_as = plan.needs_superuser() ? "a superuser" : "the tables' owner, with CREATE on the database";
  });
  return fit;
}

void CheckToastFetch(const SourceOptions& options, const std::vector<TableIdentity>& tables, int server_major,
                     std::vector<Finding>* findings) {
  if (options.toast_fetch != ToastFetch::kFull) return;
  Findings not_full("toast_fetch", Severity::kError, findings);
  for (const TableIdentity& table : tables) {
    if (table.identity == 'f') continue;
    const std::string lacks = "toast_fetch=full needs REPLICA IDENTITY FULL, which the table has not";
    if (FullIdentityFits(table, server_major)) {
      const std::string sql = absl::StrCat("ALTER TABLE ", table.sql, " REPLICA IDENTITY FULL;");
      not_full.Add("table " + table.shown, lacks, absl::StrCat(Inline(sql), "; or choose another toast_fetch"), sql,
                   kOwner);
    } else {
      not_full.Add("table " + table.shown,
                   absl::StrCat(lacks, " and cannot have as long as a publication has a column list for it or leaves ",
                                "out its generated columns"),
                   "choose another toast_fetch");
    }
  }
}

std::string OidArray(const std::vector<std::string>& oids) {
  return absl::StrCat("{", absl::StrJoin(oids, ","), "}");
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

// Logged, it would be published. Where an identity is needed then, both come at once.
IdentityMend LogTable(const TableIdentity& table, int server_major) {
  const std::string log = absl::StrCat("ALTER TABLE ", table.sql, " SET LOGGED;");
  if (IdentityGaps(table, server_major).empty()) return {log, kOwner};
  const IdentityMend mend = MendOf(table, server_major);
  if (mend.run_as != kOwner) return {};
  return {absl::StrCat(absl::StripSuffix(mend.sql, ";"), ", SET LOGGED;"), kOwner};
}

// FOR ALL TABLES and TABLES IN SCHEMA pass over what the WAL does not hold, without a word.
absl::Status CheckPassedOver(PgConnection& sql, const SourceOptions& options, const std::vector<std::string>& schemas,
                             std::vector<Finding>* findings) {
  std::vector<std::string> quoted;
  for (const std::string& schema : schemas) quoted.push_back(SqlLiteral(schema));
  const std::string where =
      quoted.empty() ? "n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'"
                     : absl::StrCat("n.nspname IN (", absl::StrJoin(quoted, ", "), ")");
  ASSIGN_OR_RETURN(
      const PgRows rows,
      sql.Query(absl::StrCat("SELECT n.nspname || '.' || c.relname, c.relkind, c.oid FROM pg_catalog.pg_class c"
                             " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE (c.relkind = 'f' OR"
                             " c.relkind IN ('r', 'p') AND c.relpersistence = 'u') AND ",
                             where, " ORDER BY 1")));
  Findings foreign("foreign_tables", Severity::kInfo, findings), unlogged("unlogged_tables", Severity::kInfo, findings);
  std::vector<std::string> oids;
  for (int i = 0; i < rows.size(); ++i) {
    if (rows.Text(i, 1) == "f") {
      foreign.Add(absl::StrCat("table ", rows.Text(i, 0)), "is a foreign table and is not replicated", "");
    } else if (rows.Text(i, 1) == "r") {  // a partitioned table has nothing that could be logged but its partitions
      oids.emplace_back(rows.Text(i, 2));
    }
  }
  if (oids.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const PublishedAs planned, Planned(sql, options.publication));
  ASSIGN_OR_RETURN(std::vector<TableIdentity> tables, ReadIdentities(sql, OidArray(oids), ""));
  for (TableIdentity& table : tables) {
    table.published.push_back(planned);
    const IdentityMend mend = LogTable(table, sql.server_major());
    unlogged.Add(
        "table " + table.shown, "is unlogged and is not replicated",
        mend.sql.empty() ? "give it a primary key, then ALTER TABLE ... SET LOGGED" : "ALTER TABLE ... SET LOGGED",
        mend.sql, mend.run_as);
  }
  return absl::OkStatus();
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

absl::StatusOr<bool> CheckPublishedTables(PgConnection& sql, const SourceOptions& options,
                                          const std::vector<PublishedTable>& tables, bool copy_due,
                                          std::vector<Finding>* findings) {
  std::vector<std::string> oids;
  for (const PublishedTable& table : tables) oids.push_back(absl::StrCat(table.relation.oid));
  const int major = sql.server_major();
  DescribeTables(options, tables, major, findings);
  ASSIGN_OR_RETURN(const std::vector<TableIdentity> identities,
                   ReadIdentities(sql, OidArray(oids), options.publication));
  CheckIdentities(identities, major, Severity::kWarning, "", findings);
  const bool fit = CheckFurtherChanges(identities, options.publication, major, findings);
  CheckToastFetch(options, identities, major, findings);
  if (WillCopy(options)) RETURN_IF_ERROR(CheckRights(sql, OidArray(oids), copy_due, findings));
  ASSIGN_OR_RETURN(const PgRows all, sql.Query("SELECT puballtables FROM pg_catalog.pg_publication WHERE pubname = $1",
                                               {options.publication}));
  if (all.size() > 0 && all.Bool(0, 0)) RETURN_IF_ERROR(CheckPassedOver(sql, options, {}, findings));
  return fit;
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

absl::StatusOr<PlanFit> CheckTablesToPublish(PgConnection& sql, const SourceOptions& options,
                                             const PublicationPlan& plan, bool by_flow, bool copy_due,
                                             std::vector<Finding>* findings) {
  const int major = sql.server_major();
  ASSIGN_OR_RETURN(const std::string oids, OidsToPublish(sql, plan));
  ASSIGN_OR_RETURN(PublishedAs planned, Planned(sql, options.publication));
  ASSIGN_OR_RETURN(std::vector<TableIdentity> tables, ReadIdentities(sql, oids, ""));
  const PlanFit fit = FitPlan(plan, std::move(planned), by_flow, major, &tables);
  const bool named = !plan.all_tables() && plan.schemas.empty();
  CheckIdentities(tables, major, by_flow && !named ? Severity::kError : Severity::kWarning,
                  by_flow ? "as soon as the flow publishes it, " : "as soon as it is published, ", findings);
  CheckToastFetch(options, tables, major, findings);
  if (WillCopy(options)) RETURN_IF_ERROR(CheckRights(sql, oids, copy_due, findings));
  if (plan.all_tables() || !plan.schemas.empty()) {
    RETURN_IF_ERROR(CheckPassedOver(sql, options, plan.schemas, findings));
  }
  return fit;
}

}  // namespace wallaby
