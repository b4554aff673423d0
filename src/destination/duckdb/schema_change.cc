#include "destination/duckdb/schema_change.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/sql_text.h"
#include "base/status.h"
#include "destination/duckdb/literal.h"
#include "destination/duckdb/types.h"
#include "destination/schema_steps.h"

namespace wallaby {
namespace {

constexpr char kDroppedLast[] = "_wallaby_dropped";

struct PresentColumn {
  std::string name;
  std::string type;
  bool nullable = true;
  bool has_default = false;
};

struct PresentTable {
  DuckdbTable table;
  std::vector<PresentColumn> columns;
  std::vector<std::string> indexes;           // quoted, with schema
  std::vector<std::set<std::string>> unique;  // columns of PRIMARY KEY and UNIQUE, folded
  bool constrained = false;                   // has any constraint

  PresentColumn* Find(std::string_view name) {
    auto it = std::find_if(columns.begin(), columns.end(),
                           [name](const PresentColumn& c) { return absl::EqualsIgnoreCase(c.name, name); });
    return it == columns.end() ? nullptr : &*it;
  }
};

std::set<std::string> FoldedKey(const Relation& relation) {
  std::set<std::string> names;
  for (const int column : relation.key) names.insert(absl::AsciiStrToLower(relation.columns[column].name));
  return names;
}

bool SameTable(const DuckdbTable& a, const DuckdbTable& b) {
  return absl::EqualsIgnoreCase(a.schema, b.schema) && absl::EqualsIgnoreCase(a.name, b.name);
}

// ---- from steps to statements ----

// Walks the steps and carries out on its picture of the table what it writes down.
class Plan {
 public:
  Plan(const SchemaChange& change, const TableOptions& options, PresentTable table)
      : change_(change), options_(options), table_(std::move(table)) {}

  // `target`: the table after the change. The table of the constructor is there, under the old name or the new one.
  absl::Status Make(const DuckdbTable& target, bool recorded);

  std::vector<DdlStatement> statements;
  bool unclear = false;

 private:
  bool append() const { return options_.write_mode == WriteMode::kAppend; }
  const Relation& after() const { return change_.after->relation; }
  std::string Alter() const { return absl::StrCat("ALTER TABLE ", table_.table.Quoted(), " "); }
  void Remark(std::string_view text) { statements.push_back({.sql = absl::StrCat("-- ", text)}); }
  void Run(std::string sql, std::string_view column = "", std::string_view remedy = "", std::string guard = "");

  absl::Status Step(const SchemaStep& step, bool done);
  absl::Status Rename(const DuckdbTable& target);
  absl::Status MoveToSchema(const DuckdbTable& target);
  absl::Status AddColumn(const SchemaStep& step);
  void DropColumn(const SchemaStep& step);
  absl::Status RenameColumn(const SchemaStep& step);
  void Retype(const SchemaStep& step, PresentColumn* column);
  void DropNotNull(PresentColumn* column);
  absl::Status Key();

  const SchemaChange& change_;
  const TableOptions& options_;
  PresentTable table_;
  std::optional<std::string> dropped_last_;  // a column that goes when another is there
};

void Plan::Run(std::string sql, std::string_view column, std::string_view remedy, std::string guard) {
  statements.push_back({std::move(sql), std::string(column), std::move(guard), std::string(remedy)});
}

absl::Status Plan::Make(const DuckdbTable& target, bool recorded) {
  NamesOfTable names{.shown = absl::StrCat(target.schema, ".", target.name),
                     .keeps_dropped = append(),
                     .recorded = recorded,
                     .case_counts = false};
  for (const PresentColumn& column : table_.columns) names.names.insert(absl::AsciiStrToLower(column.name));
  ASSIGN_OR_RETURN(const StepsDone steps, FindStepsDone(change_, names));
  unclear = steps.unclear;
  for (size_t i = 0; i < change_.steps.size(); ++i) {
    if (change_.steps[i].kind == SchemaStepKind::kRenameTable) {
      RETURN_IF_ERROR(Rename(target));
    } else {
      RETURN_IF_ERROR(Step(change_.steps[i], steps.done[i]));
    }
  }
  if (dropped_last_) Run(absl::StrCat(Alter(), "DROP COLUMN ", SqlIdentifier(*dropped_last_)));
  return absl::OkStatus();
}

absl::Status Plan::Step(const SchemaStep& step, bool done) {
  PresentColumn* column = table_.Find(step.column);
  switch (step.kind) {
    case SchemaStepKind::kAddColumn:
      return AddColumn(step);
    case SchemaStepKind::kDropColumn:
      if ((append() || !done) && column != nullptr) DropColumn(step);
      return absl::OkStatus();
    case SchemaStepKind::kRenameColumn:
      return done ? absl::OkStatus() : RenameColumn(step);
    case SchemaStepKind::kRetypeColumn:
      if (column != nullptr) Retype(step, column);
      return absl::OkStatus();
    case SchemaStepKind::kNullability:
      if (!step.detail.not_null && column != nullptr && !column->nullable) {
        DropNotNull(column);
      } else {
        Remark(absl::StrCat(DescribeStep(step), ": columns are nullable here"));
      }
      return absl::OkStatus();
    case SchemaStepKind::kDefault:
      Remark(absl::StrCat(DescribeStep(step), ": columns have no defaults here"));
      return absl::OkStatus();
    case SchemaStepKind::kKey:
      return Key();
    default:
      return absl::OkStatus();
  }
}

absl::Status Plan::Rename(const DuckdbTable& target) {
  if (SameTable(table_.table, target)) {
    Remark(absl::StrCat("the table stays ", target.Quoted()));
    return absl::OkStatus();
  }
  if (!absl::EqualsIgnoreCase(table_.table.schema, target.schema)) return MoveToSchema(target);
  Run(absl::StrCat(Alter(), "RENAME TO ", SqlIdentifier(target.name)));
  table_.table.name = target.name;
  return absl::OkStatus();
}

// DuckDB cannot move a table, so that its rows are copied within the file.
absl::Status Plan::MoveToSchema(const DuckdbTable& target) {
  const bool defaults = std::any_of(table_.columns.begin(), table_.columns.end(),
                                    [](const PresentColumn& column) { return column.has_default; });
  if (!table_.indexes.empty() || table_.constrained || defaults) {
    return absl::FailedPreconditionError(absl::StrCat(
        "table ", table_.table.Quoted(), ": it moves to schema ", target.schema,
        ", which DuckDB can do by a copy only, and that would lose its indexes, constraints or defaults; make ",
        target.Quoted(), " by hand with CREATE TABLE and INSERT, drop the old table, then apply the change again"));
  }
  Run(absl::StrCat("CREATE SCHEMA IF NOT EXISTS ", target.QuotedSchema()));
  Run(absl::StrCat("CREATE TABLE ", target.Quoted(), " AS FROM ", table_.table.Quoted()));
  Run(absl::StrCat("DROP TABLE ", table_.table.Quoted()));
  table_.table = target;
  return absl::OkStatus();
}

absl::Status Plan::AddColumn(const SchemaStep& step) {
  const PgType type = options_.MappedType(after(), step.definition);
  if (PresentColumn* column = table_.Find(step.column); column != nullptr) {
    // Append mode kept a column of this name.
    if (append() && !DuckdbTypeHolds(column->type, DuckdbType(type))) Retype(step, column);
    return absl::OkStatus();
  }
  const std::string add = absl::StrCat(Alter(), "ADD COLUMN ", SqlIdentifier(step.column), " ", DuckdbType(type));
  if (append() || !step.detail.fill) {
    Run(add, step.column);
    if (append() && step.detail.fill) {
      Remark(absl::StrCat(step.column, " stays null in rows that are there: the log says what was known then"));
    }
  } else {
    Run(absl::StrCat(add, " DEFAULT ", DuckdbLiteral(*step.detail.fill, type)), step.column,
        "carry the column as text with option type_mappings if DuckDB cannot hold the value that old rows have in it");
    Run(absl::StrCat(Alter(), "ALTER COLUMN ", SqlIdentifier(step.column), " DROP DEFAULT"), step.column);
  }
  table_.columns.push_back({.name = step.column, .type = DuckdbType(type)});
  return absl::OkStatus();
}

void Plan::DropColumn(const SchemaStep& step) {
  PresentColumn* column = table_.Find(step.column);
  if (append()) {
    Remark(absl::StrCat("column ", step.column, " stays, with what the log says of it; new rows have null in it"));
    if (!column->nullable) DropNotNull(column);
    return;
  }
  if (table_.columns.size() == 1) {
    // DuckDB wants one column at any time.
    dropped_last_ = absl::StrCat(column->name, kDroppedLast);
    Run(absl::StrCat(Alter(), "RENAME COLUMN ", SqlIdentifier(column->name), " TO ", SqlIdentifier(*dropped_last_)),
        step.column);
    column->name = *dropped_last_;
    return;
  }
  Run(absl::StrCat(Alter(), "DROP COLUMN ", SqlIdentifier(column->name)), step.column);
  table_.columns.erase(table_.columns.begin() + (column - table_.columns.data()));
}

absl::Status Plan::RenameColumn(const SchemaStep& step) {
  PresentColumn* column = table_.Find(step.old_name);
  if (column == nullptr || column->name == step.column) return absl::OkStatus();
  if (const PresentColumn* other = table_.Find(step.column); other != nullptr && other != column) {
    return absl::FailedPreconditionError(
        absl::StrCat("table ", table_.table.Quoted(), ", column ", step.old_name, ": it is now ", step.column,
                     " at the source, and the destination has a column of that name with earlier values; run ", Alter(),
                     "RENAME COLUMN ", SqlIdentifier(other->name), " TO another name, then apply the change again"));
  }
  Run(absl::StrCat(Alter(), "RENAME COLUMN ", SqlIdentifier(column->name), " TO ", SqlIdentifier(step.column)),
      step.column);
  column->name = step.column;
  return absl::OkStatus();
}

void Plan::Retype(const SchemaStep& step, PresentColumn* column) {
  const std::string type = DuckdbType(options_.MappedType(after(), step.definition));
  const std::string name = SqlIdentifier(column->name);
  if (DuckdbTypeHolds(column->type, type)) {
    Remark(absl::StrCat("column ", step.column, " stays ", column->type, ", which holds the new values"));
    return;
  }
  const std::string old_type = std::exchange(column->type, type);
  const std::string to = absl::StrCat(Alter(), "ALTER COLUMN ", name, " TYPE ", type);
  if (DuckdbTypeHolds(type, old_type)) return Run(to, step.column);
  const std::string text = DuckdbTextOf(name, old_type);
  if (!append()) {
    // Rows that are copied again need no value until then.
    return Run(absl::StrCat(to, " USING ", change_.copy ? "TRY_CAST(" : "CAST(", text, " AS ", type, ")"), step.column,
               "run the statement by hand with an expression that fits the values, then apply the change again");
  }
  std::string guard;
  if (type != "VARCHAR") {
    guard = absl::StrCat("SELECT ", SqlLiteral(kValuesWouldBeLost), " FROM ", table_.table.Quoted(),
                         " WHERE TRY_CAST(CAST(TRY_CAST(", text, " AS ", type, ") AS VARCHAR) AS ", old_type,
                         ") IS DISTINCT FROM ", name, " LIMIT 1");
  }
  Run(absl::StrCat(to, " USING CAST(", text, " AS ", type, ")"), step.column,
      absl::StrCat("keep the old values under another name: run ", Alter(), "RENAME COLUMN ", name,
                   " TO another name, then apply the change again"),
      std::move(guard));
}

void Plan::DropNotNull(PresentColumn* column) {
  Run(absl::StrCat(Alter(), "ALTER COLUMN ", SqlIdentifier(column->name), " DROP NOT NULL"), column->name);
  column->nullable = true;
}

absl::Status Plan::Key() {
  Remark("tables have no primary key here; rows are found by the source's key");
  const std::set<std::string> key = FoldedKey(change_.after->Visible());
  const std::set<std::string> old_key = FoldedKey(change_.before->Visible());
  for (const std::set<std::string>& unique : table_.unique) {
    // Unique by more columns than the key's: never in the way.
    const bool harmless = !key.empty() && std::includes(unique.begin(), unique.end(), key.begin(), key.end());
    if (append() || harmless || unique != old_key) continue;
    return absl::FailedPreconditionError(absl::StrCat(
        "table ", table_.table.Quoted(), ": its PRIMARY KEY or UNIQUE constraint on (", absl::StrJoin(unique, ", "),
        ") is the source's former key and would refuse rows that are legal there now, and DuckDB cannot drop it; make "
        "the table anew without it (CREATE TABLE ... AS FROM ..., DROP TABLE, ALTER TABLE ... RENAME TO), then apply "
        "the change again"));
  }
  return absl::OkStatus();
}

// ---- the table as it is ----

absl::StatusOr<std::optional<PresentTable>> LoadTable(DuckdbConnection* connection, const DuckdbTable& table) {
  const auto where = [&](const char* function, std::string_view column) {
    return absl::StrCat(" FROM ", function, "() WHERE database_name = ", SqlLiteral(table.catalog),
                        " AND lower(schema_name) = lower(", SqlLiteral(table.schema), ") AND lower(", column,
                        ") = lower(", SqlLiteral(table.name), ")");
  };
  ASSIGN_OR_RETURN(auto columns,
                   connection->Query(absl::StrCat(
                       "SELECT column_name, data_type, is_nullable::INTEGER, (column_default IS NOT NULL)::INTEGER",
                       where("duckdb_columns", "table_name"), " ORDER BY column_index")));
  if (columns.empty()) return std::nullopt;
  PresentTable present{.table = table};
  for (const DuckdbRow& row : columns) {
    present.columns.push_back({row[0].value_or(""), row[1].value_or(""), row[2] == "1", row[3] == "1"});
  }
  ASSIGN_OR_RETURN(auto indexes, connection->Query(absl::StrCat("SELECT schema_name, index_name",
                                                                where("duckdb_indexes", "table_name"))));
  for (const DuckdbRow& row : indexes) {
    present.indexes.push_back(
        absl::StrCat(SqlIdentifier(row[0].value_or("")), ".", SqlIdentifier(row[1].value_or(""))));
  }
  ASSIGN_OR_RETURN(auto constraints, connection->Query(absl::StrCat(
                                         "SELECT constraint_index, constraint_type, unnest(constraint_column_names)",
                                         where("duckdb_constraints", "table_name"), " ORDER BY constraint_index")));
  std::optional<std::string> last;
  for (const DuckdbRow& row : constraints) {
    present.constrained = true;
    if (row[1] != "PRIMARY KEY" && row[1] != "UNIQUE") continue;
    if (row[0] != last) present.unique.emplace_back();
    last = row[0];
    present.unique.back().insert(absl::AsciiStrToLower(row[2].value_or("")));
  }
  return present;
}

// The table as the destination made it.
PresentTable AssumedTable(const DuckdbTable& table, const Relation& relation, const TableOptions& options) {
  PresentTable assumed{.table = table};
  for (const Column& column : relation.columns) {
    assumed.columns.push_back({.name = column.name, .type = DuckdbType(options.MappedType(relation, column))});
  }
  if (options.write_mode == WriteMode::kAppend) assumed.columns.push_back({.name = kOpColumn, .type = "VARCHAR"});
  return assumed;
}

DdlStatement DropStatement(const DuckdbTable& table, const TableOptions& options) {
  if (options.write_mode == WriteMode::kAppend) {
    return {.sql = absl::StrCat("-- ", table.Quoted(), " stays: the log of a dropped table is kept")};
  }
  return {.sql = absl::StrCat("DROP TABLE ", table.Quoted())};
}

// ---- running ----

absl::Status RunStatement(DuckdbConnection* connection, const DdlStatement& statement, const PresentTable& table) {
  if (statement.is_remark()) return absl::OkStatus();
  const std::string shown = table.table.Quoted();
  if (!statement.guard.empty()) {
    auto rows = connection->Query(statement.guard);
    if (!rows.ok()) return ExplainDdl(rows.status(), shown, statement);
    if (!rows->empty()) {
      return ExplainDdl(absl::FailedPreconditionError(rows->front().front().value_or("")), shown, statement);
    }
  }
  const absl::Status status = connection->Execute(statement.sql).status();
  if (status.ok() || table.indexes.empty() || !absl::StrContains(status.message(), "depend")) {
    return ExplainDdl(status, shown, statement);
  }
  DdlStatement blocked = statement;
  blocked.remedy = absl::StrCat("DuckDB does not alter a table that has an index in the way: run DROP INDEX ",
                                absl::StrJoin(table.indexes, "; DROP INDEX "),
                                ", apply the change again, then create the index anew");
  return ExplainDdl(status, shown, blocked);
}

absl::Status DropTable(DuckdbConnection* connection, const DuckdbTable& table, const TableOptions& options) {
  ASSIGN_OR_RETURN(const std::optional<PresentTable> present, LoadTable(connection, table));
  if (!present) return absl::OkStatus();
  return RunStatement(connection, DropStatement(table, options), *present);
}

// The one table that the change is about, under its old or its new name; nothing when there is neither.
absl::StatusOr<std::optional<PresentTable>> FindTable(DuckdbConnection* connection, const DuckdbTable& before,
                                                      const DuckdbTable& after) {
  ASSIGN_OR_RETURN(std::optional<PresentTable> present, LoadTable(connection, after));
  if (SameTable(before, after)) return present;
  ASSIGN_OR_RETURN(std::optional<PresentTable> old, LoadTable(connection, before));
  if (old && present) return BothNamesError(before.Quoted(), after.Quoted());
  return old ? std::move(old) : std::move(present);
}

absl::Status AlterTable(DuckdbConnection* connection, const SchemaChange& change, const TableOptions& options,
                        const DuckdbProgress& progress, const DuckdbTables& tables) {
  const DuckdbTable target = tables.Target(*connection, change.after->relation);
  ASSIGN_OR_RETURN(std::optional<PresentTable> present,
                   FindTable(connection, tables.Target(*connection, change.before->relation), target));
  if (!present) return absl::OkStatus();
  const std::string mark = ChangeMark(change);
  ASSIGN_OR_RETURN(const bool recorded, progress.IsRecorded(connection, change.Table(), mark));
  Plan plan(change, options, *present);
  RETURN_IF_ERROR(plan.Make(target, recorded));
  for (const DdlStatement& statement : plan.statements) {
    RETURN_IF_ERROR(RunStatement(connection, statement, *present));
  }
  return plan.unclear ? progress.RecordChange(connection, change.Table(), mark) : absl::OkStatus();
}

}  // namespace

std::vector<std::string> DuckdbDdl(const SchemaChange& change, const TableOptions& options,
                                   const DuckdbTables& tables) {
  const auto named = [&](const Relation& relation) {
    return DuckdbTable{.schema = options.TargetSchema(relation), .name = options.TargetTable(relation)};
  };
  if (!change.after) {
    if (!change.before) return {};
    return {DropStatement(named(change.before->relation), options).sql};
  }
  const DuckdbTable target = named(change.after->relation);
  if (!change.before) return tables.CreateStatements(target, change.after->Visible());
  Plan plan(change, options, AssumedTable(named(change.before->relation), change.before->Visible(), options));
  const absl::Status status = plan.Make(target, /*recorded=*/false);
  if (!status.ok()) return {absl::StrCat("-- ", status.message())};
  return ShownStatements(plan.statements);
}

absl::Status FollowSchemaChange(DuckdbConnection* connection, const SchemaChange& change, const TableOptions& options,
                                const DuckdbProgress& progress, DuckdbTables* tables) {
  if (change.before) tables->Forget(change.before->relation);
  if (!change.after) {
    if (!change.before) return absl::OkStatus();
    return DropTable(connection, tables->Target(*connection, change.before->relation), options);
  }
  tables->Forget(change.after->relation);
  const auto relation = std::make_shared<Relation>(change.after->Visible());
  if (!change.before) return tables->Ready(connection, relation).status();
  RETURN_IF_ERROR(AlterTable(connection, change, options, progress, *tables));
  // What Write() would refuse is better known now.
  return tables->Check(connection, *relation);
}

}  // namespace wallaby
