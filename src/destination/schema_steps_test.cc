#include "destination/schema_steps.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace wallaby {
namespace {

using testing::HasSubstr;

SchemaStep Drop(const std::string& name) {
  return {.kind = SchemaStepKind::kDropColumn, .column = name};
}
SchemaStep AddStep(const std::string& name) {
  return {.kind = SchemaStepKind::kAddColumn, .column = name};
}
SchemaStep RenameStep(const std::string& from, const std::string& to) {
  return {.kind = SchemaStepKind::kRenameColumn, .column = to, .old_name = from};
}

// "10+" for done, not done, unclear; or the error.
std::string Done(std::vector<SchemaStep> steps, NamesOfTable table) {
  SchemaChange change;
  change.steps = std::move(steps);
  table.shown = "public.t";
  const auto found = FindStepsDone(change, table);
  if (!found.ok()) return std::string(found.status().message());
  std::string text;
  for (const bool done : found->done) text += done ? '1' : '0';
  return text + (found->unclear ? "?" : "");
}

TEST(SchemaStepsTest, StepsByThemselves) {
  EXPECT_EQ(Done({Drop("a"), AddStep("b"), RenameStep("c", "d")}, {.names = {"a", "c"}}), "000");
  EXPECT_EQ(Done({Drop("a"), AddStep("b"), RenameStep("c", "d")}, {.names = {"b", "d"}}), "111");
  EXPECT_EQ(Done({Drop("a"), AddStep("b"), RenameStep("c", "d")}, {.names = {"b", "c"}}), "110");
}

TEST(SchemaStepsTest, ANameThatIsHandedOn) {
  const std::vector<SchemaStep> steps = {Drop("a"), RenameStep("b", "a")};
  EXPECT_EQ(Done(steps, {.names = {"a", "b"}}), "00");
  EXPECT_EQ(Done(steps, {.names = {"b"}}), "10");
  EXPECT_EQ(Done(steps, {.names = {"a"}}), "11");  // not to be dropped again
  EXPECT_EQ(Done({RenameStep("a", "b"), AddStep("a")}, {.names = {"a"}}), "00");
  EXPECT_EQ(Done({RenameStep("a", "b"), AddStep("a")}, {.names = {"b"}}), "10");
  EXPECT_EQ(Done({RenameStep("a", "b"), AddStep("a")}, {.names = {"a", "b"}}), "11");
}

TEST(SchemaStepsTest, ARingOfNamesNeedsTheRecord) {
  const std::vector<SchemaStep> ring = {RenameStep("a", "x"), RenameStep("b", "a"), RenameStep("x", "b")};
  EXPECT_EQ(Done(ring, {.names = {"a", "b"}}), "000?");
  EXPECT_EQ(Done(ring, {.names = {"a", "b"}, .recorded = true}), "111?");
  EXPECT_EQ(Done(ring, {.names = {"b", "x"}}), "100");
  EXPECT_EQ(Done(ring, {.names = {"a", "x"}}), "110");
  EXPECT_EQ(Done({Drop("a"), AddStep("a")}, {.names = {"a"}}), "00?");
  EXPECT_EQ(Done({Drop("a"), AddStep("a")}, {.names = {"a"}, .recorded = true}), "11?");
}

TEST(SchemaStepsTest, DroppedColumnsThatAreKept) {
  const std::vector<SchemaStep> steps = {Drop("a"), RenameStep("b", "a")};
  EXPECT_EQ(Done(steps, {.names = {"a", "b"}, .keeps_dropped = true}), "10");
  EXPECT_EQ(Done(steps, {.names = {"b"}, .keeps_dropped = true}), "10");
  EXPECT_EQ(Done(steps, {.names = {"a"}, .keeps_dropped = true}), "11");
  EXPECT_EQ(Done({Drop("a")}, {.names = {"a"}, .keeps_dropped = true}), "1");
  EXPECT_EQ(Done({Drop("a"), AddStep("a")}, {.names = {"a"}, .keeps_dropped = true}), "11");
}

TEST(SchemaStepsTest, CaseCountsOrNot) {
  EXPECT_EQ(Done({RenameStep("Note", "note")}, {.names = {"note"}, .case_counts = false}), "0");
  EXPECT_EQ(Done({RenameStep("Note", "TEXT")}, {.names = {"text"}, .case_counts = false}), "1");
  EXPECT_EQ(Done({RenameStep("Note", "note")}, {.names = {"note"}}), "1");
}

TEST(SchemaStepsTest, WhatFitsNowhereIsAnError) {
  EXPECT_THAT(Done({RenameStep("a", "b")}, {.names = {"a", "b"}}), HasSubstr("of the columns a, b it has a, b"));
  EXPECT_THAT(Done({RenameStep("a", "b")}, {}), HasSubstr("it has none of them; before the schema change it should "
                                                          "have a, after it b"));
}

TEST(SchemaStepsTest, MarksTellChangesApart) {
  TableShape one;
  one.relation.schema = "public";
  one.relation.name = "t";
  one.relation.columns = {{.name = "a"}, {.name = "b"}};
  one.details = {{.attnum = 1}, {.attnum = 2}};
  TableShape other = one;
  std::swap(other.relation.columns[0].name, other.relation.columns[1].name);
  const SchemaChange there = CompareShapes(&one, &other), back = CompareShapes(&other, &one);
  EXPECT_EQ(ChangeMark(there), ChangeMark(CompareShapes(&one, &other)));
  EXPECT_NE(ChangeMark(there), ChangeMark(back));
}

}  // namespace
}  // namespace wallaby
