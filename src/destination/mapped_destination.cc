#include "destination/mapped_destination.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "mapping/batch_mapper.h"
#include "mapping/schema_mapping.h"

namespace wallaby {
namespace {

// Which of the source's tables goes where.
class TableOwners {
 public:
  absl::Status Claim(const Relation& target, const Relation& source) {
    const auto [entry, added] = owners_.try_emplace(target.QualifiedName(), source.QualifiedName());
    if (added || entry->second == source.QualifiedName()) return absl::OkStatus();
    return absl::FailedPreconditionError(absl::StrCat("mapping: tables ", entry->second, " and ",
                                                      source.QualifiedName(), " would both be ", entry->first,
                                                      " at the destination; give one of them another name with to"));
  }
  void clear() { owners_.clear(); }

 private:
  std::map<std::string, std::string> owners_;  // by the name at the destination
};

class MappedDestination : public Destination {
 public:
  MappedDestination(MappingSetup setup, std::unique_ptr<Destination> inner)
      : setup_(std::move(setup)), inner_(std::move(inner)), mapper_(setup_.hash) {}

  Capabilities capabilities() const override {
    Capabilities capabilities = inner_->capabilities();
    // A part is a range of a column's values, which the destination may not have as they are.
    capabilities.resets_parts &= !setup_.mapping.hides();
    return capabilities;
  }

  absl::StatusOr<Progress> Open() override {
    begun_ = false;
    return inner_->Open();
  }

  absl::Status CheckTable(const Relation& relation) override {
    return WithMapped(relation, [this](const Relation& target) { return inner_->CheckTable(target); });
  }

  absl::Status CheckPresent(const Relation& relation) override {
    // The relation may have been stripped of its columns, where only the table is asked for.
    ASSIGN_OR_RETURN(const TableRule* rule, setup_.mapping.RuleOf(relation));
    ASSIGN_OR_RETURN(const TableMapping table,
                     CompileTableMapping(setup_, rule, std::make_shared<Relation>(relation), Check::kNames));
    if (table.target == nullptr) return absl::OkStatus();
    // The mapping's own columns, which stand last, are added when they are missing: soft_delete may be new.
    Relation target = *table.target;
    while (!target.columns.empty() && table.columns[target.columns.size() - 1].source < 0) target.columns.pop_back();
    return inner_->CheckPresent(target);
  }

  absl::Status Write(const ChangeBatch& batch) override {
    if (by_relation_.size() > kRelationsKept) by_relation_.clear();
    tables_.clear();
    bool any = false;
    for (const RelationPtr& relation : batch.relations()) {
      std::unique_ptr<const TableMapping>& table = by_relation_[relation];
      if (table == nullptr) {
        ASSIGN_OR_RETURN(TableMapping compiled, Compile(relation));
        table = std::make_unique<TableMapping>(std::move(compiled));
      }
      tables_.push_back(table.get());
      any |= !table->passes();
    }
    if (!any) return Pass(batch);
    RETURN_IF_ERROR(mapper_.Map(batch, tables_, &mapped_));
    return Pass(mapped_);
  }

  absl::Status Commit(const CommitPoint& point) override { return inner_->Commit(point); }

  absl::Status ResetSnapshot(const Relation& relation, std::string_view part_prefix) override {
    return WithMapped(relation, [&](const Relation& target) { return inner_->ResetSnapshot(target, part_prefix); });
  }

  absl::Status ResetPart(const Relation& relation, std::string_view part, const KeyRange& range) override {
    ASSIGN_OR_RETURN(const TableMapping table, Compile(std::make_shared<Relation>(relation)));
    if (table.target == nullptr) return absl::OkStatus();
    KeyRange mapped = range;
    for (size_t i = 0; i < table.columns.size(); ++i) {
      const int source = table.columns[i].source;
      if (source >= 0 && relation.columns[source].name == range.column) mapped.column = table.target->columns[i].name;
    }
    return inner_->ResetPart(*table.target, part, mapped);
  }

  std::vector<std::string> DdlStatements(const SchemaChange& change) const override {
    const auto mapped = MapSchemaChange(setup_, change);
    if (!mapped.ok()) return {absl::StrCat("-- cannot be followed: ", std::string(mapped.status().message()))};
    if (!mapped->has_value()) return {"-- nothing: the mapping leaves it out"};
    return inner_->DdlStatements(**mapped);
  }

  absl::Status ApplyDdl(const SchemaChange& change) override {
    ASSIGN_OR_RETURN(const std::optional<SchemaChange> mapped, MapSchemaChange(setup_, change));
    by_relation_.clear();
    newest_.clear();
    owners_.clear();
    return mapped ? inner_->ApplyDdl(*mapped) : absl::OkStatus();
  }

 private:
  // More than the tables of most flows, in a few shapes each.
  static constexpr size_t kRelationsKept = 4096;

  template <typename Call>
  absl::Status WithMapped(const Relation& relation, Call call) {
    ASSIGN_OR_RETURN(const TableMapping table, Compile(std::make_shared<Relation>(relation)));
    return table.target == nullptr ? absl::OkStatus() : call(*table.target);
  }

  absl::StatusOr<TableMapping> Compile(const RelationPtr& relation) {
    RelationPtr& newest = newest_[relation->oid];
    if (newest != nullptr && relation->oid != 0 && !newest->SameShape(*relation)) {
      RETURN_IF_ERROR(CheckNewShape(setup_, *newest, *relation));
    }
    ASSIGN_OR_RETURN(TableMapping table, CompileTableMapping(setup_, relation));
    if (table.target != nullptr) RETURN_IF_ERROR(owners_.Claim(*table.target, *relation));
    newest = relation;
    return table;
  }

  // A batch of which nothing is left is nothing to write, but for the end of a transaction that has begun.
  absl::Status Pass(const ChangeBatch& batch) {
    if (batch.change_count() == 0 && !begun_) return absl::OkStatus();
    begun_ = batch.continues();
    return inner_->Write(batch);
  }

  const MappingSetup setup_;
  const std::unique_ptr<Destination> inner_;
  BatchMapper mapper_;
  ChangeBatch mapped_;
  absl::flat_hash_map<RelationPtr, std::unique_ptr<const TableMapping>> by_relation_;
  absl::flat_hash_map<uint32_t, RelationPtr> newest_;  // by OID: the shape that was looked at last
  TableOwners owners_;
  std::vector<const TableMapping*> tables_;  // of the batch that is written
  bool begun_ = false;
};

// ---- options ----

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

std::unique_ptr<Destination> MakeMappedDestination(MappingSetup setup, std::unique_ptr<Destination> inner) {
  return std::make_unique<MappedDestination>(std::move(setup), std::move(inner));
}

}  // namespace wallaby
