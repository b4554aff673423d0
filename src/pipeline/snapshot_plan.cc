#include "pipeline/snapshot_plan.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "nlohmann/json.hpp"

namespace wallaby {
namespace {

constexpr int kVersion = 1;

// All that must not change while a copy is under way. Only compared.
std::string ShapeOf(const PublishedTable& table) {
  const Relation& relation = table.relation;
  std::string shape = absl::StrCat(relation.oid, " ", std::string(1, static_cast<char>(relation.identity)));
  for (const Column& column : relation.columns) {
    absl::StrAppend(&shape, ", ", column.name, " ", column.type.oid, " ", column.type.typmod, column.key ? " key" : "");
  }
  absl::StrAppend(&shape, "; key");
  for (const int column : relation.key) absl::StrAppend(&shape, " ", column);
  absl::StrAppend(&shape, "; filter ", table.row_filter);
  return shape;
}

absl::Status Wrong() {
  return absl::DataLossError("a stored snapshot plan cannot be read");
}

absl::Status ReadParts(const nlohmann::json& json, SnapshotPlan* plan) {
  for (const nlohmann::json& bound : json["bounds"]) {
    if (!bound.is_number_integer()) return Wrong();
    plan->bounds.push_back(bound.get<int64_t>());
  }
  for (const nlohmann::json& stored : json["parts"]) {
    if (!stored.is_array() || stored.size() != 2 || !stored[0].is_string() || !stored[1].is_number_integer()) {
      return Wrong();
    }
    SnapshotPlan::Part& part = plan->parts.emplace_back();
    ASSIGN_OR_RETURN(part.lsn, Lsn::Parse(stored[0].get<std::string>()));
    part.rows = stored[1].get<int64_t>();
  }
  if (plan->parts.size() != plan->bounds.size() + 1) return Wrong();
  return std::is_sorted(plan->bounds.begin(), plan->bounds.end()) ? absl::OkStatus() : Wrong();
}

}  // namespace

Lsn SnapshotPlan::highest() const {
  Lsn highest;
  for (const Part& part : parts) highest = std::max(highest, part.lsn);
  return highest;
}

std::optional<SnapshotPlan> MakePlan(const PublishedTable& table, const std::vector<TablePart>& parts, Lsn lsn) {
  SnapshotPlan plan;
  plan.shape = ShapeOf(table);
  plan.file = parts.front().file;
  plan.parts.resize(parts.size(), {.lsn = lsn});
  if (parts.size() == 1) return plan;
  plan.column = parts.front().column;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (parts[i].column.empty()) return std::nullopt;
    if (i > 0) plan.bounds.push_back(*parts[i].from);
  }
  return plan;
}

std::vector<TablePart> PlannedParts(const Relation& relation, const SnapshotPlan& plan) {
  std::vector<TablePart> parts = KeyRangeParts(relation, plan.column, plan.bounds);
  for (TablePart& part : parts) part.file = plan.file;
  return parts;
}

bool PlanFits(const SnapshotPlan& plan, const PublishedTable& table, uint32_t file) {
  return plan.shape == ShapeOf(table) && plan.file == file;
}

std::string PlanToText(const SnapshotPlan& plan) {
  nlohmann::json json = {{"version", kVersion},
                         {"shape", plan.shape},
                         {"file", plan.file},
                         {"column", plan.column},
                         {"bounds", plan.bounds}};
  nlohmann::json& parts = json["parts"] = nlohmann::json::array();
  for (const SnapshotPlan::Part& part : plan.parts) parts.push_back({part.lsn.ToString(), part.rows});
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

absl::StatusOr<SnapshotPlan> PlanFromText(std::string_view text) {
  const nlohmann::json json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || json.value("version", nlohmann::json()) != kVersion) return Wrong();
  for (const char* name : {"shape", "column"}) {
    if (!json.contains(name) || !json[name].is_string()) return Wrong();
  }
  for (const char* name : {"bounds", "parts"}) {
    if (!json.contains(name) || !json[name].is_array()) return Wrong();
  }
  if (!json.contains("file") || !json["file"].is_number_unsigned()) return Wrong();
  SnapshotPlan plan;
  plan.shape = json["shape"].get<std::string>();
  plan.column = json["column"].get<std::string>();
  plan.file = json["file"].get<uint32_t>();
  RETURN_IF_ERROR(ReadParts(json, &plan));
  return plan;
}

absl::StatusOr<pgoutput::SkipRule> SkipRuleOf(const TableSync& sync) {
  if (sync.plan.empty()) return pgoutput::SkipRule(sync.snapshot_lsn);
  auto plan = PlanFromText(sync.plan);
  if (!plan.ok()) return Annotate(plan.status(), absl::StrCat("table ", sync.table));
  std::vector<Lsn> lsns;
  for (const SnapshotPlan::Part& part : plan->parts) lsns.push_back(part.lsn);
  return pgoutput::SkipRule(plan->column, plan->bounds, std::move(lsns));
}

}  // namespace wallaby
