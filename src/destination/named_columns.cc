#include "destination/named_columns.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "destination/files/file_format.h"
#include "destination/mapping_options.h"
#include "destination/options.h"

namespace wallaby {
namespace {

std::string Title(const DestinationConfig& config, std::string_view option) {
  return absl::StrCat("option ", option, " of destination '", config.name, "'");
}

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

// As the destination gets it; null: it does not.
RelationPtr Mapped(const std::string& type, const DestinationConfig& config, const Relation& table) {
  const auto source = std::make_shared<Relation>(table);
  const auto options = ParseTableOptions(type, config);
  if (!options.ok() || !HasMapping(config, *options)) return source;
  const auto setup = MakeMappingSetup(type, config, *options);
  if (!setup.ok()) return nullptr;
  const auto mapped = CompileTableMapping(*setup, source);
  return mapped.ok() ? mapped->target : nullptr;
}

}  // namespace

bool NamesColumns(const std::string& type, const DestinationConfig& config) {
  const auto given = [&](const char* name) {
    const auto found = config.options.find(name);
    return found != config.options.end() && !found->second.empty();
  };
  return given("type_mappings") || (WritesFiles(type) && given("partition_by"));
}

std::vector<absl::Status> CheckNamedColumns(const std::string& type, const DestinationConfig& config,
                                            const std::vector<Relation>& tables) {
  std::vector<absl::Status> problems;
  for (const auto& [name, to] : OwnTypeMappings(type, config)) {
    if (!NamesColumn(name)) continue;
    for (const Relation& table : tables) {
      const std::string prefix = table.QualifiedName() + ".";
      if (!name.starts_with(prefix) || HasColumn(table, name.substr(prefix.size()))) continue;
      problems.push_back(absl::FailedPreconditionError(absl::StrCat(
          Title(config, "type_mappings"), ": table ", table.QualifiedName(), " has no column ",
          name.substr(prefix.size()), "; columns: ",
          absl::StrJoin(table.columns, ", ", [](std::string* out, const Column& c) { out->append(c.name); }))));
    }
  }
  const auto files = WritesFiles(type) ? ParseFileFormat(type, config) : absl::StatusOr<FileFormat>(FileFormat());
  if (!files.ok() || files->partition_by.empty() || tables.empty()) return problems;
  std::vector<RelationPtr> mapped;
  for (const Relation& table : tables) {
    if (RelationPtr target = Mapped(type, config, table); target != nullptr) mapped.push_back(std::move(target));
  }
  for (const PartitionField& field : files->partition_by) {
    const bool any = std::any_of(mapped.begin(), mapped.end(),
                                 [&](const RelationPtr& table) { return HasColumn(*table, field.column); });
    if (any || mapped.empty()) continue;
    problems.push_back(absl::FailedPreconditionError(
        absl::StrCat(Title(config, "partition_by"), ": no table of the flow has a column ", field.column)));
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
