#include "mapping/row_filter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "mapping/bound_filter.h"
#include "mapping/test_rows.h"

namespace wallaby {
namespace {

using testing::HasSubstr;

constexpr uint32_t kJsonb = 3802, kDate = 1082, kTimestampTz = 1184, kInt4Array = 1007;

RelationPtr Orders() {
  return TestRelation({{"id", kInt8Oid},
                       {"total", kNumericOid},
                       {"region"},
                       {"paid", kBoolOid},
                       {"Odd Name"},
                       {"data", kJsonb},
                       {"day", kDate},
                       {"at", kTimestampTz},
                       {"tags", kInt4Array},
                       {"other"}});
}

std::string ParseError(std::string_view text) {
  const auto filter = RowFilter::Parse(text);
  return filter.ok() ? "no error" : std::string(filter.status().message());
}

std::string BindError(std::string_view text) {
  const auto filter = RowFilter::Parse(text);
  if (!filter.ok()) return std::string(filter.status().message());
  const auto bound = BoundFilter::Bind(*filter, *Orders());
  return bound.ok() ? "no error" : std::string(bound.status().message());
}

// For a row (id, total, region, paid); the others are null.
Truth Evaluate(std::string_view text, TestRow row) {
  row.resize(Orders()->columns.size());
  const auto bound = BoundFilter::Bind(RowFilter::Parse(text).value(), *Orders());
  EXPECT_TRUE(bound.ok()) << bound.status();
  const std::string tuple = TestTuple(row);
  TupleFields fields;
  fields.Parse(tuple.data());
  Truth truth = Truth::kAbsent;
  const absl::Status status = bound->Evaluate(fields, nullptr, &truth);
  EXPECT_TRUE(status.ok()) << status;
  return truth;
}

TEST(RowFilterTest, WhatIsNoCondition) {
  EXPECT_THAT(ParseError(""), HasSubstr("no condition"));
  EXPECT_THAT(ParseError("id ="), HasSubstr("at character 5: the text ends where there must be a column or a literal"));
  EXPECT_THAT(ParseError("id = 1 and"), HasSubstr("the text ends"));
  EXPECT_THAT(ParseError("id = 1 id"), HasSubstr("AND, OR or the end"));
  EXPECT_THAT(ParseError("(id = 1"), HasSubstr("a )"));
  EXPECT_THAT(ParseError("id = 'x"), HasSubstr("the ' is not closed"));
  EXPECT_THAT(ParseError("id = null"), HasSubstr("write IS NULL"));
  EXPECT_THAT(ParseError("id in (1, null)"), HasSubstr("write IS NULL"));
  EXPECT_THAT(ParseError("lower(region) = 'eu'"), HasSubstr("no functions"));
  EXPECT_THAT(ParseError("id + 1 = 2"), HasSubstr("no meaning here"));
  EXPECT_THAT(ParseError("1 = 1"), HasSubstr("a column on one side"));
  EXPECT_THAT(ParseError("id = 1 = 2"), HasSubstr("cannot be chained"));
  EXPECT_THAT(ParseError("id = 1e5"), HasSubstr("digits and a decimal point only"));
  EXPECT_THAT(ParseError("region collate \"de_DE\" < 'x'"), HasSubstr("\"C\""));
  EXPECT_THAT(ParseError("region ilike 'x'"), HasSubstr("AND, OR or the end"));
  EXPECT_THAT(ParseError("region like region"), HasSubstr("a literal"));
  EXPECT_THAT(ParseError("select = 1"), "no error");  // a column may be called so
  EXPECT_THAT(ParseError("id between 1"), HasSubstr("AND"));
  EXPECT_THAT(ParseError(std::string(500, '(')), HasSubstr("nested too deeply"));
  std::string many = "id = 1";
  for (int i = 0; i < 1000; ++i) many += " and id = 1";
  EXPECT_THAT(ParseError(many), HasSubstr("more than 1,000"));
}

TEST(RowFilterTest, WhatDoesNotFitTheTable) {
  EXPECT_THAT(BindError("nope = 1"), HasSubstr("there is no column nope; columns: id, total"));
  EXPECT_THAT(BindError("ID = 1"), "no error");
  EXPECT_THAT(BindError("\"ID\" = 1"), HasSubstr("there is no column ID"));
  EXPECT_THAT(BindError("\"Odd Name\" = 'x'"), "no error");
  EXPECT_THAT(BindError("id = 'x'"), HasSubstr("column id is bigint, and is compared with a number"));
  EXPECT_THAT(BindError("id = true"), HasSubstr("a number"));
  EXPECT_THAT(BindError("region = 5"), HasSubstr("text in quotes"));
  EXPECT_THAT(BindError("region < 'x'"), HasSubstr("write region COLLATE \"C\""));
  EXPECT_THAT(BindError("region between 'a' and 'b'"), HasSubstr("COLLATE"));
  EXPECT_THAT(BindError("region collate \"C\" between 'a' and 'b'"), "no error");
  EXPECT_THAT(BindError("id collate \"C\" = 1"), HasSubstr("COLLATE is for text"));
  EXPECT_THAT(BindError("data = '{}'"), HasSubstr("can only be IS NULL"));
  EXPECT_THAT(BindError("data is not null"), "no error");
  EXPECT_THAT(BindError("tags = '{}'"), HasSubstr("can only be IS NULL"));
  EXPECT_THAT(BindError("id like '1%'"), HasSubstr("LIKE is for text"));
  EXPECT_THAT(BindError("region like 'x\\'"), HasSubstr("backslash"));
  EXPECT_THAT(BindError("day = 'yesterday'"), HasSubstr("2024-05-31"));
  EXPECT_THAT(BindError("at > '2024-01-01 00:00:00'"), HasSubstr("with its zone"));
  EXPECT_THAT(BindError("at > '2024-01-01T00:00:00Z'"), "no error");
  EXPECT_THAT(BindError("id = total"), HasSubstr("only columns of one type"));
  EXPECT_THAT(BindError("region = other"), "no error");
  EXPECT_THAT(BindError("region"), HasSubstr("text in quotes"));
  EXPECT_THAT(BindError("paid is true and not paid"), "no error");
}

TEST(RowFilterTest, NullIsNeitherTrueNorFalse) {
  const TestRow row = {"1", std::nullopt, "eu", "t"};
  EXPECT_EQ(Evaluate("total > 1", row), Truth::kNull);
  EXPECT_EQ(Evaluate("not total > 1", row), Truth::kNull);
  EXPECT_EQ(Evaluate("total > 1 or id = 1", row), Truth::kTrue);
  EXPECT_EQ(Evaluate("total > 1 and id = 2", row), Truth::kFalse);
  EXPECT_EQ(Evaluate("total > 1 and id = 1", row), Truth::kNull);
  EXPECT_EQ(Evaluate("total > 1 or id = 2", row), Truth::kNull);
  EXPECT_EQ(Evaluate("total is null", row), Truth::kTrue);
  EXPECT_EQ(Evaluate("total not in (1, 2)", row), Truth::kNull);
  EXPECT_EQ(Evaluate("paid is not false", {"1", std::nullopt, "eu", std::nullopt}), Truth::kTrue);
  EXPECT_EQ(Evaluate("paid is true", {"1", std::nullopt, "eu", std::nullopt}), Truth::kFalse);
}

TEST(RowFilterTest, AnAbsentValueIsNeverGuessed) {
  const TestRow row = {"1", "5", kAbsent, std::nullopt};
  EXPECT_EQ(Evaluate("region = 'eu'", row), Truth::kAbsent);
  EXPECT_EQ(Evaluate("region is null", row), Truth::kAbsent);
  EXPECT_EQ(Evaluate("not region = 'eu'", row), Truth::kAbsent);
  EXPECT_EQ(Evaluate("region = 'eu' and id = 1", row), Truth::kAbsent);
  // What it is does not matter here.
  EXPECT_EQ(Evaluate("region = 'eu' and id = 2", row), Truth::kFalse);
  EXPECT_EQ(Evaluate("id = 1 or region = 'eu'", row), Truth::kTrue);
  EXPECT_EQ(Evaluate("region = 'eu' or paid", row), Truth::kAbsent);
}

TEST(RowFilterTest, TheFallbackHasWhatTheRowHasNot) {
  const auto bound = BoundFilter::Bind(RowFilter::Parse("region = 'eu'").value(), *Orders()).value();
  TestRow row(Orders()->columns.size()), old(row);
  row[2] = kAbsent;
  old[2] = "eu";
  const std::string tuple = TestTuple(row), old_tuple = TestTuple(old);
  TupleFields fields, fallback;
  fields.Parse(tuple.data());
  fallback.Parse(old_tuple.data());
  Truth truth = Truth::kAbsent;
  ASSERT_TRUE(bound.Evaluate(fields, &fallback, &truth).ok());
  EXPECT_EQ(truth, Truth::kTrue);
  EXPECT_EQ(bound.FirstAbsent(fields, nullptr), 2);
  EXPECT_EQ(bound.FirstAbsent(fields, &fallback), -1);
}

}  // namespace
}  // namespace wallaby
