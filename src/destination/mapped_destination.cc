#include "destination/mapped_destination.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "mapping/batch_mapper.h"
#include "mapping/schema_mapping.h"
#include "mapping/table_owners.h"

namespace wallaby {
namespace {

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
  absl::Status Tend() override { return inner_->Tend(); }

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

  // What it holds was mapped when it was first sent.
  absl::Status Resend(const PushRequest& request) override { return inner_->Resend(request); }

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

}  // namespace

std::unique_ptr<Destination> MakeMappedDestination(MappingSetup setup, std::unique_ptr<Destination> inner) {
  return std::make_unique<MappedDestination>(std::move(setup), std::move(inner));
}

}  // namespace wallaby
