#include "flow/ddl_event.h"

#include <array>
#include <stdexcept>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "change/json_integer.h"
#include "flow/enum_names.h"
#include "nlohmann/json.hpp"

namespace wallaby {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::array<std::string_view, 6> kStatusNames = {"pending", "approved", "applying",
                                                          "applied", "rejected", "failed"};

Json TypeToJson(const PgType& type) {
  return {{"oid", type.oid},
          {"typmod", type.typmod},
          {"logical", static_cast<int>(type.logical)},
          {"precision", type.precision},
          {"scale", type.scale},
          {"binary", type.binary},
          {"sql", type.sql_name},
          {"source", type.source_name}};
}

void Demand(bool condition, const char* what) {
  if (!condition) throw std::out_of_range(what);
}

PgType TypeFromJson(const Json& json) {
  PgType type;
  type.oid = JsonInteger<uint32_t>(json.at("oid"));
  type.typmod = JsonInteger<int32_t>(json.at("typmod"));
  type.logical = static_cast<LogicalType>(JsonInteger<uint8_t>(json.at("logical")));
  type.precision = JsonInteger<uint8_t>(json.at("precision"));
  type.scale = JsonInteger<uint8_t>(json.at("scale"));
  Demand(type.logical <= LogicalType::kJson, "a logical type does not exist");
  // What reads and builds decimals relies on it.
  if (type.logical == LogicalType::kDecimal) {
    Demand(type.precision >= 1 && type.precision <= 38 && type.scale <= type.precision, "a decimal does not exist");
  }
  type.binary = json.at("binary").get<bool>();
  type.sql_name = json.at("sql").get<std::string>();
  type.source_name = json.at("source").get<std::string>();
  return type;
}

Json ColumnToJson(const Column& column, const ColumnDetail& detail) {
  Json json = {{"name", column.name}, {"num", detail.attnum}, {"type", TypeToJson(column.type)}, {"key", column.key}};
  if (detail.not_null) json["not_null"] = true;
  if (!detail.default_sql.empty()) json["default"] = detail.default_sql;
  if (detail.fill) json["fill"] = *detail.fill;
  if (detail.filled_by_rewrite) json["filled_by_rewrite"] = true;
  if (detail.hidden) json["hidden"] = true;
  if (!detail.later_names.empty()) json["later_names"] = detail.later_names;
  return json;
}

Json ShapeJson(const TableShape& shape) {
  Json columns = Json::array();
  for (size_t i = 0; i < shape.details.size(); ++i) {
    columns.push_back(ColumnToJson(shape.relation.columns[i], shape.details[i]));
  }
  return {{"oid", shape.relation.oid},   {"schema", shape.relation.schema},
          {"name", shape.relation.name}, {"identity", std::string(1, static_cast<char>(shape.relation.identity))},
          {"key", shape.relation.key},   {"columns", std::move(columns)}};
}

TableShape ReadShape(const Json& json) {
  TableShape shape;
  shape.relation.oid = JsonInteger<uint32_t>(json.at("oid"));
  shape.relation.schema = json.at("schema").get<std::string>();
  shape.relation.name = json.at("name").get<std::string>();
  const auto identity = json.at("identity").get<std::string>();
  Demand(identity.size() == 1 && IsReplicaIdentity(identity[0]), "a replica identity does not exist");
  shape.relation.identity = static_cast<ReplicaIdentity>(identity[0]);
  for (const Json& entry : json.at("columns")) {
    Column column;
    column.name = entry.at("name").get<std::string>();
    column.type = TypeFromJson(entry.at("type"));
    column.key = entry.at("key").get<bool>();
    shape.relation.columns.push_back(std::move(column));
    ColumnDetail detail;
    detail.attnum = JsonInteger<int>(entry.at("num"));
    detail.not_null = entry.value("not_null", false);
    detail.default_sql = entry.value("default", "");
    if (entry.contains("fill")) detail.fill = entry.at("fill").get<std::string>();
    detail.filled_by_rewrite = entry.value("filled_by_rewrite", false);
    detail.hidden = entry.value("hidden", false);
    detail.later_names = entry.value("later_names", std::vector<std::string>());
    shape.details.push_back(std::move(detail));
  }
  for (const Json& key : json.at("key")) {
    const int column = JsonInteger<int>(key);
    Demand(column >= 0 && column < static_cast<int>(shape.relation.columns.size()), "a key column does not exist");
    shape.relation.key.push_back(column);
  }
  return shape;
}

Json StepToJson(const SchemaStep& step) {
  Json json = {{"step", SchemaStepName(step.kind)}, {"description", DescribeStep(step)}};
  if (!step.column.empty()) json["column"] = step.column;
  if (!step.old_name.empty()) json["old_name"] = step.old_name;
  const bool typed = step.kind == SchemaStepKind::kAddColumn || step.kind == SchemaStepKind::kRetypeColumn;
  if (typed) json["type"] = step.definition.type.sql_name;
  if (step.kind == SchemaStepKind::kRetypeColumn) json["old_type"] = step.old_type.sql_name;
  return json;
}

// Names and SQL come from the source's database; what is not UTF-8 there must not make the plan unreadable.
std::string Dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// Runs `read` on parsed JSON; what it throws becomes DATA_LOSS.
template <typename T, typename Read>
absl::StatusOr<T> Parse(std::string_view text, std::string_view what, Read read) {
  try {
    return read(Json::parse(text));
  } catch (const std::exception& error) {
    return absl::DataLossError(absl::StrCat(what, " cannot be read: ", error.what()));
  }
}

}  // namespace

std::string_view DdlStatusName(DdlStatus status) {
  return kStatusNames[static_cast<size_t>(status)];
}

absl::StatusOr<DdlStatus> ParseDdlStatus(std::string_view name) {
  for (size_t i = 0; i < kStatusNames.size(); ++i) {
    if (kStatusNames[i] == name) return static_cast<DdlStatus>(i);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("status: got '", name, "'; allowed: pending, approved, applying, applied, rejected, failed"));
}

std::string PlanToJson(const SchemaChange& change, const std::map<std::string, std::vector<std::string>>& statements) {
  Json steps = Json::array();
  for (const SchemaStep& step : change.steps) steps.push_back(StepToJson(step));
  Json destinations = Json::object();
  for (const auto& [name, lines] : statements) destinations[name] = lines;
  Json json = {{"table", change.Table()},
               {"steps", std::move(steps)},
               {"copy", change.copy},
               {"destinations", std::move(destinations)}};
  if (change.before) json["before"] = ShapeJson(*change.before);
  if (change.after) json["after"] = ShapeJson(*change.after);
  return Dump(json);
}

absl::StatusOr<SchemaChange> ChangeFromPlan(std::string_view plan) {
  return Parse<SchemaChange>(plan, "the plan of a DDL event", [](const Json& json) {
    std::optional<TableShape> before, after;
    if (json.contains("before")) before = ReadShape(json.at("before"));
    if (json.contains("after")) after = ReadShape(json.at("after"));
    SchemaChange change = CompareShapes(before ? &*before : nullptr, after ? &*after : nullptr);
    change.copy = json.at("copy").get<bool>();
    return change;
  });
}

std::string ShapeToJson(const TableShape& shape) {
  return Dump(ShapeJson(shape));
}

absl::StatusOr<TableShape> ShapeFromJson(std::string_view json) {
  return Parse<TableShape>(json, "the stored shape of a table", [](const Json& parsed) { return ReadShape(parsed); });
}

EffectiveDdlPolicy ResolveDdlPolicy(const DdlPolicy& flow, const DdlPolicy& settings) {
  auto choose = [](const std::optional<bool>& own, const std::optional<bool>& server, bool otherwise) {
    return own ? *own : server ? *server : otherwise;
  };
  EffectiveDdlPolicy policy;
  policy.gate = choose(flow.gate, settings.gate, false);
  policy.auto_approve = choose(flow.auto_approve, settings.auto_approve, !policy.gate);
  policy.auto_apply = choose(flow.auto_apply, settings.auto_apply, !policy.gate);
  if (flow.scope != DdlScope::kUnspecified) policy.scope = flow.scope;
  return policy;
}

absl::Status CheckDdlScope(const EffectiveDdlPolicy& policy, bool has_spool) {
  if (policy.scope == DdlScope::kFlow) return absl::OkStatus();
  const std::string_view name = NameOf(DdlScopeNames(), policy.scope);
  if (!policy.gate) {
    return absl::InvalidArgumentError(absl::StrCat(
        "config.ddl.scope: ", name, " says what waits at the gate, and the gate is off; set config.ddl.gate to true"));
  }
  if (has_spool) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("config.ddl.scope: ", name,
                                                 " needs a spool, where the changes of the table wait; set "
                                                 "WALLABY_SPOOL_DIR, or leave the scope at flow"));
}

}  // namespace wallaby
