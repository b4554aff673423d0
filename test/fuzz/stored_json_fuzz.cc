// What the control store and a worker's report hold as JSON: shapes and plans of DDL events, snapshot plans, metrics.
// A program of another version, or a person, may have written them.
#include <string>
#include <vector>

#include "flow/ddl_event.h"
#include "fuzz.h"
#include "pipeline/snapshot_plan.h"
#include "telemetry/metrics_snapshot.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace wallaby;
  const std::string text(reinterpret_cast<const char*>(data), size);
  if (const auto shape = ShapeFromJson(text); shape.ok()) {
    const Relation& relation = shape->relation;
    for (const int key : relation.key) {
      REQUIRE(key >= 0 && key < static_cast<int>(relation.columns.size()), "a key beyond the columns");
    }
    for (const Column& column : relation.columns) {
      REQUIRE(column.type.logical <= LogicalType::kJson && column.type.precision <= 38 && column.type.scale <= 38,
              "a type that does not exist");
    }
    const auto again = ShapeFromJson(ShapeToJson(*shape));
    REQUIRE(again.ok() && again->relation.SameShape(relation) && again->details == shape->details, "a shape changed");
    (void)shape->Visible();
  }
  if (const auto change = ChangeFromPlan(text); change.ok()) {
    const std::string plan = PlanToJson(*change, {});
    const auto again = ChangeFromPlan(plan);
    REQUIRE(again.ok() && PlanToJson(*again, {}) == plan, "a plan changed");
  }
  if (const auto plan = PlanFromText(text); plan.ok()) {
    const std::string written = PlanToText(*plan);
    const auto again = PlanFromText(written);
    REQUIRE(again.ok() && PlanToText(*again) == written, "a snapshot plan changed");
    TableSync sync;
    sync.plan = text;
    const auto rule = SkipRuleOf(sync);
    REQUIRE(rule.ok(), rule.status().message());
    (void)rule->Skips(0, Lsn{1});
    Relation relation;
    relation.schema = "public";
    relation.name = "t";
    REQUIRE(PlannedParts(relation, *plan).size() == plan->parts.size(), "parts are lost");
  }
  if (const auto metrics = DecodeMetrics(text); metrics.ok()) {
    const std::string written = EncodeMetrics(*metrics);
    const auto again = DecodeMetrics(written);
    REQUIRE(again.ok() && EncodeMetrics(*again) == written, "metrics changed");
  }
  return 0;
}
