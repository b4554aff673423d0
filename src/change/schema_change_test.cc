#include "change/schema_change.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace wallaby {
namespace {

using testing::ElementsAre;

constexpr uint32_t kInt4 = 23, kInt8 = 20, kText = 25;

TableShape Shape(const std::string& name) {
  TableShape shape;
  shape.relation.schema = "public";
  shape.relation.name = name;
  return shape;
}

TableShape& Add(TableShape& shape, const std::string& name, uint32_t oid, int attnum, bool key = false) {
  if (key) shape.relation.key.push_back(static_cast<int>(shape.relation.columns.size()));
  shape.relation.columns.push_back({name, BuiltinType(oid, -1), key});
  shape.details.push_back({.attnum = attnum});
  return shape;
}

std::vector<std::string> Steps(const TableShape& before, const TableShape& after) {
  std::vector<std::string> steps;
  for (const SchemaStep& step : CompareShapes(&before, &after).steps) steps.push_back(DescribeStep(step));
  return steps;
}

TEST(SchemaChangeTest, TablesComeAndGoAndMove) {
  TableShape t = Shape("t");
  EXPECT_EQ(CompareShapes(nullptr, &t).steps[0].kind, SchemaStepKind::kCreateTable);
  EXPECT_EQ(CompareShapes(&t, nullptr).steps[0].kind, SchemaStepKind::kDropTable);
  EXPECT_EQ(CompareShapes(&t, nullptr).Table(), "public.t");
  EXPECT_THAT(Steps(t, Shape("u")), ElementsAre("rename table public.t"));
  EXPECT_TRUE(Steps(t, t).empty());
}

TEST(SchemaChangeTest, NumbersTellARenameFromADropAndAnAdd) {
  TableShape before = Shape("t");
  Add(Add(before, "id", kInt4, 1, true), "a", kText, 2);
  TableShape renamed = Shape("t");
  Add(Add(renamed, "id", kInt4, 1, true), "b", kText, 2);
  EXPECT_THAT(Steps(before, renamed), ElementsAre("rename column a to b"));
  TableShape replaced = Shape("t");
  Add(Add(replaced, "id", kInt4, 1, true), "b", kText, 3);
  EXPECT_THAT(Steps(before, replaced), ElementsAre("drop column a", "add column b (text)"));
  // A column of the same name is another one.
  TableShape again = Shape("t");
  Add(Add(again, "id", kInt4, 1, true), "a", kText, 3);
  EXPECT_THAT(Steps(before, again), ElementsAre("drop column a", "add column a (text)"));
  // Without numbers the name is all there is.
  TableShape unnumbered = Shape("t");
  Add(Add(unnumbered, "id", kInt4, 0, true), "a", kText, 0);
  EXPECT_TRUE(Steps(before, unnumbered).empty());
}

TEST(SchemaChangeTest, NamesThatChangePlacesGoThroughAThird) {
  TableShape before = Shape("t");
  Add(Add(before, "a", kText, 1), "b", kText, 2);
  TableShape after = Shape("t");
  Add(Add(after, "b", kText, 1), "a", kText, 2);
  EXPECT_THAT(Steps(before, after), ElementsAre("rename column a to a_wallaby_renamed", "rename column b to a",
                                                "rename column a_wallaby_renamed to b"));
  TableShape shifted = Shape("t");
  Add(Add(shifted, "b", kText, 1), "c", kText, 2);
  EXPECT_THAT(Steps(before, shifted), ElementsAre("rename column b to c", "rename column a to b"));
}

TEST(SchemaChangeTest, CopiesWhatWasRewritten) {
  TableShape before = Shape("t");
  Add(before, "a", kInt4, 1);
  TableShape wider = Shape("t");
  Add(wider, "a", kInt8, 1);
  EXPECT_FALSE(CompareShapes(&before, &wider).copy);
  EXPECT_TRUE(CompareShapes(&wider, &before).copy);
  EXPECT_THAT(Steps(before, wider), ElementsAre("retype column a from integer to bigint"));
  TableShape serial = before;
  Add(serial, "n", kInt8, 2);
  EXPECT_FALSE(CompareShapes(&before, &serial).copy);
  serial.details.back().filled_by_rewrite = true;
  EXPECT_TRUE(CompareShapes(&before, &serial).copy);
}

TEST(SchemaChangeTest, KeysNullsAndDefaults) {
  TableShape before = Shape("t");
  Add(Add(before, "id", kInt4, 1, true), "a", kText, 2);
  TableShape after = before;
  after.relation.columns[0].name = "key";
  EXPECT_THAT(Steps(before, after), ElementsAre("rename column id to key"));
  after = before;
  after.relation.key = {1};
  after.details[1].not_null = true;
  after.details[1].default_sql = "'x'::text";
  EXPECT_THAT(Steps(before, after),
              ElementsAre("a is no longer nullable", "default of a becomes 'x'::text", "the key becomes a"));
  after = before;
  after.relation.key.clear();
  EXPECT_THAT(Steps(before, after), ElementsAre("the key is gone"));
}

TEST(SchemaChangeTest, HiddenColumnsTakeNoPart) {
  TableShape before = Shape("t");
  Add(Add(before, "id", kInt4, 1, true), "secret", kText, 2);
  before.details[1].hidden = true;
  TableShape after = Shape("t");
  Add(Add(after, "id", kInt4, 1, true), "renamed", kInt8, 2);
  after.details[1].hidden = true;
  EXPECT_TRUE(Steps(before, after).empty());
  EXPECT_EQ(after.Visible().columns.size(), 1u);
  EXPECT_THAT(after.Visible().key, ElementsAre(0));
  TableShape gone = Shape("t");
  Add(gone, "id", kInt4, 1, true);
  EXPECT_TRUE(Steps(before, gone).empty());
}

TEST(SchemaChangeTest, WhatIsHiddenStaysSoUnderItsNumberOrItsNames) {
  TableShape from = Shape("t");
  Add(Add(from, "id", kInt4, 1, true), "secret", kText, 2);
  from.details[1].hidden = true;
  from.details[1].later_names = {"later"};
  const auto hides = [&from](const std::string& name, int attnum, uint32_t oid) {
    TableShape to = Shape("t");
    to.relation.oid = oid;
    Add(Add(to, "id", kInt4, 1, true), name, kText, attnum);
    const bool some = KeepHidden(from, &to);
    EXPECT_EQ(some, to.details[1].hidden);
    EXPECT_FALSE(to.details[0].hidden);
    EXPECT_FALSE(KeepHidden(from, &to)) << "a second time";
    return some;
  };
  const uint32_t oid = from.relation.oid;
  EXPECT_TRUE(hides("renamed", 2, oid));
  EXPECT_TRUE(hides("secret", 0, oid));
  EXPECT_TRUE(hides("later", 0, oid));
  EXPECT_FALSE(hides("other", 0, oid));
  EXPECT_FALSE(hides("secret", 3, oid)) << "dropped and added";
  EXPECT_TRUE(hides("secret", 3, oid + 1)) << "of a table that was made anew";
  EXPECT_FALSE(hides("other", 2, oid + 1));
}

}  // namespace
}  // namespace wallaby
