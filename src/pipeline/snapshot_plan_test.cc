#include "pipeline/snapshot_plan.h"

#include <gtest/gtest.h>

namespace wallaby {
namespace {

PublishedTable Table() {
  PublishedTable table;
  table.relation.oid = 17;
  table.relation.schema = "public";
  table.relation.name = "t";
  table.relation.columns = {{"id", BuiltinType(20, -1), true}, {"note", BuiltinType(25, -1), false}};
  table.relation.key = {0};
  return table;
}

std::vector<TablePart> Parts(const std::vector<int64_t>& bounds) {
  auto parts = KeyRangeParts(Table().relation, "id", bounds);
  for (TablePart& part : parts) part.file = 99;
  return parts;
}

TEST(SnapshotPlan, Parts) {
  const auto parts = Parts({-5, 10});
  ASSERT_EQ(parts.size(), 3u);
  EXPECT_EQ(parts[0].name, "public.t/0:\"id\" < '-5'");
  EXPECT_EQ(parts[1].condition, "\"id\" >= '-5' AND \"id\" < 10");
  EXPECT_EQ(parts[2].name, "public.t/2:\"id\" >= 10");
  EXPECT_FALSE(parts[0].from.has_value());
  EXPECT_EQ(parts[0].to, -5);
  EXPECT_EQ(parts[1].from, -5);
  EXPECT_EQ(parts[1].to, 10);
  EXPECT_FALSE(parts[2].to.has_value());
}

TEST(SnapshotPlan, RoundTrip) {
  for (const std::vector<int64_t>& bounds : {std::vector<int64_t>{}, {INT64_MIN, -5, 10, INT64_MAX}}) {
    const auto parts = Parts(bounds);
    auto plan = MakePlan(Table(), parts, Lsn{0x1600000000});
    ASSERT_TRUE(plan.has_value());
    plan->parts.back() = {Lsn{0xffffffffffffffff}, 125000};
    const auto read = PlanFromText(PlanToText(*plan));
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(PlanToText(*read), PlanToText(*plan));
    EXPECT_TRUE(PlanFits(*read, Table(), 99));
    const auto planned = PlannedParts(Table().relation, *read);
    ASSERT_EQ(planned.size(), parts.size());
    for (size_t i = 0; i < parts.size(); ++i) {
      EXPECT_EQ(planned[i].name, parts[i].name);
      EXPECT_EQ(planned[i].condition, parts[i].condition);
      EXPECT_EQ(planned[i].file, 99u);
    }
    const auto rule = SkipRuleOf({.table = "public.t", .plan = PlanToText(*plan)});
    ASSERT_TRUE(rule.ok());
    EXPECT_EQ(rule->bounds, bounds);
    EXPECT_EQ(rule->highest(), Lsn{0xffffffffffffffff});
    EXPECT_EQ(rule->lsns.size(), bounds.size() + 1);
    EXPECT_EQ(plan->highest(), rule->highest());
  }
  EXPECT_EQ(SkipRuleOf({.table = "public.t", .snapshot_lsn = Lsn{7}})->lsns, std::vector<Lsn>{Lsn{7}});
}

TEST(SnapshotPlan, OtherPartsHaveNone) {
  auto parts = Parts({1, 2});
  for (TablePart& part : parts) part.column.clear();
  EXPECT_FALSE(MakePlan(Table(), parts, Lsn{1}).has_value());
}

TEST(SnapshotPlan, NoLongerFits) {
  const auto plan = *MakePlan(Table(), Parts({1}), Lsn{1});
  EXPECT_TRUE(PlanFits(plan, Table(), 99));
  EXPECT_FALSE(PlanFits(plan, Table(), 100));
  PublishedTable table = Table();
  table.relation.key = {1};
  EXPECT_FALSE(PlanFits(plan, table, 99));
  table = Table();
  table.relation.columns.push_back({"more", BuiltinType(25, -1), false});
  EXPECT_FALSE(PlanFits(plan, table, 99));
  table = Table();
  table.relation.columns[0].type = BuiltinType(23, -1);
  EXPECT_FALSE(PlanFits(plan, table, 99));
  table = Table();
  table.row_filter = "id > 0";
  EXPECT_FALSE(PlanFits(plan, table, 99));
}

TEST(SnapshotPlan, AnythingElseIsDataLoss) {
  const char* wrong[] = {
      "",
      "x",
      "[]",
      "{}",
      R"({"version":2})",
      R"({"version":1,"shape":"s","file":1,"column":"id","bounds":[1],"parts":[["0/1",0]]})",
      R"({"version":1,"shape":"s","file":1,"column":"id","bounds":[2,1],"parts":[["0/1",0],["0/1",0],["0/1",0]]})",
      R"({"version":1,"shape":"s","file":1,"column":"id","bounds":["1"],"parts":[["0/1",0],["0/1",0]]})",
      R"({"version":1,"shape":"s","file":-1,"column":"id","bounds":[],"parts":[["0/1",0]]})",
      R"({"version":1,"shape":"s","file":1,"column":"id","bounds":[],"parts":[[1,0]]})"};
  for (const char* text : wrong) EXPECT_TRUE(absl::IsDataLoss(PlanFromText(text).status())) << text;
}

}  // namespace
}  // namespace wallaby
