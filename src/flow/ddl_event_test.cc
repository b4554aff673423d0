#include "flow/ddl_event.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace wallaby {
namespace {

TableShape Orders() {
  TableShape shape;
  shape.relation.oid = 16400;
  shape.relation.schema = "public";
  shape.relation.name = "orders";
  shape.relation.key = {0};
  shape.relation.columns = {{"id", BuiltinType(20, -1), true}, {"note", BuiltinType(1700, (10 << 16 | 2) + 4), false}};
  shape.details = {{.attnum = 1, .not_null = true}, {.attnum = 3, .default_sql = "7.00", .fill = "7.00"}};
  return shape;
}

TEST(DdlEventTest, ShapesComeBackAsTheyWere) {
  TableShape shape = Orders();
  shape.details[1].hidden = true;
  shape.details[1].filled_by_rewrite = true;
  shape.details[1].later_names = {"remark", "re\"mark"};
  const auto read = ShapeFromJson(ShapeToJson(shape));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_TRUE(read->relation.SameShape(shape.relation));
  EXPECT_EQ(read->relation.oid, shape.relation.oid);
  EXPECT_EQ(read->details, shape.details);
  EXPECT_EQ(ShapeFromJson("{}").status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(ShapeFromJson("nonsense").status().code(), absl::StatusCode::kDataLoss);
}

// Each would be an index or a number out of bounds later.
TEST(DdlEventTest, ShapesThatCannotBeAreRefused) {
  const std::string good = ShapeToJson(Orders());
  ASSERT_TRUE(ShapeFromJson(good).ok());
  const std::pair<const char*, const char*> changes[] = {
      {R"("key":[0])", R"("key":[2])"},           {R"("key":[0])", R"("key":[-1])"},
      {R"("identity":"d")", R"("identity":"x")"}, {R"("identity":"d")", R"("identity":"")"},
      {R"("logical":8)", R"("logical":99)"},      {R"("logical":8)", R"("logical":264)"},
      {R"("precision":10)", R"("precision":39)"}, {R"("precision":10)", R"("precision":266)"},
      {R"("scale":2)", R"("scale":11)"},          {R"("num":1)", R"("num":1e300)"},
  };
  for (const auto& [from, to] : changes) {
    const size_t at = good.find(from);
    ASSERT_NE(at, std::string::npos) << from << " in " << good;
    std::string bad = good;
    bad.replace(at, std::string_view(from).size(), to);
    EXPECT_EQ(ShapeFromJson(bad).status().code(), absl::StatusCode::kDataLoss) << to;
  }
}

TEST(DdlEventTest, PlansHoldTheChangeAndTheStatements) {
  const TableShape before = Orders();
  TableShape after = before;
  after.relation.columns[1].name = "re\"mark";
  SchemaChange change = CompareShapes(&before, &after);
  change.copy = true;
  const std::string plan = PlanToJson(change, {{"lake", {"ALTER TABLE orders RENAME COLUMN note TO remark"}}});
  EXPECT_THAT(plan, testing::HasSubstr(R"("step":"rename_column")"));
  EXPECT_THAT(plan, testing::HasSubstr(R"("destinations":{"lake":["ALTER TABLE)"));
  const auto read = ChangeFromPlan(plan);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->Table(), "public.orders");
  EXPECT_TRUE(read->copy);
  ASSERT_EQ(read->steps.size(), 1u);
  EXPECT_EQ(DescribeStep(read->steps[0]), "rename column note to re\"mark");
  EXPECT_EQ(ChangeFromPlan("[]").status().code(), absl::StatusCode::kDataLoss);
}

TEST(DdlEventTest, StatusesHaveNames) {
  for (const DdlStatus status : {DdlStatus::kPending, DdlStatus::kApproved, DdlStatus::kApplying, DdlStatus::kApplied,
                                 DdlStatus::kRejected, DdlStatus::kFailed}) {
    EXPECT_EQ(ParseDdlStatus(DdlStatusName(status)).value(), status);
  }
  EXPECT_EQ(ParseDdlStatus("held").status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(DdlPolicyTest, TheGateAlonePausesAndTheFlowsOwnWins) {
  const auto pauses = [](DdlPolicy flow, DdlPolicy settings) { return ResolveDdlPolicy(flow, settings).pauses(); };
  EXPECT_FALSE(pauses({}, {}));
  EXPECT_TRUE(pauses({}, {.gate = true}));
  EXPECT_TRUE(pauses({.gate = true}, {}));
  EXPECT_FALSE(pauses({.gate = false}, {.gate = true}));
  EXPECT_FALSE(pauses({}, {.gate = true, .auto_approve = true, .auto_apply = true}));
  EXPECT_FALSE(pauses({.gate = true}, {.auto_approve = true, .auto_apply = true}));
  EXPECT_TRUE(pauses({.auto_apply = false}, {.gate = true, .auto_approve = true, .auto_apply = true}));
  EXPECT_TRUE(pauses({}, {.gate = true, .auto_approve = true}));
  EXPECT_FALSE(pauses({}, {.auto_apply = false}));
}

TEST(DdlEventTest, AScopeNeedsAGateAndASpool) {
  const auto resolve = [](DdlPolicy flow, DdlPolicy settings) { return ResolveDdlPolicy(flow, settings); };
  const DdlPolicy table{.scope = DdlScope::kTable}, gate{.gate = true};
  EXPECT_FALSE(resolve({}, gate).holds_tables());
  EXPECT_TRUE(resolve(table, gate).holds_tables());
  EXPECT_FALSE(resolve(table, {.gate = true, .auto_approve = true, .auto_apply = true}).holds_tables());
  EXPECT_TRUE(CheckDdlScope(resolve({}, {}), /*has_spool=*/false).ok());
  EXPECT_TRUE(CheckDdlScope(resolve(table, gate), /*has_spool=*/true).ok());
  EXPECT_EQ(CheckDdlScope(resolve(table, {}), true).message(),
            "config.ddl.scope: table says what waits at the gate, and the gate is off; set config.ddl.gate to true");
  EXPECT_EQ(CheckDdlScope(resolve({.scope = DdlScope::kLinked}, gate), false).message(),
            "config.ddl.scope: linked needs a spool, where the changes of the table wait; set WALLABY_SPOOL_DIR, or "
            "leave the scope at flow");
}

}  // namespace
}  // namespace wallaby
