#include "destination/mapping_options.h"

#include <algorithm>
#include <memory>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "mapping/table_owners.h"

namespace wallaby {
namespace {

constexpr const char* kOwnOptions[] = {"mapping", "mapping_file", "mask_secret",   "soft_delete",
                                       "schema",  "table",        "type_mappings", "type_mappings_file"};
// Short ones could be found by trying.
constexpr size_t kShortestSecret = 16;

std::string OptionOf(const DestinationConfig& config, const char* name) {
  const auto found = config.options.find(name);
  return found == config.options.end() ? "" : found->second;
}

std::string Title(const DestinationConfig& config, std::string_view option) {
  return absl::StrCat("option ", option, " of destination '", config.name, "'");
}

Keeps KeepsOf(const std::string& type, const TableOptions& options) {
  if (SendsPayloads(type)) return Keeps::kMessages;
  return options.write_mode == WriteMode::kAppend || type == "parquet" ? Keeps::kLog : Keeps::kRows;
}

absl::Status CheckSoftDelete(const DestinationConfig& config, const MappingSetup& setup) {
  if (!setup.mapping.soft_delete.value_or(false) || setup.keeps == Keeps::kRows) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(Title(config, "soft_delete"),
                   ": it is for destinations that hold the current rows, in write_mode target; here every delete is "
                   "kept anyway"));
}

absl::Status SetHash(const DestinationConfig& config, MappingSetup* setup) {
  const std::string secret = OptionOf(config, "mask_secret");
  if (secret.empty() && setup->mapping.hashes()) {
    return absl::InvalidArgumentError(absl::StrCat(Title(config, "mask_secret"),
                                                   " is missing; mask: hash needs it, so that nobody finds values by "
                                                   "hashing what they may be"));
  }
  if (secret.empty()) return absl::OkStatus();
  const bool reference = secret.starts_with("env:") || secret.starts_with("file:");  // not followed yet
  if (secret.size() < kShortestSecret && !reference) {
    return absl::InvalidArgumentError(
        absl::StrCat(Title(config, "mask_secret"), ": it must have at least ", kShortestSecret, " characters"));
  }
  setup->hash = std::make_shared<KeyedHash>(secret);
  return absl::OkStatus();
}

}  // namespace

bool HasMapping(const DestinationConfig& config, const TableOptions& options) {
  const bool widens = std::any_of(options.type_mappings.begin(), options.type_mappings.end(),
                                  [](const auto& entry) { return entry.second != "text"; });
  return widens || options.soft_delete || !OptionOf(config, "mapping").empty() ||
         !OptionOf(config, "mapping_file").empty();
}

absl::StatusOr<MappingSetup> MakeMappingSetup(const std::string& type, const DestinationConfig& config,
                                              const TableOptions& options) {
  MappingSetup setup;
  if (!OptionOf(config, "mapping_file").empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        Title(config, "mapping_file"),
        ": wallaby-admin reads the file and sends its text; other clients send the text as option mapping"));
  }
  if (const std::string text = OptionOf(config, "mapping"); !text.empty()) {
    ASSIGN_OR_RETURN(setup.mapping, ParseMapping(text, Title(config, "mapping")));
  }
  setup.keeps = KeepsOf(type, options);
  if (!setup.mapping.soft_delete && options.soft_delete) setup.mapping.soft_delete = true;
  RETURN_IF_ERROR(CheckSoftDelete(config, setup));
  RETURN_IF_ERROR(SetHash(config, &setup));
  setup.schema = [options](const Relation& relation) { return options.TargetSchema(relation); };
  setup.table = [options](const Relation& relation) { return options.TargetTable(relation); };
  setup.type = [options](const Relation& relation, const Column& column) {
    return std::string(options.MappedTypeName(relation, column));
  };
  return setup;
}

std::vector<absl::Status> CheckMapping(const std::string& type, const DestinationConfig& config,
                                       const std::vector<Relation>& tables) {
  const auto options = ParseTableOptions(type, config);
  if (!options.ok()) return {options.status()};
  if (!HasMapping(config, *options)) return {};
  const auto setup = MakeMappingSetup(type, config, *options);
  if (!setup.ok()) return {setup.status()};
  std::vector<absl::Status> problems;
  TableOwners owners;
  std::set<const TableRule*> used;
  std::set<std::pair<const TableRule*, std::string>> columns;
  for (const Relation& relation : tables) {
    const auto rule = setup->mapping.RuleOf(relation);
    if (rule.ok() && *rule != nullptr) {
      used.insert(*rule);
      for (const Column& column : relation.columns) columns.emplace(*rule, column.name);
    }
    const auto table = CompileTableMapping(*setup, std::make_shared<Relation>(relation));
    absl::Status status = table.status();
    if (table.ok() && table->target != nullptr) status = owners.Claim(*table->target, relation);
    if (!status.ok()) problems.push_back(std::move(status));
  }
  for (const TableRule& rule : setup->mapping.tables) {
    if (!used.contains(&rule)) {
      if (rule.is_pattern()) continue;  // there may be such tables one day
      problems.push_back(absl::FailedPreconditionError(
          absl::StrCat("mapping: no published table follows the rule '", rule.tables, "'")));
      continue;
    }
    for (const auto& [name, column] : rule.columns) {
      if (!rule.is_pattern() || columns.contains({&rule, name})) continue;
      problems.push_back(absl::FailedPreconditionError(
          absl::StrCat("mapping: no published table that follows the rule '", rule.tables, "' has a column ", name)));
    }
  }
  return problems;
}

DestinationConfig WithoutMapping(const DestinationConfig& config) {
  DestinationConfig inner = config;
  for (const char* name : kOwnOptions) inner.options.erase(name);
  return inner;
}

}  // namespace wallaby
