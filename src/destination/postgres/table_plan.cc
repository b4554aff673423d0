#include "destination/postgres/table_plan.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/sql_text.h"
#include "base/status.h"
#include "destination/destination.h"

namespace wallaby {
namespace {

struct MetaColumn {
  const char* name;
  const char* type;
};
constexpr MetaColumn kMetaColumns[] = {{kOpColumn, "text"},
                                       {kLsnColumn, "bigint"},
                                       {kSeqColumn, "bigint"},
                                       {kCommitTimeColumn, "timestamp with time zone"},
                                       {kUnchangedColumn, "text"}};

bool IsMetaColumn(std::string_view name) {
  return std::any_of(std::begin(kMetaColumns), std::end(kMetaColumns),
                     [name](const MetaColumn& c) { return name == c.name; });
}

// Types whose binary form is the text itself.
bool IsPlainText(uint32_t oid) {
  constexpr uint32_t kJson = 114, kText = 25, kBpchar = 1042, kVarchar = 1043;
  return oid == kText || oid == kVarchar || oid == kBpchar || oid == kJson;
}

bool SameBinary(const PgType& source, uint32_t destination) {
  if (IsBuiltinOid(source.oid)) {
    return source.oid == destination || (IsPlainText(source.oid) && IsPlainText(destination));
  }
  return source.binary && source.logical == LogicalType::kText && IsPlainText(destination);  // an enum's label
}

std::vector<std::string> KeyNames(const Relation& relation) {
  std::vector<std::string> names;
  for (int column : relation.key) names.push_back(relation.columns[column].name);
  return names;
}

std::string QuotedList(const std::vector<std::string>& names) {
  return absl::StrJoin(names, ", ", [](std::string* out, const std::string& name) { *out += SqlIdentifier(name); });
}

}  // namespace

std::string TablePlan::ColumnList() const {
  return absl::StrJoin(columns, ", ", [](std::string* out, const PlannedColumn& c) { *out += c.sql; });
}

std::string TablePlan::KeyList() const {
  return absl::StrJoin(key, ", ", [this](std::string* out, int i) { *out += columns[i].sql; });
}

std::string TablePlan::TruncateSql() const {
  return absl::StrCat(can_truncate ? "TRUNCATE TABLE " : "DELETE FROM ", table);
}

bool TablePlan::FitsBinary(const RowFields& fields, bool key_only) const {
  for (const PlannedColumn& column : columns) {
    if (key_only && !column.key) continue;
    const FieldKind kind = fields[column.source].kind;
    if (kind == FieldKind::kText || (kind == FieldKind::kBinary && !column.same_binary)) return false;
  }
  return true;
}

bool TablePlan::KeysDiffer(const RowFields& one, const RowFields& other) const {
  return std::any_of(key.begin(), key.end(), [&](int i) {
    const Field& field = one[columns[i].source];
    const Field& beside = other[columns[i].source];
    return field.kind != beside.kind || field.bytes != beside.bytes;
  });
}

std::vector<std::string> DeclaredTypes(const Relation& relation, const TableOptions& options) {
  std::vector<std::string> types;
  for (const Column& column : relation.columns) types.push_back(options.MappedType(relation, column).sql_name);
  return types;
}

std::string CreateTableSql(const Relation& relation, const TableOptions& options,
                           const std::vector<std::string>& types) {
  std::vector<std::string> parts;
  for (size_t i = 0; i < relation.columns.size(); ++i) {
    parts.push_back(absl::StrCat(SqlIdentifier(relation.columns[i].name), " ", types[i]));
  }
  if (options.write_mode == WriteMode::kAppend) {
    for (const MetaColumn& column : kMetaColumns) parts.push_back(absl::StrCat(column.name, " ", column.type));
  } else if (relation.has_key()) {
    parts.push_back(absl::StrCat("PRIMARY KEY (", QuotedList(KeyNames(relation)), ")"));
  }
  return absl::StrCat("CREATE TABLE ", QualifiedSql(options.TargetSchema(relation), options.TargetTable(relation)),
                      " (", absl::StrJoin(parts, ", "), ")");
}

std::string TablePlans::Shown(const Relation& relation) const {
  return absl::StrCat(options_.TargetSchema(relation), ".", options_.TargetTable(relation));
}

absl::StatusOr<TablePlan*> TablePlans::Get(const RelationPtr& relation) {
  std::unique_ptr<TablePlan>& plan = plans_[{options_.TargetSchema(*relation), options_.TargetTable(*relation)}];
  if (plan != nullptr && plan->relation == relation) return plan.get();
  if (plan != nullptr && plan->relation->oid == relation->oid && plan->relation->SameShape(*relation)) {
    plan->relation = relation;
    return plan.get();
  }
  ASSIGN_OR_RETURN(TablePlan made, Make(relation));
  if (plan != nullptr) {
    made.keys_may_be_there = plan->keys_may_be_there;
    if (!plan->stage.empty()) {
      RETURN_IF_ERROR(session_.Add(absl::StrCat("DROP TABLE pg_temp.", plan->stage), plan->shown));
    }
    retired_.push_back(std::move(plan));
  }
  plan = std::make_unique<TablePlan>(std::move(made));
  return plan.get();
}

absl::Status TablePlans::Forget(const Relation& relation) {
  const auto it = plans_.find({options_.TargetSchema(relation), options_.TargetTable(relation)});
  if (it == plans_.end()) return absl::OkStatus();
  const std::string stage = it->second->stage, shown = it->second->shown;
  retired_.push_back(std::move(it->second));
  plans_.erase(it);
  return stage.empty() ? absl::OkStatus() : session_.Add(absl::StrCat("DROP TABLE pg_temp.", stage), shown);
}

void TablePlans::AfterCommit() {
  retired_.clear();
  for (auto& [name, plan] : plans_) plan->stage_used = false;
}

absl::StatusOr<TablePlan> TablePlans::Make(const RelationPtr& relation) {
  const std::string schema = options_.TargetSchema(*relation);
  const std::string name = options_.TargetTable(*relation);
  ASSIGN_OR_RETURN(std::optional<DestinationTable> table, LoadTable(session_, schema, name));
  if (!table) {
    RETURN_IF_ERROR(Create(*relation));
  } else {
    RETURN_IF_ERROR(CheckExisting(*relation, *table));
    RETURN_IF_ERROR(AddColumns(*relation, *table));
  }
  ASSIGN_OR_RETURN(table, LoadTable(session_, schema, name));
  if (!table) return absl::InternalError(absl::StrCat("table ", Shown(*relation), " is not there after its creation"));

  TablePlan plan;
  plan.relation = relation;
  plan.table = QualifiedSql(schema, name);
  plan.shown = Shown(*relation);
  plan.can_truncate = table->can_truncate;
  for (size_t i = 0; i < relation->columns.size(); ++i) {
    const Column& column = relation->columns[i];
    const DestinationColumn* found = table->Find(column.name);
    if (found == nullptr) return absl::InternalError(absl::StrCat(plan.shown, " has no column ", column.name));
    if (found->generated) continue;
    const bool key = std::count(relation->key.begin(), relation->key.end(), static_cast<int>(i)) > 0;
    if (key) plan.key.push_back(static_cast<int>(plan.columns.size()));
    plan.columns.push_back({static_cast<int>(i), SqlIdentifier(column.name), found->type_sql, key,
                            SameBinary(column.type, found->type_oid)});
  }
  if (plan.columns.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat("table ", plan.shown, " has no column that can be written; take it out of the publication"));
  }
  return plan;
}

// ---- making what is missing ----

absl::StatusOr<std::vector<std::string>> TablePlans::NewTypes(const Relation& relation) {
  std::vector<std::string> types = DeclaredTypes(relation, options_);
  std::string list;
  for (size_t i = 0; i < types.size(); ++i) {
    // A negative scale is known from PostgreSQL 15 on.
    if (session_.server_major() < 15 && absl::StrContains(types[i], ",-")) types[i] = "numeric";
    absl::StrAppend(&list, list.empty() ? "" : ", ", "(", i, ", to_regtype(", SqlLiteral(types[i]), "))");
  }
  if (types.empty()) return types;
  ASSIGN_OR_RETURN(const PgRows rows,
                   session_.Query(absl::StrCat("SELECT i FROM (VALUES ", list, ") t(i, type) WHERE type IS NULL")));
  for (int i = 0; i < rows.size(); ++i) types[static_cast<size_t>(rows.Int(i, 0))] = "text";
  return types;
}

absl::Status TablePlans::Create(const Relation& relation) {
  const std::string schema = options_.TargetSchema(relation);
  ASSIGN_OR_RETURN(const std::vector<std::string> types, NewTypes(relation));
  // IF NOT EXISTS would ask for the right to create schemas even where the schema exists.
  ASSIGN_OR_RETURN(const PgRows found, session_.Select("SELECT FROM pg_namespace WHERE nspname = $1", {schema}));
  if (found.size() == 0) {
    RETURN_IF_ERROR(
        session_.Query(absl::StrCat("CREATE SCHEMA IF NOT EXISTS ", SqlIdentifier(schema)), Shown(relation)).status());
  }
  return session_.Query(CreateTableSql(relation, options_, types), Shown(relation)).status();
}

absl::Status TablePlans::AddColumns(const Relation& relation, const DestinationTable& table) {
  ASSIGN_OR_RETURN(const std::vector<std::string> types, NewTypes(relation));
  std::vector<std::string> parts;
  auto add = [&](std::string_view name, std::string_view type) {
    if (table.Find(name) == nullptr) parts.push_back(absl::StrCat("ADD COLUMN ", SqlIdentifier(name), " ", type));
  };
  for (size_t i = 0; i < relation.columns.size(); ++i) add(relation.columns[i].name, types[i]);
  if (append()) {
    for (const MetaColumn& column : kMetaColumns) add(column.name, column.type);
  }
  if (parts.empty()) return absl::OkStatus();
  const std::string name = QualifiedSql(options_.TargetSchema(relation), options_.TargetTable(relation));
  return session_.Query(absl::StrCat("ALTER TABLE ", name, " ", absl::StrJoin(parts, ", ")), Shown(relation)).status();
}

// ---- checks ----

absl::Status TablePlans::CheckColumns(const Relation& relation, const DestinationTable& table) const {
  for (size_t i = 0; i < relation.columns.size(); ++i) {
    const DestinationColumn* column = table.Find(relation.columns[i].name);
    if (column == nullptr || append()) continue;
    const bool key = std::count(relation.key.begin(), relation.key.end(), static_cast<int>(i)) > 0;
    if (key && column->generated) {
      return absl::FailedPreconditionError(absl::StrCat(
          "destination table ", Shown(relation), ": key column ", column->name,
          " is generated there, so that rows cannot be found by the source's value; make it an ordinary column"));
    }
    if (!key && column->identity_always) {
      return absl::FailedPreconditionError(
          absl::StrCat("destination table ", Shown(relation), ": column ", column->name,
                       " is GENERATED ALWAYS AS IDENTITY and could not be updated; run: ALTER TABLE ",
                       QualifiedSql(options_.TargetSchema(relation), options_.TargetTable(relation)), " ALTER COLUMN ",
                       SqlIdentifier(column->name), " SET GENERATED BY DEFAULT"));
    }
  }
  return absl::OkStatus();
}

absl::Status TablePlans::CheckExisting(const Relation& relation, const DestinationTable& table) const {
  const std::string shown = Shown(relation);
  const std::string sql = QualifiedSql(options_.TargetSchema(relation), options_.TargetTable(relation));
  if (!table.is_table) {
    return absl::FailedPreconditionError(
        absl::StrCat("destination ", shown, " is not a table; drop it, or write elsewhere with option schema"));
  }
  if (table.row_security) {
    return absl::FailedPreconditionError(
        absl::StrCat("destination table ", shown,
                     " has row level security, under which rows would be left out; run: "
                     "ALTER ROLE ... BYPASSRLS, or ALTER TABLE ",
                     sql, " DISABLE ROW LEVEL SECURITY"));
  }
  RETURN_IF_ERROR(CheckColumns(relation, table));
  if (!append()) {
    const std::vector<std::string> key = KeyNames(relation);
    if (key.empty() || table.HasUniqueIndexOn(key)) return absl::OkStatus();
    return absl::FailedPreconditionError(absl::StrCat(
        "destination table ", shown, " has no unique index on the source's key; run: CREATE UNIQUE INDEX ON ", sql,
        " (", QuotedList(key), "); where the key at the source has more columns, the publication does not carry them: ",
        "wallaby-admin doctor, check replica_identity, prints what to do there instead"));
  }
  for (const UniqueIndex& index : table.unique_indexes) {
    // A change of the key is two rows at one position, which differ in the op only.
    if (std::find(index.columns.begin(), index.columns.end(), kOpColumn) != index.columns.end()) continue;
    return absl::FailedPreconditionError(
        absl::StrCat("destination table ", shown, ": append mode writes a row for every change, and the unique index ",
                     index.name, " would refuse the second for a key; drop it, or write elsewhere with option schema"));
  }
  return absl::OkStatus();
}

absl::Status TablePlans::CheckMayCreate(const std::string& schema, const std::string& shown) {
  ASSIGN_OR_RETURN(
      const PgRows rows,
      session_.Select("SELECT has_schema_privilege(oid, 'CREATE') FROM pg_namespace WHERE nspname = $1", {schema}));
  if (rows.size() > 0) {
    if (rows.Bool(0, 0)) return absl::OkStatus();
    return absl::PermissionDeniedError(absl::StrCat(
        "destination table ", shown, " is missing and cannot be created; run: GRANT USAGE, CREATE ON SCHEMA ",
        SqlIdentifier(schema), " TO the destination's role"));
  }
  ASSIGN_OR_RETURN(const PgRows database, session_.Query("SELECT has_database_privilege(current_database(), 'CREATE'), "
                                                         "quote_ident(current_database())"));
  if (database.Bool(0, 0)) return absl::OkStatus();
  return absl::PermissionDeniedError(absl::StrCat("schema ", schema, " for destination table ", shown,
                                                  " is missing and cannot be created; run: "
                                                  "GRANT CREATE ON DATABASE ",
                                                  database.Text(0, 1),
                                                  " TO the destination's role, or create the schema"));
}

absl::Status TablePlans::Check(const Relation& relation) {
  const std::string schema = options_.TargetSchema(relation);
  const std::string shown = Shown(relation);
  if (append()) {
    for (const Column& column : relation.columns) {
      if (!IsMetaColumn(column.name)) continue;
      return absl::FailedPreconditionError(absl::StrCat("table ", relation.QualifiedName(), ": column ", column.name,
                                                        " has the name of a column that append mode adds; rename it"));
    }
  }
  ASSIGN_OR_RETURN(const std::optional<DestinationTable> table,
                   LoadTable(session_, schema, options_.TargetTable(relation)));
  if (!table) return CheckMayCreate(schema, shown);
  RETURN_IF_ERROR(CheckExisting(relation, *table));
  if (!table->missing_rights.empty()) {
    return absl::PermissionDeniedError(
        absl::StrCat("destination table ", shown, ": rights are missing; run: GRANT ", table->missing_rights, " ON ",
                     QualifiedSql(schema, options_.TargetTable(relation)), " TO the destination's role"));
  }
  if (table->owned) return absl::OkStatus();
  for (const Column& column : relation.columns) {
    if (table->Find(column.name) != nullptr) continue;
    return absl::PermissionDeniedError(
        absl::StrCat("destination table ", shown, " has no column ", column.name,
                     ", and only the table's owner can add it; add it, or make the role a member of the owner"));
  }
  return absl::OkStatus();
}

absl::Status TablePlans::CheckPresent(const Relation& relation) {
  ASSIGN_OR_RETURN(const std::optional<DestinationTable> table,
                   LoadTable(session_, options_.TargetSchema(relation), options_.TargetTable(relation)));
  const std::string shown = absl::StrCat("destination table ", Shown(relation));
  if (!table) return absl::FailedPreconditionError(shown + " is missing");
  for (const Column& column : relation.columns) {
    if (table->Find(column.name) != nullptr) continue;
    return absl::FailedPreconditionError(absl::StrCat(shown, " has no column ", column.name));
  }
  return absl::OkStatus();
}

}  // namespace wallaby
