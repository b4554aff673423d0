#include "mapping/table_mapping.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "base/status.h"
#include "change/append_rows.h"
#include "mapping/mapped_type.h"

namespace wallaby {
namespace {

constexpr uint32_t kBool = 16, kInt8 = 20, kText = 25, kTimestampTz = 1184;

using Action = MappedColumn::Action;

PgType TypeOfMetadata(Metadata what) {
  switch (what) {
    case Metadata::kLsn:
    case Metadata::kSeq:
      return BuiltinType(kInt8, -1);
    case Metadata::kCommitTime:
      return BuiltinType(kTimestampTz, -1);
    default:
      return BuiltinType(kText, -1);
  }
}

bool IsAppendColumn(std::string_view name) {
  return name == kOpColumn || name == kLsnColumn || name == kSeqColumn || name == kCommitTimeColumn ||
         name == kUnchangedColumn;
}

class Compiler {
 public:
  Compiler(const MappingSetup& setup, const TableRule* rule, RelationPtr source, Check check)
      : setup_(setup), rule_(rule), check_(check) {
    out_.source = std::move(source);
  }

  absl::StatusOr<TableMapping> Run() {
    if (rule_ != nullptr && rule_->drop) return std::move(out_);
    target_ = std::make_shared<Relation>(relation());
    target_->columns.clear();
    target_->key.clear();
    if (check_ == Check::kAll) Note(CheckRuleColumns());
    for (size_t i = 0; i < relation().columns.size(); ++i) Note(AddColumn(static_cast<int>(i)));
    Note(AddSoftDelete());
    Note(AddMetadata());
    Note(CheckColumnNames());
    SetName();
    Note(BindFilter());
    if (!problems_.empty()) return AllProblems();
    if (rule_ != nullptr) out_.on_truncate = rule_->on_truncate;
    out_.same_rows = target_->columns.size() == relation().columns.size() &&
                     std::all_of(out_.columns.begin(), out_.columns.end(),
                                 [](const MappedColumn& column) { return column.action == Action::kCopy; });
    const bool same =
        out_.same_rows && !out_.filter && out_.on_truncate != OnTruncate::kIgnore && target_->SameShape(relation());
    out_.target = same ? out_.source : target_;
    return std::move(out_);
  }

 private:
  const Relation& relation() const { return *out_.source; }

  absl::Status Refuse(std::string_view what) const {
    return absl::FailedPreconditionError(absl::StrCat("mapping of table ", relation().QualifiedName(), ": ", what));
  }
  absl::Status Refuse(const Column& column, std::string_view what) const {
    return Refuse(absl::StrCat("column ", column.name, ": ", what));
  }

  void Note(absl::Status status) {
    if (!status.ok()) problems_.push_back(std::move(status));
  }

  // So that a mapping is mended in one go.
  absl::Status AllProblems() const {
    const auto text = [](std::string* out, const absl::Status& problem) { out->append(problem.message()); };
    return absl::Status(problems_.front().code(), absl::StrJoin(problems_, "; ", text));
  }

  absl::Status CheckRuleColumns() const {
    if (rule_ == nullptr) return absl::OkStatus();
    const std::vector<std::string> missing = MissingColumns(*rule_, relation());
    if (missing.empty()) return absl::OkStatus();
    return Refuse(absl::StrCat(
        "the table has no column ", absl::StrJoin(missing, ", "), "; columns: ",
        absl::StrJoin(relation().columns, ", ", [](std::string* out, const Column& c) { out->append(c.name); })));
  }

  bool IsKey(int column) const { return std::count(relation().key.begin(), relation().key.end(), column) > 0; }

  absl::Status AddColumn(int index) {
    const Column& column = relation().columns[index];
    const bool key = IsKey(index);
    if (rule_ != nullptr && rule_->LeavesOut(column.name)) {
      return key ? Refuse(column, "it identifies the row and cannot be left out") : absl::OkStatus();
    }
    const ColumnRule* rule = rule_ == nullptr ? nullptr : rule_->Find(column.name);
    MappedColumn mapped{.source = index, .constant = {}, .key = key};
    Column carried = column;
    if (rule != nullptr && !rule->to.empty()) carried.name = rule->to;
    if (rule != nullptr && rule->mask != Mask::kNone) {
      RETURN_IF_ERROR(AddMask(*rule, column, &mapped, &carried));
    } else {
      RETURN_IF_ERROR(AddType(rule, column, &mapped, &carried));
    }
    if (key) target_->key.push_back(static_cast<int>(target_->columns.size()));
    Add(std::move(mapped), std::move(carried));
    return absl::OkStatus();
  }

  void Add(MappedColumn mapped, Column carried) {
    out_.columns.push_back(std::move(mapped));
    target_->columns.push_back(std::move(carried));
  }

  absl::Status AddMask(const ColumnRule& rule, const Column& column, MappedColumn* mapped, Column* carried) const {
    if (mapped->key && rule.mask != Mask::kHash) {
      return Refuse(column, "it identifies the row; the only mask that keeps rows apart is hash");
    }
    switch (rule.mask) {
      case Mask::kHash:
        mapped->action = Action::kHash;
        carried->type = BuiltinType(kText, -1);
        break;
      case Mask::kRedact:
        mapped->action = Action::kRedact;
        mapped->constant = rule.redacted;
        carried->type = BuiltinType(kText, -1);
        break;
      case Mask::kNull:
        mapped->action = Action::kNull;
        break;
      case Mask::kNone:
        break;
    }
    return absl::OkStatus();
  }

  absl::Status AddType(const ColumnRule* rule, const Column& column, MappedColumn* mapped, Column* carried) const {
    const std::string name = rule != nullptr && !rule->type.empty() ? rule->type : setup_.type(relation(), column);
    if (name.empty()) return absl::OkStatus();
    const auto type = ParseMappedType(name);
    if (!type.ok()) return Refuse(column, std::string(type.status().message()));
    if (const absl::Status status = CheckMappedType(column.type, *type); !status.ok()) {
      return Refuse(column, std::string(status.message()));
    }
    if (type->oid == column.type.oid && type->typmod == column.type.typmod) return absl::OkStatus();
    carried->type = *type;
    mapped->action = type->logical == LogicalType::kText      ? Action::kText
                     : type->logical == LogicalType::kDecimal ? Action::kDecimal
                                                              : Action::kInteger;
    return absl::OkStatus();
  }

  // A table without a key is a multiset of whole rows, in which no column may change from one to the next change.
  absl::Status RefuseWithoutKey(std::string_view what) const {
    if (relation().has_key() || setup_.keeps != Keeps::kRows) return absl::OkStatus();
    return Refuse(absl::StrCat(what, " a key, and the table has none; add a primary key"));
  }

  absl::Status AddSoftDelete() {
    out_.soft_delete = setup_.mapping.soft_delete.value_or(false);
    if (rule_ != nullptr && rule_->soft_delete) out_.soft_delete = *rule_->soft_delete;
    if (!out_.soft_delete) return absl::OkStatus();
    if (setup_.keeps != Keeps::kRows) {
      return Refuse("soft_delete is for tables that hold the current rows; here every delete is kept anyway");
    }
    RETURN_IF_ERROR(RefuseWithoutKey("soft_delete needs"));
    Add({.action = Action::kDeleted, .constant = {}}, {kDeletedColumn, BuiltinType(kBool, -1)});
    Add({.action = Action::kDeletedAt, .constant = {}}, {kDeletedAtColumn, BuiltinType(kTimestampTz, -1)});
    return absl::OkStatus();
  }

  absl::Status AddMetadata() {
    if (setup_.mapping.metadata.empty()) return absl::OkStatus();
    RETURN_IF_ERROR(RefuseWithoutKey("metadata needs"));
    for (const MetadataColumn& column : setup_.mapping.metadata) {
      MappedColumn mapped{.action = Action::kMetadata, .constant = {}, .metadata = column.what};
      if (column.what == Metadata::kSchema) mapped.constant = relation().schema;
      if (column.what == Metadata::kTable) mapped.constant = relation().name;
      Add(std::move(mapped), {column.name, TypeOfMetadata(column.what)});
    }
    return absl::OkStatus();
  }

  absl::Status CheckColumnNames() const {
    std::set<std::string_view> names;
    for (size_t i = 0; i < target_->columns.size(); ++i) {
      const std::string& name = target_->columns[i].name;
      if (!names.insert(name).second) {
        return Refuse(absl::StrCat("two columns would be called ", name, "; give one of them another name with to"));
      }
      if (setup_.keeps != Keeps::kRows && out_.columns[i].source < 0 && IsAppendColumn(name)) {
        return Refuse(
            absl::StrCat("metadata: a destination that keeps every change has ", name, " already; leave it out"));
      }
    }
    return absl::OkStatus();
  }

  void SetName() {
    target_->schema = setup_.schema(relation());
    target_->name = setup_.table(relation());
    if (rule_ == nullptr || rule_->to.empty()) return;
    const auto filled = [this](std::string_view text) {
      return absl::StrReplaceAll(text, {{"{schema}", relation().schema}, {"{table}", relation().name}});
    };
    const size_t point = rule_->to.find('.');
    if (point != std::string::npos) target_->schema = filled(std::string_view(rule_->to).substr(0, point));
    target_->name = filled(std::string_view(rule_->to).substr(point == std::string::npos ? 0 : point + 1));
  }

  absl::Status BindFilter() {
    if (rule_ == nullptr || !rule_->rows || check_ == Check::kNames) return absl::OkStatus();
    auto bound = BoundFilter::Bind(*rule_->rows, relation());
    if (!bound.ok()) return Refuse(absl::StrCat("rows: ", std::string(bound.status().message())));
    out_.filter = *std::move(bound);
    const ReplicaIdentity identity = relation().identity;
    // Under identity nothing, updates and deletes fail at the source.
    if (identity == ReplicaIdentity::kFull || identity == ReplicaIdentity::kNothing) return absl::OkStatus();
    for (const int index : out_.filter->columns()) {
      const Column& column = relation().columns[index];
      if (column.key) continue;
      out_.filter_knows_old = false;
      // A delete of what is not there does nothing, so that the new row alone decides.
      if (setup_.keeps == Keeps::kRows && !out_.soft_delete) continue;
      return Refuse(absl::StrCat("rows: column ", column.name,
                                 " is no part of the replica identity, so that updates and deletes do not tell "
                                 "whether the row matched before, which ",
                                 out_.soft_delete ? "soft_delete needs" : "a log of changes needs",
                                 "; run: ALTER TABLE ", relation().QualifiedName(), " REPLICA IDENTITY FULL"));
    }
    return absl::OkStatus();
  }

  const MappingSetup& setup_;
  const TableRule* const rule_;
  const Check check_;
  std::vector<absl::Status> problems_;
  std::shared_ptr<Relation> target_;
  TableMapping out_;
};

}  // namespace

std::vector<std::string> MissingColumns(const TableRule& rule, const Relation& relation) {
  std::vector<std::string> missing;
  if (rule.is_pattern()) return missing;
  const auto look = [&](const std::string& name) {
    const bool there = std::any_of(relation.columns.begin(), relation.columns.end(),
                                   [&](const Column& column) { return column.name == name; });
    if (!there && std::count(missing.begin(), missing.end(), name) == 0) missing.push_back(name);
  };
  for (const auto& [name, column] : rule.columns) look(name);
  for (const std::string& name : rule.only) look(name);
  return missing;
}

absl::StatusOr<TableMapping> CompileTableMapping(const MappingSetup& setup, const TableRule* rule, RelationPtr source,
                                                 Check check) {
  return Compiler(setup, rule, std::move(source), check).Run();
}

absl::StatusOr<TableMapping> CompileTableMapping(const MappingSetup& setup, RelationPtr source) {
  auto rule = setup.mapping.RuleOf(*source);
  if (!rule.ok()) return Annotate(rule.status(), "mapping");
  return CompileTableMapping(setup, *rule, std::move(source));
}

}  // namespace wallaby
