#include "mapping/schema_mapping.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "change/value.h"

namespace wallaby {
namespace {

constexpr char kThenApply[] = "; change the mapping with flow update, then apply the change again";

// Own columns have numbers of their own, so that they are the same before and after.
constexpr int kOwnAttnum = -100;

absl::Status Refuse(const Relation& relation, std::string_view what) {
  return absl::FailedPreconditionError(absl::StrCat("mapping of table ", relation.QualifiedName(), ": ", what));
}

// ---- which rule counts before and after ----

struct Rules {
  const TableRule* before = nullptr;
  const TableRule* after = nullptr;
};

// A table that was renamed: the rule of the old name may have been replaced in the mapping by that of the new one.
absl::StatusOr<Rules> RulesOf(const Mapping& mapping, const Relation& before, const Relation& after) {
  Rules rules;
  ASSIGN_OR_RETURN(rules.before, mapping.RuleOf(before));
  ASSIGN_OR_RETURN(rules.after, mapping.RuleOf(after));
  if (rules.before == rules.after) return rules;
  if (rules.before != nullptr && rules.before->drop && (rules.after == nullptr || !rules.after->drop)) {
    return Refuse(before, absl::StrCat("it is left out and was renamed to ", after.QualifiedName(),
                                       ", which is not, and whose earlier rows the destination does not have; write "
                                       "drop: true for ",
                                       after.QualifiedName(), kThenApply));
  }
  const bool old_is_exact = rules.before != nullptr && !rules.before->is_pattern();
  const bool new_is_exact = rules.after != nullptr && !rules.after->is_pattern();
  if (rules.before == nullptr || (new_is_exact && !old_is_exact)) {
    rules.before = rules.after;
    return rules;
  }
  if (new_is_exact) return rules;
  return Refuse(before,
                absl::StrCat("it has rules under the name '", rules.before->tables, "' and was renamed to ",
                             after.QualifiedName(), ", for which there is ",
                             rules.after == nullptr ? "none" : absl::StrCat("another, '", rules.after->tables, "'"),
                             "; give ", after.QualifiedName(), " a rule of its own name", kThenApply));
}

// The rule before, in which columns that have another name now, and had no rule, follow that of their new name: it took
// the old one's place.
class RenamedColumns {
 public:
  RenamedColumns(const TableShape& before, const TableShape& after, Rules rules)
      : before_(before), after_(after), rules_(rules) {}

  absl::StatusOr<const TableRule*> RuleBefore() {
    if (rules_.before == nullptr) return nullptr;
    for (size_t i = 0; i < before_.details.size(); ++i) {
      if (!before_.details[i].hidden) RETURN_IF_ERROR(Follow(static_cast<int>(i)));
    }
    return rule_ ? &*rule_ : rules_.before;
  }

 private:
  // By attribute number, or by name where a number is not known; -1: gone.
  int Partner(int column) const {
    const int attnum = before_.details[column].attnum;
    const int found = attnum != 0 ? after_.FindAttnum(attnum) : -1;
    return found >= 0 ? found : after_.FindName(before_.relation.columns[column].name);
  }

  absl::Status Follow(int column) {
    const std::string& name = before_.relation.columns[column].name;
    const int partner = Partner(column);
    if (partner < 0) return FollowLoss(column);
    const std::string& now = after_.relation.columns[partner].name;
    if (now == name) return absl::OkStatus();
    const ColumnRule* old_rule = rules_.before->Find(name);
    const ColumnRule* new_rule = rules_.after == nullptr ? nullptr : rules_.after->Find(now);
    if (old_rule != nullptr && new_rule == nullptr) {
      return Refuse(before_.relation, absl::StrCat("column ", name, " has a rule and was renamed to ", now,
                                                   "; write the rule for ", now, kThenApply));
    }
    const bool left_out = rules_.before->LeavesOut(name);
    const bool is_left_out = rules_.after != nullptr && rules_.after->LeavesOut(now);
    if (old_rule == nullptr && new_rule != nullptr) {
      Changed().columns[name] = *new_rule;
      if (!left_out || is_left_out) return absl::OkStatus();
    }
    if (left_out == is_left_out) return absl::OkStatus();
    if (is_left_out) {
      return Refuse(before_.relation, absl::StrCat("column ", name, " is carried and was renamed to ", now,
                                                   ", which is left out; put ", now, " into only", kThenApply));
    }
    // A name that the table did not have stands there because the mapping has been changed for this.
    if (old_rule == nullptr && !rules_.before->is_pattern() && before_.FindName(now) < 0) {
      Changed().only.push_back(name);
      return absl::OkStatus();
    }
    return Refuse(before_.relation, absl::StrCat("column ", name, " is left out and was renamed to ", now,
                                                 ", which is not; write drop: true for ", now, kThenApply));
  }

  // Where numbers are not known, a column that is gone and one that is new may be one that was renamed.
  absl::Status FollowLoss(int column) const {
    const std::string& name = before_.relation.columns[column].name;
    const ColumnRule* rule = rules_.before->Find(name);
    if (!rules_.before->LeavesOut(name) && (rule == nullptr || !rule->hides())) return absl::OkStatus();
    for (size_t i = 0; i < after_.details.size(); ++i) {
      const std::string& added = after_.relation.columns[i].name;
      const bool known = before_.details[column].attnum != 0 && after_.details[i].attnum != 0;
      if (known || before_.FindName(added) >= 0 || after_.details[i].hidden) continue;
      if (rules_.after != nullptr && (rules_.after->Find(added) != nullptr || rules_.after->LeavesOut(added))) continue;
      return Refuse(before_.relation,
                    absl::StrCat("column ", name, ", whose values are hidden, is gone, and column ", added,
                                 " is new: it may be the same under another name; write a rule for ", added,
                                 ", {} where nothing is to be hidden", kThenApply));
    }
    return absl::OkStatus();
  }

  TableRule& Changed() {
    if (!rule_) rule_ = *rules_.before;
    return *rule_;
  }

  const TableShape& before_;
  const TableShape& after_;
  const Rules rules_;
  std::optional<TableRule> rule_;
};

// ---- shapes ----

// What rows that were there have in a column that is added.
std::optional<std::string> MappedFill(const MappingSetup& setup, const MappedColumn& column,
                                      const std::optional<std::string>& fill) {
  if (column.action == MappedColumn::Action::kRedact) return column.constant;
  if (column.action == MappedColumn::Action::kNull || !fill) return std::nullopt;
  if (column.action != MappedColumn::Action::kHash) return fill;
  std::string hex;
  setup.hash->AppendHex(*fill, &hex);
  return hex;
}

// A destination would round it.
absl::Status CheckFill(const TableMapping& table, size_t index, const std::optional<std::string>& fill) {
  absl::int128 unused;
  const Column& target = table.target->columns[index];
  if (table.columns[index].action != MappedColumn::Action::kDecimal || !fill ||
      ReadDecimal({FieldKind::kText, *fill}, target.type, &unused).ok()) {
    return absl::OkStatus();
  }
  return Refuse(*table.source, absl::StrCat("column ", table.source->columns[table.columns[index].source].name,
                                            ": its default does not fit ", target.type.sql_name, kThenApply));
}

ColumnDetail MappedDetail(const MappingSetup& setup, const MappedColumn& column, const ColumnDetail& source) {
  ColumnDetail detail = source;
  detail.fill = MappedFill(setup, column, source.fill);
  const bool masked = column.action == MappedColumn::Action::kHash || column.action == MappedColumn::Action::kRedact ||
                      column.action == MappedColumn::Action::kNull;
  if (masked) detail.default_sql.clear();
  if (column.action == MappedColumn::Action::kNull) detail.not_null = false;
  return detail;
}

// Nothing: the table is left out.
absl::StatusOr<std::optional<TableShape>> MapShape(const MappingSetup& setup, const TableRule* rule,
                                                   const TableShape& shape, Check check) {
  // Columns that were rejected take no part, and stand behind the others as they are.
  const auto visible = std::make_shared<Relation>(shape.Visible());
  std::vector<const ColumnDetail*> details;
  for (const ColumnDetail& detail : shape.details) {
    if (!detail.hidden) details.push_back(&detail);
  }
  ASSIGN_OR_RETURN(const TableMapping table, CompileTableMapping(setup, rule, visible, check));
  if (table.target == nullptr) return std::nullopt;
  TableShape mapped{.relation = *table.target, .details = {}};
  for (size_t i = 0; i < table.columns.size(); ++i) {
    const MappedColumn& column = table.columns[i];
    if (column.source >= 0) RETURN_IF_ERROR(CheckFill(table, i, details[column.source]->fill));
    if (column.source < 0) {
      mapped.details.push_back(
          {.attnum = kOwnAttnum - static_cast<int>(column.action) * 10 - static_cast<int>(column.metadata)});
    } else {
      mapped.details.push_back(MappedDetail(setup, column, *details[column.source]));
    }
  }
  for (size_t i = 0; i < shape.details.size(); ++i) {
    if (!shape.details[i].hidden) continue;
    mapped.relation.columns.push_back(shape.relation.columns[i]);
    mapped.details.push_back(shape.details[i]);
  }
  return mapped;
}

bool PassesThrough(const MappingSetup& setup, const std::optional<TableShape>& shape) {
  if (!shape) return true;
  const auto table = CompileTableMapping(setup, std::make_shared<Relation>(shape->Visible()));
  return table.ok() && table->passes();
}

}  // namespace

absl::StatusOr<std::optional<SchemaChange>> MapSchemaChange(const MappingSetup& setup, const SchemaChange& change) {
  if (PassesThrough(setup, change.before) && PassesThrough(setup, change.after)) return change;
  Rules rules;
  if (change.before && change.after) {
    ASSIGN_OR_RETURN(rules, RulesOf(setup.mapping, change.before->relation, change.after->relation));
  } else if (change.before) {
    ASSIGN_OR_RETURN(rules.before, setup.mapping.RuleOf(change.before->relation));
  } else if (change.after) {
    ASSIGN_OR_RETURN(rules.after, setup.mapping.RuleOf(change.after->relation));
  }
  std::optional<TableShape> before, after;
  std::optional<RenamedColumns> renamed;
  if (change.before) {
    const TableRule* rule = rules.before;
    if (change.after) {
      renamed.emplace(*change.before, *change.after, rules);
      ASSIGN_OR_RETURN(rule, renamed->RuleBefore());
    }
    ASSIGN_OR_RETURN(before, MapShape(setup, rule, *change.before, Check::kNames));
  }
  if (change.after) {
    ASSIGN_OR_RETURN(after, MapShape(setup, rules.after, *change.after, Check::kPresentColumns));
  }
  // Left out from now on: what the destination has stays.
  if (!after && (!before || change.after)) return std::nullopt;
  SchemaChange mapped = CompareShapes(before ? &*before : nullptr, after ? &*after : nullptr);
  mapped.copy = change.copy;
  if (mapped.steps.empty() && !mapped.copy) return std::nullopt;
  return mapped;
}

absl::Status CheckNewShape(const MappingSetup& setup, const Relation& before, const Relation& after) {
  const TableShape old_shape{.relation = before, .details = std::vector<ColumnDetail>(before.columns.size())};
  const TableShape new_shape{.relation = after, .details = std::vector<ColumnDetail>(after.columns.size())};
  ASSIGN_OR_RETURN(const Rules rules, RulesOf(setup.mapping, before, after));
  return RenamedColumns(old_shape, new_shape, rules).RuleBefore().status();
}

}  // namespace wallaby
