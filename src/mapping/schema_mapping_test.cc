#include "mapping/schema_mapping.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_join.h"
#include "mapping/test_rows.h"

namespace wallaby {
namespace {

using testing::HasSubstr;

struct ShapeColumn {
  std::string name;
  int attnum = 0;
  uint32_t oid = kTextOid;
  std::optional<std::string> fill = std::nullopt;
  std::string default_sql = {};
  bool hidden = false;
};

// The first column is the key.
TableShape Shape(const std::vector<ShapeColumn>& columns, const std::string& name = "orders") {
  std::vector<TestColumn> plain;
  for (const ShapeColumn& column : columns) plain.push_back({column.name, column.oid});
  TableShape shape{.relation = *TestRelation(plain, 1, ReplicaIdentity::kDefault, name), .details = {}};
  for (const ShapeColumn& column : columns) {
    shape.details.push_back(
        {.attnum = column.attnum, .default_sql = column.default_sql, .fill = column.fill, .hidden = column.hidden});
  }
  return shape;
}

class SchemaMappingTest : public testing::Test {
 protected:
  SchemaMappingTest() { setup_.hash = std::make_shared<KeyedHash>("a secret of 16 characters"); }

  void Use(const std::string& text) {
    auto mapping = ParseMapping(text, "mapping");
    ASSERT_TRUE(mapping.ok()) << mapping.status();
    setup_.mapping = *std::move(mapping);
  }

  // The steps in words, "nothing", or the error.
  std::string Steps(const TableShape* before, const TableShape* after) {
    const auto mapped = MapSchemaChange(setup_, CompareShapes(before, after));
    if (!mapped.ok()) return std::string(mapped.status().message());
    if (!mapped->has_value()) return "nothing";
    mapped_ = **mapped;
    return absl::StrCat(mapped_.Table(), ": ",
                        absl::StrJoin(mapped_.steps, ", ", [](std::string* out, const SchemaStep& step) {
                          out->append(DescribeStep(step));
                        }));
  }
  std::string Steps(const TableShape& before, const TableShape& after) { return Steps(&before, &after); }

  MappingSetup setup_;
  SchemaChange mapped_;
};

const TableShape kOrders = Shape({{"id", 1, kInt8Oid}, {"email", 2}, {"note", 3}});

TEST_F(SchemaMappingTest, WhatIsNotMappedPasses) {
  Use("tables: {public.others: {drop: true}}");
  const TableShape after = Shape({{"id", 1, kInt8Oid}, {"email", 2}, {"note", 3}, {"extra", 4}});
  EXPECT_EQ(Steps(kOrders, after), "public.orders: add column extra (text)");
}

TEST_F(SchemaMappingTest, NamesAndTypesAreThoseOfTheDestination) {
  Use("tables: {public.orders: {to: sales.o2, columns: {note: {to: comment}, email: {mask: hash}}}}");
  EXPECT_EQ(Steps(nullptr, &kOrders), "sales.o2: create table");
  EXPECT_EQ(mapped_.after->relation.columns[2].name, "comment");
  EXPECT_EQ(Steps(kOrders, Shape({{"id", 1, kInt8Oid}, {"email", 2}, {"note", 3}, {"extra", 4, kInt8Oid}})),
            "sales.o2: add column extra (bigint)");
  EXPECT_EQ(Steps(kOrders, Shape({{"id", 1, kInt8Oid}, {"email", 2}})), "sales.o2: drop column comment");
  // A hash is text, whatever it is of.
  EXPECT_EQ(Steps(kOrders, Shape({{"id", 1, kInt8Oid}, {"email", 2, kInt8Oid}, {"note", 3}})), "sales.o2: ");
  EXPECT_TRUE(mapped_.copy);  // its values may be written differently now
  EXPECT_EQ(Steps(&kOrders, nullptr), "sales.o2: drop table");
}

TEST_F(SchemaMappingTest, NoWordOfWhatIsLeftOut) {
  Use("tables: {public.orders: {columns: {email: {drop: true}}}, 'public.audit*': {drop: true}}");
  EXPECT_EQ(Steps(kOrders, Shape({{"id", 1, kInt8Oid}, {"note", 3}})), "nothing");
  EXPECT_EQ(Steps(kOrders, Shape({{"id", 1, kInt8Oid}, {"email", 2, kTextOid, std::nullopt, "'x'"}, {"note", 3}})),
            "nothing");
  const TableShape audit = Shape({{"id", 1}}, "audit_1");
  EXPECT_EQ(Steps(nullptr, &audit), "nothing");
  EXPECT_EQ(Steps(&audit, nullptr), "nothing");
  Use("tables: {public.orders: {only: [id]}}");
  EXPECT_EQ(Steps(kOrders, Shape({{"id", 1, kInt8Oid}, {"email", 2}, {"note", 3}, {"extra", 4}})), "nothing");
}

TEST_F(SchemaMappingTest, DefaultsAndFilledValuesAreMaskedToo) {
  Use("tables: {public.orders: {columns: {ssn: {mask: redact, with: gone}, mail: {mask: hash}, tel: {mask: null}}}}");
  TableShape after = Shape({{"id", 1, kInt8Oid},
                            {"email", 2},
                            {"note", 3},
                            {"ssn", 4, kInt8Oid, "123", "123"},
                            {"mail", 5, kTextOid, "a@b", "'a@b'"},
                            {"tel", 6, kTextOid, "555", "'555'"}});
  after.details[5].not_null = true;
  EXPECT_EQ(Steps(kOrders, after),
            "public.orders: add column ssn (text), add column mail (text), add column tel (text)");
  EXPECT_EQ(mapped_.steps[0].detail.fill, "gone");
  std::string hex;
  setup_.hash->AppendHex("a@b", &hex);
  EXPECT_EQ(mapped_.steps[1].detail.fill, hex);
  EXPECT_EQ(mapped_.steps[2].detail.fill, std::nullopt);
  EXPECT_FALSE(mapped_.steps[2].detail.not_null);
  for (const SchemaStep& step : mapped_.steps) EXPECT_EQ(step.detail.default_sql, "");
}

TEST_F(SchemaMappingTest, AFilledValueThatWouldBeRounded) {
  Use("tables: {public.orders: {columns: {price: {type: 'numeric(6,2)'}}}}");
  const auto added = [](const std::string& fill) {
    return Shape({{"id", 1, kInt8Oid}, {"email", 2}, {"note", 3}, {"price", 4, kNumericOid, fill, fill}});
  };
  EXPECT_EQ(Steps(kOrders, added("1.50")), "public.orders: add column price (numeric(6,2))");
  EXPECT_THAT(Steps(kOrders, added("1.505")), HasSubstr("column price: its default does not fit numeric(6,2)"));
}

TEST_F(SchemaMappingTest, ARenamedColumnTakesItsRuleOnlyWhenTheMappingSaysSo) {
  const TableShape after = Shape({{"id", 1, kInt8Oid}, {"mail", 2}, {"note", 3}});
  Use("tables: {public.orders: {columns: {email: {mask: hash}}}}");
  EXPECT_THAT(
      Steps(kOrders, after),
      HasSubstr("mapping of table public.orders: column email has a rule and was renamed to mail; write the rule for "
                "mail; change the mapping with flow update"));
  Use("tables: {public.orders: {columns: {mail: {mask: hash}}}}");
  EXPECT_EQ(Steps(kOrders, after), "public.orders: rename column email to mail");
  EXPECT_EQ(mapped_.before->relation.columns[1].type.sql_name, "text");
  Use("tables: {public.orders: {columns: {mail: {mask: hash, to: contact}}}}");
  EXPECT_EQ(Steps(kOrders, after), "nothing");
  Use("tables: {'public.*': {columns: {mail: {drop: true}, email: {drop: true}}}}");
  EXPECT_EQ(Steps(kOrders, after), "nothing");
  // A column without a rule may have any name.
  Use("tables: {public.orders: {columns: {note: {to: comment}}}}");
  EXPECT_EQ(Steps(kOrders, after), "public.orders: rename column email to mail");
}

TEST_F(SchemaMappingTest, RenamesInAndOutOfOnly) {
  const TableShape after = Shape({{"id", 1, kInt8Oid}, {"mail", 2}, {"note", 3}});
  Use("tables: {public.orders: {only: [id, email]}}");
  EXPECT_THAT(Steps(kOrders, after),
              HasSubstr("column email is carried and was renamed to mail, which is left out; put mail into only"));
  Use("tables: {public.orders: {only: [id, mail]}}");
  EXPECT_EQ(Steps(kOrders, after), "public.orders: rename column email to mail");
  // One that was left out takes the name of one that is carried.
  const TableShape swapped = Shape({{"id", 1, kInt8Oid}, {"email", 3}});
  Use("tables: {public.orders: {only: [id, email]}}");
  EXPECT_THAT(Steps(kOrders, swapped), HasSubstr("column note is left out and was renamed to email, which is not"));
}

TEST_F(SchemaMappingTest, WhereNumbersAreNotKnownALossMayBeARename) {
  const TableShape before = Shape({{"id", 0, kInt8Oid}, {"email", 0}});
  Use("tables: {'public.*': {columns: {email: {mask: redact}}}}");
  EXPECT_THAT(Steps(before, Shape({{"id", 0, kInt8Oid}, {"mail", 0}})),
              HasSubstr("column email, whose values are hidden, is gone, and column mail is new"));
  EXPECT_EQ(Steps(before, Shape({{"id", 0, kInt8Oid}})), "public.orders: drop column email");
  Use("tables: {'public.*': {columns: {email: {mask: redact}, mail: {}}}}");
  EXPECT_EQ(Steps(before, Shape({{"id", 0, kInt8Oid}, {"mail", 0}})),
            "public.orders: drop column email, add column mail (text)");
  const Relation one = *TestRelation({{"id"}, {"email"}}), other = *TestRelation({{"id"}, {"mail"}});
  Use("tables: {'public.*': {columns: {email: {mask: redact}}}}");
  EXPECT_THAT(std::string(CheckNewShape(setup_, one, other).message()),
              HasSubstr("may be the same under another name"));
  EXPECT_TRUE(CheckNewShape(setup_, other, one).ok());
}

TEST_F(SchemaMappingTest, RenamedTables) {
  const TableShape after = Shape({{"id", 1, kInt8Oid}, {"email", 2}, {"note", 3}}, "people");
  Use("tables: {public.orders: {columns: {email: {mask: hash}}}}");
  EXPECT_THAT(Steps(kOrders, after),
              HasSubstr("it has rules under the name 'public.orders' and was renamed to public.people, "
                        "for which there is none; give public.people a rule of its own name"));
  Use("tables: {public.orders: {columns: {email: {mask: hash}}}, 'public.*': {}}");
  EXPECT_THAT(Steps(kOrders, after), HasSubstr("there is another, 'public.*'"));
  Use("tables: {public.people: {columns: {email: {mask: hash}}}}");
  EXPECT_EQ(Steps(kOrders, after), "public.people: rename table public.orders");
  Use("tables: {public.people: {to: mart.people}}");
  EXPECT_EQ(Steps(kOrders, after), "nothing");
  Use("tables: {'public.*': {to: 'lake.{table}'}}");
  EXPECT_EQ(Steps(kOrders, after), "lake.people: rename table lake.orders");
  Use("tables: {public.orders: {drop: true}}");
  EXPECT_THAT(Steps(kOrders, after), HasSubstr("it is left out and was renamed to public.people, which is not"));
  Use("tables: {public.orders: {}, public.people: {drop: true}}");
  EXPECT_EQ(Steps(kOrders, after), "nothing");
}

TEST_F(SchemaMappingTest, TheFilterMustFitTheTableAfter) {
  Use("tables: {public.orders: {rows: \"note = 'x'\"}}");
  EXPECT_THAT(Steps(kOrders, Shape({{"id", 1, kInt8Oid}, {"email", 2}})), HasSubstr("rows: there is no column note"));
  EXPECT_THAT(Steps(kOrders, Shape({{"id", 1, kInt8Oid}, {"email", 2}, {"text", 3}})),
              HasSubstr("rows: there is no column note"));
  Use("tables: {public.orders: {rows: \"text = 'x'\"}}");
  EXPECT_EQ(Steps(kOrders, Shape({{"id", 1, kInt8Oid}, {"email", 2}, {"text", 3}})),
            "public.orders: rename column note to text");
}

TEST_F(SchemaMappingTest, OwnColumnsStayWhatTheyAre) {
  Use("metadata: [lsn, op]\nsoft_delete: true");
  EXPECT_EQ(Steps(nullptr, &kOrders), "public.orders: create table");
  EXPECT_EQ(mapped_.after->relation.columns.size(), 7u);
  EXPECT_EQ(Steps(kOrders, Shape({{"id", 1, kInt8Oid}, {"email", 2}, {"note", 3}, {"extra", 4}})),
            "public.orders: add column extra (text)");
}

TEST_F(SchemaMappingTest, RejectedColumnsTakeNoPart) {
  Use("tables: {public.orders: {columns: {note: {to: comment}}}}");
  const TableShape before = Shape({{"id", 1, kInt8Oid}, {"note", 3}, {"extra", 4, kTextOid, std::nullopt, "", true}});
  const TableShape after =
      Shape({{"id", 1, kInt8Oid}, {"note", 3}, {"more", 4, kTextOid, std::nullopt, "", true}, {"new", 5}});
  EXPECT_EQ(Steps(before, after), "public.orders: add column new (text)");
}

}  // namespace
}  // namespace wallaby
