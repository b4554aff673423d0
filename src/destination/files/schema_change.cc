#include "destination/files/schema_change.h"

#include "absl/strings/str_cat.h"
#include "destination/files/row_writers.h"

namespace wallaby {
namespace {

std::string Folder(const TableShape& shape, const FilesOptions& options) {
  return absl::StrCat(options.Place(), "/", TableFolder(shape.relation, options.table));
}

std::string TypeName(const PgType& type) {
  return type.source_name.empty() ? type.sql_name : type.source_name;
}

std::string TypeText(const SchemaStep& step, const SchemaChange& change, const FilesOptions& options) {
  const PgType type = options.table.MappedType(change.after->relation, step.definition);
  // A mapped type keeps its name at the source.
  return type == step.definition.type ? TypeName(type) : type.sql_name;
}

std::string Remark(const SchemaStep& step, const SchemaChange& change, const FilesOptions& options) {
  switch (step.kind) {
    case SchemaStepKind::kCreateTable:
      return absl::StrCat("files go to ", Folder(*change.after, options));
    case SchemaStepKind::kDropTable:
      return absl::StrCat("files in ", Folder(*change.before, options), " stay");
    case SchemaStepKind::kRenameTable: {
      const std::string before = Folder(*change.before, options), after = Folder(*change.after, options);
      if (before == after) return absl::StrCat("the table's folder stays ", after);
      return absl::StrCat("the next files go to ", after, "; those in ", before, " stay");
    }
    case SchemaStepKind::kAddColumn:
      return absl::StrCat("the next files have a column ", step.column, " (", TypeText(step, change, options), ")");
    case SchemaStepKind::kDropColumn:
      return absl::StrCat("the next files have no column ", step.column);
    case SchemaStepKind::kRenameColumn:
      return absl::StrCat("the next files call column ", step.old_name, " ", step.column);
    case SchemaStepKind::kRetypeColumn: {
      const std::string before = TypeName(step.old_type), after = TypeText(step, change, options);
      if (before == after) return absl::StrCat("column ", step.column, " stays ", after);
      return absl::StrCat("column ", step.column, " of the next files is ", after, ", of those before ", before);
    }
    default:
      return absl::StrCat(DescribeStep(step), ": files do not show it");
  }
}

}  // namespace

std::vector<std::string> FilesDdl(const SchemaChange& change, const FilesOptions& options) {
  std::vector<std::string> lines;
  for (const SchemaStep& step : change.steps) lines.push_back(absl::StrCat("-- ", Remark(step, change, options)));
  return lines;
}

}  // namespace wallaby
