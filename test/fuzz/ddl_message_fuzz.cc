// Messages of the DDL capture: anybody with rights in the source's database can send one under our prefix. What is
// read goes the way of an event: shapes are stored and read back, the plan is written and read back.
#include <map>
#include <string>

#include "flow/ddl_event.h"
#include "fuzz.h"
#include "postgres/ddl_capture.h"

namespace wallaby {
namespace {

void CheckShape(const TableShape& shape) {
  REQUIRE(shape.details.size() == shape.relation.columns.size(), "a column without its details");
  const auto again = ShapeFromJson(ShapeToJson(shape));
  REQUIRE(again.ok(), again.status().message());
  REQUIRE(again->relation.SameShape(shape.relation) && again->details == shape.details, "a shape changed in the store");
  (void)shape.Visible();
}

}  // namespace
}  // namespace wallaby

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace wallaby;
  const std::string text(reinterpret_cast<const char*>(data), size);
  TypeCatalog types(nullptr);
  const auto message = ParseDdlMessage(text, "pub", types);
  if (!message.ok()) {
    REQUIRE(absl::IsDataLoss(message.status()), message.status().message());
    return 0;
  }
  if (message->before) CheckShape(*message->before);
  if (message->after) CheckShape(*message->after);
  if (!message->before && !message->after) return 0;
  const SchemaChange change =
      CompareShapes(message->before ? &*message->before : nullptr, message->after ? &*message->after : nullptr);
  for (const SchemaStep& step : change.steps) (void)DescribeStep(step);
  const std::string plan = PlanToJson(change, {{"dest", {"ALTER TABLE t"}}});
  const auto again = ChangeFromPlan(plan);
  REQUIRE(again.ok(), again.status().message());
  REQUIRE(PlanToJson(*again, {{"dest", {"ALTER TABLE t"}}}) == plan, "a plan changed in the store");
  return 0;
}
