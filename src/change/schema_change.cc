#include "change/schema_change.h"

#include <algorithm>
#include <utility>

#include "change/integer_bits.h"

namespace wallaby {
namespace {

// The text types that print a value as it is; bpchar pads.
bool IsPlainText(const PgType& type) {
  constexpr uint32_t kText = 25, kVarchar = 1043;
  return type.oid == kText || type.oid == kVarchar;
}

bool Widens(const PgType& from, const PgType& to) {
  if (const int bits = IntegerBits(from.logical); bits > 0) return IntegerBits(to.logical) >= bits;
  // A longer limit, or none. A shorter one would have failed on values that do not fit, so nothing was cut.
  if (IsPlainText(from)) return IsPlainText(to);
  if (from.logical == LogicalType::kDecimal && to.logical == LogicalType::kDecimal) {
    return to.scale == from.scale && to.precision >= from.precision;
  }
  return false;
}

// Index of a column that has that name, or had it later; or -1.
int FindAnyName(const TableShape& shape, std::string_view name) {
  const int column = shape.FindName(name);
  if (column >= 0) return column;
  const auto& details = shape.details;
  const auto it = std::find_if(details.begin(), details.end(), [name](const ColumnDetail& d) {
    return std::find(d.later_names.begin(), d.later_names.end(), name) != d.later_names.end();
  });
  return it == details.end() ? -1 : static_cast<int>(it - details.begin());
}

// The same column of a shape that knows it by a later name, too.
int FindByNames(const TableShape& shape, int column, const TableShape& other) {
  int found = FindAnyName(other, shape.relation.columns[column].name);
  for (const std::string& name : shape.details[column].later_names) {
    if (found < 0) found = other.FindName(name);
  }
  return found;
}

SchemaStep ColumnStep(SchemaStepKind kind, const TableShape& after, int column) {
  SchemaStep step;
  step.kind = kind;
  step.column = after.relation.columns[column].name;
  step.definition = after.relation.columns[column];
  step.detail = after.details[column];
  return step;
}

void AddDrops(const TableShape& before, const TableShape& after, SchemaChange* change) {
  for (size_t i = 0; i < before.details.size(); ++i) {
    const int column = static_cast<int>(i);
    if (before.details[i].hidden || FindPartner(before, column, after) >= 0) continue;
    change->steps.push_back(ColumnStep(SchemaStepKind::kDropColumn, before, column));
  }
}

// One rename after the other must never meet a name that is in use: a ring of names goes through a name of its own.
void AddRenames(const TableShape& before, const TableShape& after, SchemaChange* change) {
  std::vector<std::pair<int, int>> todo;  // columns of before and after
  for (size_t i = 0; i < after.details.size(); ++i) {
    const int partner = FindPartner(after, static_cast<int>(i), before);
    if (partner < 0 || before.details[partner].hidden || after.details[i].hidden) continue;
    if (before.relation.columns[partner].name != after.relation.columns[i].name) {
      todo.emplace_back(partner, static_cast<int>(i));
    }
  }
  std::vector<std::string> held;  // current names of those in todo
  held.reserve(todo.size());
  for (const auto& [from, to] : todo) held.push_back(before.relation.columns[from].name);
  auto rename = [&](size_t which, std::string name) {
    SchemaStep step = ColumnStep(SchemaStepKind::kRenameColumn, after, todo[which].second);
    step.old_name = held[which];
    step.column = name;
    held[which] = std::move(name);
    change->steps.push_back(std::move(step));
  };
  while (!todo.empty()) {
    bool moved = false;
    for (size_t i = 0; i < todo.size() && !moved; ++i) {
      const std::string& wanted = after.relation.columns[todo[i].second].name;
      if (std::find(held.begin(), held.end(), wanted) != held.end()) continue;
      rename(i, wanted);
      todo.erase(todo.begin() + static_cast<std::ptrdiff_t>(i));
      held.erase(held.begin() + static_cast<std::ptrdiff_t>(i));
      moved = true;
    }
    if (!moved) rename(0, held[0] + "_wallaby_renamed");
  }
}

// Columns that are new, and what else of a column can change.
void AddColumnSteps(const TableShape& before, const TableShape& after, SchemaChange* change) {
  for (size_t i = 0; i < after.details.size(); ++i) {
    const int column = static_cast<int>(i);
    if (after.details[i].hidden) continue;
    const int partner = FindPartner(after, column, before);
    if (partner < 0) {
      SchemaStep step = ColumnStep(SchemaStepKind::kAddColumn, after, column);
      change->copy |= step.detail.filled_by_rewrite;
      change->steps.push_back(std::move(step));
      continue;
    }
    const PgType& old_type = before.relation.columns[partner].type;
    if (!old_type.SameAs(after.relation.columns[column].type)) {
      SchemaStep step = ColumnStep(SchemaStepKind::kRetypeColumn, after, column);
      step.old_type = old_type;
      step.widens = Widens(old_type, step.definition.type);
      change->copy |= !step.widens;
      change->steps.push_back(std::move(step));
    }
    if (before.details[partner].not_null != after.details[i].not_null) {
      change->steps.push_back(ColumnStep(SchemaStepKind::kNullability, after, column));
    }
    if (before.details[partner].default_sql != after.details[i].default_sql) {
      change->steps.push_back(ColumnStep(SchemaStepKind::kDefault, after, column));
    }
  }
}

std::vector<std::string> KeyNames(const TableShape& shape) {
  std::vector<std::string> names;
  for (const int column : shape.relation.key) names.push_back(shape.relation.columns[column].name);
  return names;
}

// By partners, so that renaming a key column is no change of the key.
bool SameKey(const TableShape& before, const TableShape& after) {
  if (before.relation.key.size() != after.relation.key.size()) return false;
  return std::all_of(after.relation.key.begin(), after.relation.key.end(), [&](int column) {
    const int partner = FindPartner(after, column, before);
    return partner >= 0 && std::count(before.relation.key.begin(), before.relation.key.end(), partner) > 0;
  });
}

// With its modifiers; types that only the source knows by its name for them.
std::string TypeName(const PgType& type) {
  return type.sql_name == "text" && !type.source_name.empty() ? type.source_name : type.sql_name;
}

}  // namespace

int TableShape::FindName(std::string_view name) const {
  const auto& columns = relation.columns;
  const auto it = std::find_if(columns.begin(), columns.end(), [name](const Column& c) { return c.name == name; });
  return it == columns.end() ? -1 : static_cast<int>(it - columns.begin());
}

int TableShape::FindAttnum(int attnum) const {
  const auto it =
      std::find_if(details.begin(), details.end(), [attnum](const ColumnDetail& d) { return d.attnum == attnum; });
  return it == details.end() ? -1 : static_cast<int>(it - details.begin());
}

Relation TableShape::Visible() const {
  Relation visible = relation;
  visible.columns.clear();
  visible.key.clear();
  for (size_t i = 0; i < details.size(); ++i) {
    if (details[i].hidden) continue;
    if (std::count(relation.key.begin(), relation.key.end(), static_cast<int>(i)) > 0) {
      visible.key.push_back(static_cast<int>(visible.columns.size()));
    }
    visible.columns.push_back(relation.columns[i]);
  }
  return visible;
}

int FindPartner(const TableShape& shape, int column, const TableShape& other) {
  const int attnum = shape.details[column].attnum;
  if (attnum != 0) {
    const int found = other.FindAttnum(attnum);
    if (found >= 0) return found;
  }
  const int found = FindByNames(shape, column, other);
  return found >= 0 && (attnum == 0 || other.details[found].attnum == 0) ? found : -1;
}

bool KeepHidden(const TableShape& from, TableShape* to) {
  bool some = false;
  for (size_t i = 0; i < from.details.size(); ++i) {
    if (!from.details[i].hidden) continue;
    const bool same = from.relation.oid == to->relation.oid;
    const int column = static_cast<int>(i);
    const int found = same ? FindPartner(from, column, *to) : FindByNames(from, column, *to);
    if (found < 0 || to->details[found].hidden) continue;
    to->details[found].hidden = true;
    some = true;
  }
  return some;
}

std::string SchemaChange::Table() const {
  return after ? after->relation.QualifiedName() : before ? before->relation.QualifiedName() : "";
}

std::string_view SchemaStepName(SchemaStepKind kind) {
  switch (kind) {
    case SchemaStepKind::kCreateTable:
      return "create_table";
    case SchemaStepKind::kDropTable:
      return "drop_table";
    case SchemaStepKind::kRenameTable:
      return "rename_table";
    case SchemaStepKind::kAddColumn:
      return "add_column";
    case SchemaStepKind::kDropColumn:
      return "drop_column";
    case SchemaStepKind::kRenameColumn:
      return "rename_column";
    case SchemaStepKind::kRetypeColumn:
      return "retype_column";
    case SchemaStepKind::kNullability:
      return "nullability";
    case SchemaStepKind::kKey:
      return "key";
    case SchemaStepKind::kDefault:
      return "default";
  }
  return "";
}

std::string DescribeStep(const SchemaStep& step) {
  switch (step.kind) {
    case SchemaStepKind::kCreateTable:
      return "create table";
    case SchemaStepKind::kDropTable:
      return "drop table";
    case SchemaStepKind::kRenameTable:
      return "rename table " + step.old_name;
    case SchemaStepKind::kAddColumn:
      return "add column " + step.column + " (" + TypeName(step.definition.type) + ")";
    case SchemaStepKind::kDropColumn:
      return "drop column " + step.column;
    case SchemaStepKind::kRenameColumn:
      return "rename column " + step.old_name + " to " + step.column;
    case SchemaStepKind::kRetypeColumn:
      return "retype column " + step.column + " from " + TypeName(step.old_type) + " to " +
             TypeName(step.definition.type);
    case SchemaStepKind::kNullability:
      return step.column + (step.detail.not_null ? " is no longer nullable" : " becomes nullable");
    case SchemaStepKind::kKey:
      return step.column.empty() ? "the key is gone" : "the key becomes " + step.column;
    case SchemaStepKind::kDefault:
      return step.detail.default_sql.empty() ? step.column + " has no default any more"
                                             : "default of " + step.column + " becomes " + step.detail.default_sql;
  }
  return "";
}

SchemaChange CompareShapes(const TableShape* before, const TableShape* after) {
  SchemaChange change;
  if (before != nullptr) change.before = *before;
  if (after != nullptr) change.after = *after;
  if (before == nullptr || after == nullptr) {
    if (after != nullptr) change.steps.push_back({.kind = SchemaStepKind::kCreateTable});
    if (before != nullptr) change.steps.push_back({.kind = SchemaStepKind::kDropTable});
    return change;
  }
  if (before->relation.QualifiedName() != after->relation.QualifiedName()) {
    change.steps.push_back({.kind = SchemaStepKind::kRenameTable, .old_name = before->relation.QualifiedName()});
  }
  AddDrops(*before, *after, &change);
  AddRenames(*before, *after, &change);
  AddColumnSteps(*before, *after, &change);
  if (!SameKey(*before, *after)) {
    SchemaStep step{.kind = SchemaStepKind::kKey};
    for (const std::string& name : KeyNames(*after)) step.column += (step.column.empty() ? "" : ", ") + name;
    change.steps.push_back(std::move(step));
  }
  return change;
}

}  // namespace wallaby
