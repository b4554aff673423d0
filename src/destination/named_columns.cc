#include "destination/named_columns.h"

#include <algorithm>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "destination/files/file_format.h"
#include "destination/mapping_options.h"
#include "destination/option_reader.h"
#include "destination/options.h"

namespace wallaby {
namespace {

// A file may be shared by flows, and name what another one has.
std::map<std::string, std::string> OwnTypeMappings(const std::string& type, DestinationConfig config) {
  config.options.erase("type_mappings_file");
  const auto options = ParseTableOptions(type, config);
  return options.ok() ? options->type_mappings : std::map<std::string, std::string>();
}

bool NamesColumn(std::string_view name) {
  return std::count(name.begin(), name.end(), '.') >= 2;
}

bool HasColumn(const Relation& table, std::string_view name) {
  return std::any_of(table.columns.begin(), table.columns.end(), [&](const Column& c) { return c.name == name; });
}

// As the destination gets them, without those that it does not get.
std::vector<RelationPtr> Mapped(const std::string& type, const DestinationConfig& config,
                                const std::vector<Relation>& tables) {
  std::vector<RelationPtr> mapped;
  const auto options = ParseTableOptions(type, config);
  if (!options.ok() || !HasMapping(config, *options)) {
    for (const Relation& table : tables) mapped.push_back(std::make_shared<Relation>(table));
    return mapped;
  }
  const auto setup = MakeMappingSetup(type, config, *options);
  if (!setup.ok()) return mapped;
  for (const Relation& table : tables) {
    const auto compiled = CompileTableMapping(*setup, std::make_shared<Relation>(table));
    if (compiled.ok() && compiled->target != nullptr) mapped.push_back(compiled->target);
  }
  return mapped;
}

}  // namespace

bool NamesColumns(const std::string& type, const DestinationConfig& config) {
  const OptionReader reader(config);
  return reader.Find("type_mappings") != nullptr || (WritesFiles(type) && reader.Find("partition_by") != nullptr);
}

std::vector<absl::Status> CheckNamedColumns(const std::string& type, const DestinationConfig& config,
                                            const std::vector<Relation>& tables) {
  std::vector<absl::Status> problems;
  const OptionReader reader(config);
  for (const auto& [name, to] : OwnTypeMappings(type, config)) {
    if (!NamesColumn(name)) continue;
    for (const Relation& table : tables) {
      const std::string prefix = table.QualifiedName() + ".";
      if (!name.starts_with(prefix) || HasColumn(table, name.substr(prefix.size()))) continue;
      problems.push_back(absl::FailedPreconditionError(absl::StrCat(
          reader.Title("type_mappings"), ": table ", table.QualifiedName(), " has no column ",
          name.substr(prefix.size()), "; columns: ",
          absl::StrJoin(table.columns, ", ", [](std::string* out, const Column& c) { out->append(c.name); }))));
    }
  }
  const auto files = WritesFiles(type) ? ParseFileFormat(type, config) : absl::StatusOr<FileFormat>(FileFormat());
  if (!files.ok() || files->partition_by.empty() || tables.empty()) return problems;
  const std::vector<RelationPtr> mapped = Mapped(type, config, tables);
  for (const PartitionField& field : files->partition_by) {
    const bool any = std::any_of(mapped.begin(), mapped.end(),
                                 [&](const RelationPtr& table) { return HasColumn(*table, field.column); });
    if (any || mapped.empty()) continue;
    problems.push_back(absl::FailedPreconditionError(
        absl::StrCat(reader.Title("partition_by"), ": no table of the flow has a column ", field.column)));
  }
  return problems;
}

std::vector<std::string> NamedTypes(const std::string& type, const DestinationConfig& config,
                                    const std::vector<Relation>& tables) {
  std::vector<std::string> names;
  for (const auto& [name, to] : OwnTypeMappings(type, config)) {
    TableOptions one;
    one.type_mappings = {{name, to}};
    const bool used = std::any_of(tables.begin(), tables.end(), [&](const Relation& table) {
      return std::any_of(table.columns.begin(), table.columns.end(),
                         [&](const Column& column) { return !one.MappedTypeName(table, column).empty(); });
    });
    if (!used && !NamesColumn(name)) names.push_back(name);
  }
  return names;
}

}  // namespace wallaby
