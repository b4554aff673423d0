#include "destination/postgres/schema_change.h"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/sql_text.h"
#include "base/status.h"
#include "destination/postgres/column_types.h"
#include "destination/postgres/destination_table.h"
#include "destination/schema_steps.h"

namespace wallaby {
namespace {

constexpr char kOwnIndex[] = "wallaby_key_";
constexpr char kDependents[] =
    "drop or alter what depends on it there, apply the change again, then make the dependents anew";

using Names = std::vector<std::string>;

Names KeyNames(const Relation& relation) {
  Names names;
  for (const int column : relation.key) names.push_back(relation.columns[column].name);
  return names;
}

bool SameNames(const Names& a, const Names& b) {
  return a.size() == b.size() && std::is_permutation(a.begin(), a.end(), b.begin());
}

bool Contains(const Names& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::string QuotedList(const Names& names) {
  return absl::StrJoin(names, ", ", [](std::string* out, const std::string& name) { *out += SqlIdentifier(name); });
}

struct NamedTable {
  std::string schema;
  std::string name;
  DestinationTable table;

  DestinationColumn* Find(std::string_view column) {
    auto it = std::find_if(table.columns.begin(), table.columns.end(),
                           [column](const DestinationColumn& c) { return c.name == column; });
    return it == table.columns.end() ? nullptr : &*it;
  }
};

using TypesByName = std::map<std::string, std::string>;

TypesByName ByName(const Relation& relation, const std::vector<std::string>& types) {
  TypesByName by_name;
  for (size_t i = 0; i < types.size(); ++i) by_name.emplace(relation.columns[i].name, types[i]);
  return by_name;
}

// ---- from steps to statements ----

// Walks the steps and carries out on its picture of the table what it writes down.
class Plan {
 public:
  // `types`: of the columns after the change.
  Plan(const SchemaChange& change, const TableOptions& options, NamedTable table, TypesByName types)
      : change_(change), options_(options), table_(std::move(table)), types_(std::move(types)) {}

  // The table of the constructor is there, under the old name or the new one.
  absl::Status Make(bool recorded, bool schema_is_there);

  std::vector<DdlStatement> statements;
  bool unclear = false;

 private:
  bool append() const { return options_.write_mode == WriteMode::kAppend; }
  std::string Sql() const { return QualifiedSql(table_.schema, table_.name); }
  std::string Alter() const { return absl::StrCat("ALTER TABLE ", Sql(), " "); }
  std::string AlterColumn(std::string_view name) const {
    return absl::StrCat(Alter(), "ALTER COLUMN ", SqlIdentifier(name), " ");
  }
  void Remark(std::string_view text) { statements.push_back({.sql = absl::StrCat("-- ", text)}); }
  void Run(std::string sql, std::string_view column = "", std::string_view remedy = "", std::string guard = "");

  std::string TypeOf(const SchemaStep& step) const;
  absl::Status Step(const SchemaStep& step, bool done);
  void Rename(bool schema_is_there);
  void AddColumn(const SchemaStep& step);
  void DropColumn(const SchemaStep& step);
  absl::Status RenameColumn(const SchemaStep& step);
  void Retype(const SchemaStep& step, DestinationColumn* column);
  void RetypeLog(const std::string& type, const DestinationColumn& column);
  void Key();
  void DropFormerKey(const Names& key);
  void Empty();
  void DropNotNullAtTheEnd(const std::string& column);
  void DropNotNull();
  std::string IndexesInTheWay(const std::string& column) const;

  const SchemaChange& change_;
  const TableOptions& options_;
  NamedTable table_;
  const TypesByName types_;
  Names old_key_;        // by the columns' present names
  Names drop_not_null_;  // not before the key is another
  bool emptied_ = false;
};

void Plan::Run(std::string sql, std::string_view column, std::string_view remedy, std::string guard) {
  statements.push_back({std::move(sql), std::string(column), std::move(guard), std::string(remedy)});
}

absl::Status Plan::Make(bool recorded, bool schema_is_there) {
  NamesOfTable names{.shown = absl::StrCat(options_.TargetSchema(change_.after->relation), ".",
                                           options_.TargetTable(change_.after->relation)),
                     .keeps_dropped = append(),
                     .recorded = recorded};
  for (const DestinationColumn& column : table_.table.columns) names.names.insert(column.name);
  ASSIGN_OR_RETURN(const StepsDone steps, FindStepsDone(change_, names));
  unclear = steps.unclear;
  old_key_ = KeyNames(change_.before->Visible());
  for (size_t i = 0; i < change_.steps.size(); ++i) {
    const SchemaStep& step = change_.steps[i];
    if (step.kind != SchemaStepKind::kRenameColumn || !steps.done[i]) continue;
    std::replace(old_key_.begin(), old_key_.end(), step.old_name, step.column);
  }
  for (size_t i = 0; i < change_.steps.size(); ++i) {
    if (change_.steps[i].kind == SchemaStepKind::kRenameTable) {
      Rename(schema_is_there);
    } else {
      RETURN_IF_ERROR(Step(change_.steps[i], steps.done[i]));
    }
  }
  DropNotNull();
  return absl::OkStatus();
}

absl::Status Plan::Step(const SchemaStep& step, bool done) {
  DestinationColumn* column = table_.Find(step.column);
  switch (step.kind) {
    case SchemaStepKind::kAddColumn:
      AddColumn(step);
      return absl::OkStatus();
    case SchemaStepKind::kDropColumn:
      if ((append() || !done) && column != nullptr) DropColumn(step);
      return absl::OkStatus();
    case SchemaStepKind::kRenameColumn:
      return done ? absl::OkStatus() : RenameColumn(step);
    case SchemaStepKind::kRetypeColumn:
      if (column != nullptr) Retype(step, column);
      return absl::OkStatus();
    case SchemaStepKind::kNullability:
      Remark(absl::StrCat(DescribeStep(step), ": columns but the key's are nullable here"));
      if (!step.detail.not_null) DropNotNullAtTheEnd(step.column);
      return absl::OkStatus();
    case SchemaStepKind::kDefault:
      Remark(absl::StrCat(DescribeStep(step), ": columns have no defaults here"));
      return absl::OkStatus();
    case SchemaStepKind::kKey:
      Key();
      return absl::OkStatus();
    default:
      return absl::OkStatus();
  }
}

std::string Plan::TypeOf(const SchemaStep& step) const {
  const auto found = types_.find(step.definition.name);
  if (found != types_.end()) return found->second;
  return options_.MappedType(change_.after->relation, step.definition).sql_name;
}

void Plan::Rename(bool schema_is_there) {
  const std::string schema = options_.TargetSchema(change_.after->relation);
  const std::string name = options_.TargetTable(change_.after->relation);
  if (table_.schema == schema && table_.name == name) return Remark(absl::StrCat("the table stays ", Sql()));
  if (table_.schema != schema) {
    if (!schema_is_there) Run(absl::StrCat("CREATE SCHEMA IF NOT EXISTS ", SqlIdentifier(schema)));
    Run(absl::StrCat(Alter(), "SET SCHEMA ", SqlIdentifier(schema)));
    table_.schema = schema;
  }
  if (table_.name == name) return;
  Run(absl::StrCat(Alter(), "RENAME TO ", SqlIdentifier(name)));
  table_.name = name;
}

void Plan::AddColumn(const SchemaStep& step) {
  const std::string type = TypeOf(step);
  if (DestinationColumn* column = table_.Find(step.column); column != nullptr) {
    // Append mode kept a column of this name.
    if (append() && !PostgresTypeHolds(column->type_sql, type)) RetypeLog(type, *column);
    return;
  }
  const std::string add = absl::StrCat(Alter(), "ADD COLUMN ", SqlIdentifier(step.column), " ", type);
  if (append() || !step.detail.fill) {
    Run(add, step.column);
    if (append() && step.detail.fill) {
      Remark(absl::StrCat(step.column, " stays null in rows that are there: the log says what was known then"));
    }
  } else {
    Run(absl::StrCat(add, " DEFAULT ", SqlLiteral(*step.detail.fill), "::", type), step.column);
    Run(absl::StrCat(AlterColumn(step.column), "DROP DEFAULT"), step.column);
  }
  table_.table.columns.push_back({.name = step.column, .type_sql = type});
}

// PostgreSQL drops indexes with a column, whoever made them.
std::string Plan::IndexesInTheWay(const std::string& column) const {
  std::vector<std::string> ours = {"0"};
  for (const UniqueIndex& index : table_.table.unique_indexes) {
    if (SameNames(index.columns, old_key_)) ours.push_back(absl::StrCat(index.oid));
  }
  const std::string table = absl::StrCat(SqlLiteral(Sql()), "::regclass");
  return absl::StrCat(
      "SELECT 'index ' || string_agg(i.indexrelid::regclass::text, ', ') || ' depends on the column' FROM pg_index i "
      "JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attname = ",
      SqlLiteral(column), " WHERE i.indrelid = ", table, " AND i.indexrelid NOT IN (", absl::StrJoin(ours, ", "),
      ") AND (a.attnum = ANY (i.indkey) OR EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass "
      "AND d.objid = i.indexrelid AND d.refobjid = i.indrelid AND d.refobjsubid = a.attnum)) HAVING count(*) > 0");
}

void Plan::DropColumn(const SchemaStep& step) {
  if (append()) {
    Remark(absl::StrCat("column ", step.column, " stays, with what the log says of it; new rows have null in it"));
    return DropNotNullAtTheEnd(step.column);
  }
  Run(absl::StrCat(Alter(), "DROP COLUMN ", SqlIdentifier(step.column)), step.column, kDependents,
      IndexesInTheWay(step.column));
  std::erase_if(table_.table.columns, [&](const DestinationColumn& c) { return c.name == step.column; });
  std::erase_if(table_.table.unique_indexes, [&](const UniqueIndex& i) { return Contains(i.columns, step.column); });
}

absl::Status Plan::RenameColumn(const SchemaStep& step) {
  DestinationColumn* column = table_.Find(step.old_name);
  if (column == nullptr) return absl::OkStatus();
  if (table_.Find(step.column) != nullptr) {
    return absl::FailedPreconditionError(
        absl::StrCat("destination table ", Sql(), ", column ", step.old_name, ": it is now ", step.column,
                     " at the source, and the destination has a column of that name with earlier values; run ", Alter(),
                     "RENAME COLUMN ", SqlIdentifier(step.column), " TO another name, then apply the change again"));
  }
  Run(absl::StrCat(Alter(), "RENAME COLUMN ", SqlIdentifier(step.old_name), " TO ", SqlIdentifier(step.column)),
      step.column);
  column->name = step.column;
  std::replace(old_key_.begin(), old_key_.end(), step.old_name, step.column);
  for (UniqueIndex& index : table_.table.unique_indexes) {
    std::replace(index.columns.begin(), index.columns.end(), step.old_name, step.column);
  }
  return absl::OkStatus();
}

void Plan::Retype(const SchemaStep& step, DestinationColumn* column) {
  const std::string type = TypeOf(step);
  // A user's choice of text holds everything; where the source's type was text, it is ours.
  Column before = step.definition;
  before.type = step.old_type;
  const bool chosen_text =
      column->type_sql == "text" && options_.MappedType(change_.before->relation, before).sql_name != "text";
  if (chosen_text || column->generated || PostgresTypeHolds(column->type_sql, type)) {
    return Remark(absl::StrCat("column ", step.column, " stays ", column->type_sql, ", which holds the new values"));
  }
  if (append() && !step.widens) {
    RetypeLog(type, *column);
  } else if (step.widens) {
    Run(absl::StrCat(AlterColumn(step.column), "TYPE ", type), step.column, kDependents);
  } else if (change_.copy) {
    // Rows that are copied again need no value until then; where they must have one, there are none.
    if (column->not_null) Empty();
    Run(absl::StrCat(AlterColumn(step.column), "TYPE ", type, " USING NULL::", type), step.column, kDependents);
  } else {
    Run(absl::StrCat(AlterColumn(step.column), "TYPE ", type, " USING ",
                     PostgresCast(SqlIdentifier(step.column), column->type_sql, type)),
        step.column, "run the statement by hand with an expression that fits the values, then apply the change again");
  }
  column->type_sql = type;
}

void Plan::RetypeLog(const std::string& type, const DestinationColumn& column) {
  const std::string name = SqlIdentifier(column.name);
  const std::string cast = PostgresCast(name, column.type_sql, type);
  // By the text, as some types have no equality.
  const std::string back = PostgresCast(absl::StrCat("(", cast, ")"), type, column.type_sql);
  Run(absl::StrCat(AlterColumn(column.name), "TYPE ", type, " USING ", cast), column.name,
      absl::StrCat("keep the old values under another name: run ", Alter(), "RENAME COLUMN ", name,
                   " TO another name, then apply the change again"),
      absl::StrCat("SELECT ", SqlLiteral(kValuesWouldBeLost), " FROM ", Sql(), " WHERE (", back,
                   ")::text IS DISTINCT FROM ", name, "::text LIMIT 1"));
}

void Plan::Key() {
  if (append()) return Remark("a log has no key");
  const Names key = KeyNames(change_.after->Visible());
  DropFormerKey(key);
  if (key.empty()) return Remark("without a key, rows are found by all their values");
  if (table_.table.HasUniqueIndexOn(key)) return;
  // A column that is new is null in rows that are there.
  if (change_.copy) Empty();
  const bool has_primary = std::any_of(table_.table.unique_indexes.begin(), table_.table.unique_indexes.end(),
                                       [](const UniqueIndex& index) { return index.primary; });
  constexpr std::string_view kRemedy = "the rows there do not have the source's new key; copy the table again";
  if (has_primary) {
    Run(absl::StrCat("CREATE UNIQUE INDEX ", SqlIdentifier(absl::StrCat(kOwnIndex, table_.table.oid)), " ON ", Sql(),
                     " (", QuotedList(key), ")"),
        absl::StrJoin(key, ", "), kRemedy);
  } else {
    Run(absl::StrCat(Alter(), "ADD PRIMARY KEY (", QuotedList(key), ")"), absl::StrJoin(key, ", "), kRemedy);
  }
}

// The primary key on what identified rows until now: the source no longer sees to it.
void Plan::DropFormerKey(const Names& key) {
  if (SameNames(old_key_, key)) return;
  std::erase_if(table_.table.unique_indexes, [&](const UniqueIndex& index) {
    if (!SameNames(index.columns, old_key_)) return false;
    const bool own = absl::StrContains(index.name, kOwnIndex);
    if (index.primary) {
      Run(absl::StrCat(Alter(), "DROP CONSTRAINT ", index.constraint), absl::StrJoin(old_key_, ", "), kDependents);
    } else if (own && index.constraint.empty()) {
      Run(absl::StrCat("DROP INDEX ", QualifiedSql(table_.schema, absl::StrCat(kOwnIndex, table_.table.oid))));
    }
    return index.primary || own;
  });
  // A primary key leaves NOT NULL behind.
  for (const std::string& column : old_key_) {
    const int found = change_.after->FindName(column);
    if (found >= 0 && !change_.after->details[found].not_null) DropNotNullAtTheEnd(column);
  }
}

void Plan::Empty() {
  if (std::exchange(emptied_, true)) return;
  Remark("the table is copied again afterwards, so its rows can go");
  Run(absl::StrCat(table_.table.can_truncate ? "TRUNCATE TABLE " : "DELETE FROM ", Sql()));
}

void Plan::DropNotNullAtTheEnd(const std::string& column) {
  if (!Contains(drop_not_null_, column)) drop_not_null_.push_back(column);
}

void Plan::DropNotNull() {
  const Names key = append() ? Names() : KeyNames(change_.after->Visible());
  for (const std::string& name : drop_not_null_) {
    const DestinationColumn* column = table_.Find(name);
    if (column == nullptr || !column->not_null || Contains(key, name)) continue;
    Run(absl::StrCat(AlterColumn(name), "DROP NOT NULL"), name,
        "drop the primary key or identity of the destination's own that needs it");
  }
}

// ---- the table ----

// As the destination made it.
NamedTable AssumedTable(const SchemaChange& change, const TableOptions& options) {
  const Relation relation = change.before->Visible();
  NamedTable assumed{.schema = options.TargetSchema(relation), .name = options.TargetTable(relation), .table = {}};
  assumed.table.can_truncate = true;
  const std::vector<std::string> types = DeclaredTypes(relation, options);
  const Names key = options.write_mode == WriteMode::kAppend ? Names() : KeyNames(relation);
  for (size_t i = 0; i < types.size(); ++i) {
    const std::string& name = relation.columns[i].name;
    assumed.table.columns.push_back({.name = name, .type_sql = types[i], .not_null = Contains(key, name)});
  }
  if (!key.empty()) {
    const std::string constraint = SqlIdentifier(absl::StrCat(assumed.name, "_pkey"));
    assumed.table.unique_indexes.push_back(
        {.name = constraint, .columns = key, .plain = true, .primary = true, .constraint = constraint});
  }
  return assumed;
}

// The one table that the change is about, under its old or its new name; nothing when there is neither.
absl::StatusOr<std::optional<NamedTable>> FindTable(Session& session, const SchemaChange& change,
                                                    const TableOptions& options) {
  std::optional<NamedTable> found;
  std::string last;
  for (const TableShape* shape : {&*change.before, &*change.after}) {
    const std::string schema = options.TargetSchema(shape->relation);
    const std::string name = options.TargetTable(shape->relation);
    const std::string sql = QualifiedSql(schema, name);
    if (std::exchange(last, sql) == sql) continue;
    ASSIGN_OR_RETURN(std::optional<DestinationTable> table, LoadTable(session, schema, name));
    if (!table) continue;
    if (found) return BothNamesError(QualifiedSql(found->schema, found->name), sql);
    found = NamedTable{schema, name, *std::move(table)};
  }
  if (found && !found->table.is_table) {
    return absl::FailedPreconditionError(absl::StrCat("destination ", found->schema, ".", found->name,
                                                      " is not a table; drop it, then apply the change again"));
  }
  return found;
}

// ---- running ----

absl::Status RunStatement(Session& session, const DdlStatement& statement, const std::string& shown) {
  if (statement.is_remark()) return absl::OkStatus();
  if (!statement.guard.empty()) {
    const auto rows = session.Query(statement.guard);
    if (absl::IsInvalidArgument(rows.status())) {  // a cast of a value
      return ExplainDdl(absl::FailedPreconditionError(kValuesWouldBeLost), shown, statement);
    }
    if (!rows.ok()) return ExplainDdl(rows.status(), shown, statement);
    if (rows->size() > 0) {
      return ExplainDdl(absl::FailedPreconditionError(std::string(rows->Text(0, 0))), shown, statement);
    }
  }
  return ExplainDdl(session.Query(statement.sql).status(), shown, statement);
}

DdlStatement DropStatement(const Relation& relation, const TableOptions& options) {
  const std::string table = QualifiedSql(options.TargetSchema(relation), options.TargetTable(relation));
  if (options.write_mode == WriteMode::kAppend) {
    return {.sql = absl::StrCat("-- ", table, " stays: the log of a dropped table is kept")};
  }
  return {.sql = absl::StrCat("DROP TABLE ", table), .remedy = kDependents};
}

absl::Status DropTable(Session& session, const Relation& relation, const TableOptions& options) {
  const std::string name = options.TargetTable(relation);
  ASSIGN_OR_RETURN(const auto table, LoadTable(session, options.TargetSchema(relation), name));
  if (!table) return absl::OkStatus();
  return RunStatement(session, DropStatement(relation, options),
                      absl::StrCat(options.TargetSchema(relation), ".", name));
}

absl::Status AlterTable(Session& session, const SchemaChange& change, const TableOptions& options,
                        const ProgressTables& progress, TablePlans& plans) {
  ASSIGN_OR_RETURN(std::optional<NamedTable> table, FindTable(session, change, options));
  if (!table) return absl::OkStatus();
  const std::string schema = options.TargetSchema(change.after->relation);
  ASSIGN_OR_RETURN(const PgRows there, session.Select("SELECT FROM pg_namespace WHERE nspname = $1", {schema}));
  const Relation after = change.after->Visible();
  ASSIGN_OR_RETURN(const std::vector<std::string> types, plans.NewTypes(after));
  const std::string mark = ChangeMark(change);
  ASSIGN_OR_RETURN(const bool recorded, progress.IsRecorded(session, change.Table(), mark));
  const std::string shown = absl::StrCat(table->schema, ".", table->name);
  Plan plan(change, options, *std::move(table), ByName(after, types));
  RETURN_IF_ERROR(plan.Make(recorded, there.size() > 0));
  for (const DdlStatement& statement : plan.statements) RETURN_IF_ERROR(RunStatement(session, statement, shown));
  return plan.unclear ? progress.RecordChange(session, change.Table(), mark) : absl::OkStatus();
}

}  // namespace

std::vector<std::string> PostgresDdl(const SchemaChange& change, const TableOptions& options) {
  if (!change.after) {
    if (!change.before) return {};
    return {DropStatement(change.before->relation, options).sql};
  }
  const Relation after = change.after->Visible();
  const std::vector<std::string> types = DeclaredTypes(after, options);
  if (!change.before) {
    return {absl::StrCat("CREATE SCHEMA IF NOT EXISTS ", SqlIdentifier(options.TargetSchema(after))),
            CreateTableSql(after, options, types)};
  }
  Plan plan(change, options, AssumedTable(change, options), ByName(after, types));
  const absl::Status status = plan.Make(/*recorded=*/false, /*schema_is_there=*/false);
  if (!status.ok()) return {absl::StrCat("-- ", status.message())};
  return ShownStatements(plan.statements);
}

absl::Status FollowSchemaChange(Session& session, const SchemaChange& change, const TableOptions& options,
                                const ProgressTables& progress, TablePlans& plans) {
  if (change.before) RETURN_IF_ERROR(plans.Forget(change.before->relation));
  if (!change.after) {
    return change.before ? DropTable(session, change.before->relation, options) : absl::OkStatus();
  }
  RETURN_IF_ERROR(plans.Forget(change.after->relation));
  const auto relation = std::make_shared<Relation>(change.after->Visible());
  if (!change.before) return plans.Get(relation).status();
  RETURN_IF_ERROR(AlterTable(session, change, options, progress, plans));
  // What Write() would refuse is better known now.
  return plans.Check(*relation);
}

}  // namespace wallaby
