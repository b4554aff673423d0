#include "destination/duckdb/tables.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/sql_text.h"
#include "base/status.h"
#include "destination/duckdb/types.h"

namespace wallaby {
namespace {

// DuckDB compares names without regard to the case of ASCII letters.
std::string FoldedName(const DuckdbTable& table) {
  return absl::StrCat(absl::AsciiStrToLower(SqlIdentifier(table.schema)), ".",
                      absl::AsciiStrToLower(SqlIdentifier(table.name)));
}

absl::Status CheckNames(const Relation& relation, const std::vector<DuckdbColumn>& wanted) {
  if (relation.columns.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat("table ", relation.QualifiedName(),
                     " has no columns, which DuckDB does not allow; add a column or take it out of the publication"));
  }
  absl::flat_hash_map<std::string, std::string> seen;
  for (const DuckdbColumn& column : wanted) {
    auto [it, added] = seen.emplace(absl::AsciiStrToLower(column.name), column.name);
    if (added) continue;
    return absl::FailedPreconditionError(
        absl::StrCat("table ", relation.QualifiedName(), " has columns ", SqlIdentifier(it->second), " and ",
                     SqlIdentifier(column.name),
                     ", which are one name to DuckDB (case does not count there); rename one of them at the source"));
  }
  return absl::OkStatus();
}

absl::Status CheckColumn(const DuckdbTable& table, const Relation& relation, const DuckdbColumn& wanted,
                         const DuckdbColumn& present) {
  if (DuckdbTypeHolds(present.type, wanted.type)) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("column ", SqlIdentifier(present.name), " of the DuckDB table ", table.Quoted(), " is ",
                   present.type, ", and the source's table ", relation.QualifiedName(), " needs ", wanted.type,
                   "; run ALTER TABLE ", table.Quoted(), " ALTER COLUMN ", SqlIdentifier(present.name), " TYPE ",
                   wanted.type, ", or write to another table (options schema and table)"));
}

// What is wanted and not there, or an error about what is there and does not fit.
absl::StatusOr<std::vector<DuckdbColumn>> Missing(const DuckdbTable& table, const Relation& relation,
                                                  const std::vector<DuckdbColumn>& wanted,
                                                  const std::vector<DuckdbColumn>& present) {
  absl::flat_hash_map<std::string, const DuckdbColumn*> by_name;
  for (const DuckdbColumn& column : present) by_name[absl::AsciiStrToLower(column.name)] = &column;
  std::vector<DuckdbColumn> missing;
  for (const DuckdbColumn& column : wanted) {
    auto it = by_name.find(absl::AsciiStrToLower(column.name));
    if (it == by_name.end()) {
      missing.push_back(column);
    } else {
      RETURN_IF_ERROR(CheckColumn(table, relation, column, *it->second));
    }
  }
  return missing;
}

absl::Status RefuseView(DuckdbConnection* connection, const DuckdbTable& table) {
  ASSIGN_OR_RETURN(
      std::vector<DuckdbRow> views,
      connection->Query(absl::StrCat("SELECT 1 FROM duckdb_views() WHERE database_name = ", SqlLiteral(table.catalog),
                                     " AND lower(schema_name) = lower(", SqlLiteral(table.schema),
                                     ") AND lower(view_name) = lower(", SqlLiteral(table.name), ")")));
  if (views.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(table.Quoted(),
                   " is a view, which cannot be written to; rename it, or write to another "
                   "table (options schema and table)"));
}

absl::Status AddColumns(DuckdbConnection* connection, const DuckdbTable& table,
                        const std::vector<DuckdbColumn>& missing) {
  for (const DuckdbColumn& column : missing) {
    RETURN_IF_ERROR(connection
                        ->Execute(absl::StrCat("ALTER TABLE ", table.Quoted(), " ADD COLUMN ",
                                               SqlIdentifier(column.name), " ", column.type))
                        .status());
  }
  return absl::OkStatus();
}

bool SameColumns(const std::vector<DuckdbColumn>& a, const std::vector<DuckdbColumn>& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (!absl::EqualsIgnoreCase(a[i].name, b[i].name) || a[i].type != b[i].type) return false;
  }
  return true;
}

}  // namespace

DuckdbTable DuckdbTables::Target(const DuckdbConnection& connection, const Relation& relation) const {
  return {.catalog = connection.catalog(),
          .schema = options_->TargetSchema(relation),
          .name = options_->TargetTable(relation)};
}

std::vector<DuckdbColumn> DuckdbTables::Wanted(const Relation& relation) const {
  std::vector<DuckdbColumn> wanted;
  for (const Column& column : relation.columns) {
    wanted.push_back({column.name, DuckdbType(options_->MappedType(relation, column))});
  }
  if (options_->write_mode == WriteMode::kAppend) {
    wanted.push_back({kOpColumn, "VARCHAR"});
    wanted.push_back({kLsnColumn, "BIGINT"});
    wanted.push_back({kSeqColumn, "BIGINT"});
    wanted.push_back({kCommitTimeColumn, "TIMESTAMP WITH TIME ZONE"});
    wanted.push_back({kUnchangedColumn, "VARCHAR"});
  }
  return wanted;
}

std::vector<std::string> DuckdbTables::CreateStatements(const DuckdbTable& table, const Relation& relation) const {
  const std::string columns = absl::StrJoin(Wanted(relation), ", ", [](std::string* out, const DuckdbColumn& column) {
    absl::StrAppend(out, SqlIdentifier(column.name), " ", column.type);
  });
  return {absl::StrCat("CREATE SCHEMA IF NOT EXISTS ", table.QuotedSchema()),
          absl::StrCat("CREATE TABLE ", table.Quoted(), " (", columns, ")")};
}

void DuckdbTables::Forget(const Relation& relation) {
  ready_.clear();
  snapshot_only_.erase(relation.QualifiedName());
  std::erase_if(owners_, [&](const auto& owner) { return owner.second == relation.QualifiedName(); });
}

absl::Status DuckdbTables::ClaimName(const DuckdbTable& table, const Relation& relation) {
  const std::string name = FoldedName(table);
  const std::string progress = FoldedName({.schema = options_->meta_schema, .name = options_->meta_table});
  const std::string parts = FoldedName({.schema = options_->meta_schema, .name = "snapshot_parts"});
  const std::string changes = FoldedName({.schema = options_->meta_schema, .name = "schema_changes"});
  if (name == progress || name == parts || name == changes) {
    return absl::FailedPreconditionError(
        absl::StrCat("table ", relation.QualifiedName(), " would be written to ", table.Quoted(),
                     ", where the destination keeps its progress; set option meta_schema or schema"));
  }
  auto [it, added] = owners_.emplace(name, relation.QualifiedName());
  if (added || it->second == relation.QualifiedName()) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "tables ", it->second, " and ", relation.QualifiedName(), " would both be written to ", table.Quoted(),
      " (case does not count in DuckDB's names); rename one, or give them destinations of their own "
      "with options schema and table"));
}

absl::StatusOr<std::vector<DuckdbColumn>> DuckdbTables::Columns(DuckdbConnection* connection,
                                                                const DuckdbTable& table) {
  ASSIGN_OR_RETURN(std::vector<DuckdbRow> rows,
                   connection->Query(absl::StrCat(
                       "SELECT column_name, data_type FROM duckdb_columns() WHERE database_name = ",
                       SqlLiteral(table.catalog), " AND lower(schema_name) = lower(", SqlLiteral(table.schema),
                       ") AND lower(table_name) = lower(", SqlLiteral(table.name), ") ORDER BY column_index")));
  std::vector<DuckdbColumn> columns;
  for (DuckdbRow& row : rows) {
    columns.push_back({row[0].value_or(""), row[1].value_or("")});
  }
  return columns;
}

absl::Status DuckdbTables::Check(DuckdbConnection* connection, const Relation& relation) {
  const DuckdbTable table = Target(*connection, relation);
  const std::vector<DuckdbColumn> wanted = Wanted(relation);
  RETURN_IF_ERROR(CheckNames(relation, wanted));
  RETURN_IF_ERROR(ClaimName(table, relation));
  ASSIGN_OR_RETURN(std::vector<DuckdbColumn> present, Columns(connection, table));
  if (present.empty()) return absl::OkStatus();
  RETURN_IF_ERROR(RefuseView(connection, table));
  return Missing(table, relation, wanted, present).status();
}

absl::Status DuckdbTables::CheckPresent(DuckdbConnection* connection, const Relation& relation) {
  const DuckdbTable table = Target(*connection, relation);
  ASSIGN_OR_RETURN(const std::vector<DuckdbColumn> present, Columns(connection, table));
  const std::string shown = absl::StrCat("the DuckDB table ", table.Quoted());
  if (present.empty()) return absl::FailedPreconditionError(shown + " is missing");
  for (const Column& column : relation.columns) {
    const std::string name = absl::AsciiStrToLower(column.name);
    if (std::any_of(present.begin(), present.end(),
                    [&](const DuckdbColumn& there) { return absl::AsciiStrToLower(there.name) == name; })) {
      continue;
    }
    return absl::FailedPreconditionError(absl::StrCat(shown, " has no column ", column.name));
  }
  return absl::OkStatus();
}

absl::StatusOr<ReadyTable*> DuckdbTables::Ready(DuckdbConnection* connection, const RelationPtr& relation) {
  const DuckdbTable table = Target(*connection, *relation);
  const std::string key = FoldedName(table);
  auto known = ready_.find(key);
  if (known != ready_.end() && (known->second.relation == relation || known->second.relation->SameShape(*relation))) {
    return &known->second;
  }

  ReadyTable ready{.table = table, .relation = relation, .columns = Wanted(*relation)};
  for (const Column& column : relation->columns) {
    ready.types.push_back(options_->MappedType(*relation, column));
  }
  RETURN_IF_ERROR(CheckNames(*relation, ready.columns));
  RETURN_IF_ERROR(ClaimName(table, *relation));
  ASSIGN_OR_RETURN(std::vector<DuckdbColumn> present, Columns(connection, table));
  if (present.empty()) {
    for (const std::string& sql : CreateStatements(table, *relation)) {
      RETURN_IF_ERROR(connection->Execute(sql).status());
    }
    ready.exact = ready.empty = true;
  } else {
    RETURN_IF_ERROR(RefuseView(connection, table));
    ASSIGN_OR_RETURN(auto missing, Missing(table, *relation, ready.columns, present));
    RETURN_IF_ERROR(AddColumns(connection, table, missing));
    present.insert(present.end(), missing.begin(), missing.end());
    ready.exact = SameColumns(present, ready.columns);
    ASSIGN_OR_RETURN(auto first, connection->Query(absl::StrCat("SELECT 1 FROM ", table.Quoted(), " LIMIT 1")));
    ready.empty = first.empty();
  }
  // A new shape of a table does not change where its rows came from.
  ready.snapshot_only = known == ready_.end() ? ready.empty || snapshot_only_.erase(relation->QualifiedName()) > 0
                                              : known->second.snapshot_only;
  return &ready_.insert_or_assign(key, std::move(ready)).first->second;
}

}  // namespace wallaby
