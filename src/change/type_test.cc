#include "change/type.h"

#include "gtest/gtest.h"

namespace wallaby {
namespace {

int32_t NumericTypmod(int precision, int scale) {
  return (precision << 16 | (scale & 0x7ff)) + 4;
}

TEST(BuiltinType, NumbersAndTheirNames) {
  const PgType type = BuiltinType(23, -1);
  EXPECT_EQ(type.logical, LogicalType::kInt32);
  EXPECT_TRUE(type.binary);
  EXPECT_EQ(type.sql_name, "integer");
  EXPECT_EQ(type.source_name, "integer");
  EXPECT_EQ(BuiltinType(26, -1).logical, LogicalType::kUInt32);
}

TEST(BuiltinType, NumericIsDecimalWhereItFits) {
  const PgType money = BuiltinType(1700, NumericTypmod(10, 2));
  EXPECT_EQ(money.logical, LogicalType::kDecimal);
  EXPECT_EQ(money.precision, 10);
  EXPECT_EQ(money.scale, 2);
  EXPECT_EQ(money.sql_name, "numeric(10,2)");
  EXPECT_EQ(money.source_name, "numeric");
  EXPECT_EQ(BuiltinType(1700, NumericTypmod(38, 38)).logical, LogicalType::kDecimal);

  for (const PgType& text : {BuiltinType(1700, -1), BuiltinType(1700, NumericTypmod(39, 2)),
                             BuiltinType(1700, NumericTypmod(5, -2)), BuiltinType(1700, NumericTypmod(3, 7))}) {
    EXPECT_EQ(text.logical, LogicalType::kText) << text.sql_name;
    EXPECT_TRUE(text.binary);
  }
  EXPECT_EQ(BuiltinType(1700, NumericTypmod(5, -2)).sql_name, "numeric(5,-2)");
  EXPECT_EQ(BuiltinType(1700, NumericTypmod(1000, 1000)).sql_name, "numeric(1000,1000)");
}

TEST(BuiltinType, NamesWithModifiers) {
  EXPECT_EQ(BuiltinType(1043, 24).sql_name, "character varying(20)");
  EXPECT_EQ(BuiltinType(1043, -1).sql_name, "character varying");
  EXPECT_EQ(BuiltinType(1042, 9).sql_name, "character(5)");
  EXPECT_EQ(BuiltinType(1042, -1).sql_name, "bpchar");
  EXPECT_EQ(BuiltinType(1114, 3).sql_name, "timestamp(3) without time zone");
  EXPECT_EQ(BuiltinType(1184, -1).sql_name, "timestamp with time zone");
  EXPECT_EQ(BuiltinType(1083, 0).sql_name, "time(0) without time zone");
  EXPECT_EQ(BuiltinType(1266, -1).sql_name, "time with time zone");
  EXPECT_EQ(BuiltinType(1560, 3).sql_name, "bit(3)");
  EXPECT_EQ(BuiltinType(1562, 7).sql_name, "bit varying(7)");
  EXPECT_EQ(BuiltinType(1186, -1).sql_name, "interval");
  EXPECT_EQ(BuiltinType(1186, 0x7fff << 16 | 3).sql_name, "interval(3)");
}

TEST(BuiltinType, ArraysTakeTheModifierOfTheirElements) {
  const PgType array = BuiltinType(1231, NumericTypmod(10, 2));
  EXPECT_EQ(array.logical, LogicalType::kText);
  EXPECT_FALSE(array.binary);
  EXPECT_EQ(array.sql_name, "numeric(10,2)[]");
  EXPECT_EQ(BuiltinType(1007, -1).sql_name, "integer[]");
  EXPECT_EQ(BuiltinType(3905, -1).sql_name, "int4range[]");
}

TEST(BuiltinType, WhatOnlyTheSourceKnowsIsText) {
  EXPECT_EQ(BuiltinType(2205, -1).sql_name, "text");
  EXPECT_EQ(BuiltinType(2205, -1).source_name, "regclass");
  EXPECT_EQ(BuiltinType(123456, -1).sql_name, "text");
  EXPECT_FALSE(BuiltinType(123456, -1).binary);
  const PgType status = EnumType(123456, "shop.order_status");
  EXPECT_TRUE(status.binary);
  EXPECT_EQ(status.logical, LogicalType::kText);
  EXPECT_EQ(status.sql_name, "text");
}

TEST(WhereKept, ByTheTableOfTypes) {
  for (const uint32_t oid : {23u, 25u, 1043u, 1042u, 19u, 18u, 17u, 3802u, 2950u}) {
    EXPECT_EQ(WhereKept(BuiltinType(oid, -1)), TypeKept::kEverywhere) << oid;
  }
  EXPECT_EQ(WhereKept(BuiltinType(1700, NumericTypmod(10, 2))), TypeKept::kEverywhere);
  EXPECT_EQ(WhereKept(EnumType(123456, "shop.order_status")), TypeKept::kEverywhere);
  // numeric without a precision, interval, inet, integer[], text[], money
  for (const uint32_t oid : {1700u, 1186u, 869u, 1007u, 1009u, 790u}) {
    EXPECT_EQ(WhereKept(BuiltinType(oid, -1)), TypeKept::kPostgresOnly) << oid;
  }
  // regclass, aclitem, and what the catalog of types does not know
  for (const uint32_t oid : {2205u, 1033u, 123456u}) {
    EXPECT_EQ(WhereKept(BuiltinType(oid, -1)), TypeKept::kNowhere) << oid;
  }
}

TEST(TypeTest, ElementsOfArrays) {
  EXPECT_EQ(ElementType(BuiltinType(1007, -1))->sql_name, "integer");
  EXPECT_EQ(ElementType(BuiltinType(1231, (5 << 16 | 1) + 4))->sql_name, "numeric(5,1)");
  EXPECT_FALSE(ElementType(BuiltinType(25, -1)));
  EXPECT_FALSE(ElementType(BuiltinType(0, -1)));
}

}  // namespace
}  // namespace wallaby
