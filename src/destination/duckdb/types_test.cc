// Values end to end: wire bytes in text and binary form, through Arrow, into the file, and read back after a reopen.
#include "destination/duckdb/types.h"

#include <cstring>

#include "destination/duckdb/test_flow.h"

namespace wallaby {
namespace {

using ::testing::HasSubstr;

std::string BigEndian(uint64_t value, int bytes) {
  std::string out;
  for (int i = bytes - 1; i >= 0; --i) out.push_back(static_cast<char>(value >> (8 * i)));
  return out;
}
std::string Float8(double value) {
  uint64_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  return BigEndian(bits, 8);
}
std::string Float4(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  return BigEndian(bits, 4);
}
// numeric: ndigits, weight, sign, dscale, base-10000 digits.
std::string Numeric(int16_t weight, uint16_t sign, uint16_t scale, std::vector<uint16_t> digits) {
  std::string out = BigEndian(digits.size(), 2) + BigEndian(static_cast<uint16_t>(weight), 2) + BigEndian(sign, 2) +
                    BigEndian(scale, 2);
  for (uint16_t digit : digits) out += BigEndian(digit, 2);
  return out;
}
constexpr int32_t NumericMod(int precision, int scale) {
  return ((precision << 16) | scale) + 4;
}

// One value in both forms; an empty `binary` means that only the text form is sent.
struct Case {
  const char* name;
  uint32_t oid;
  int32_t typmod;
  std::string text;
  std::string binary;
  std::string type;      // in DuckDB
  std::string expected;  // as DuckDB prints it
};

const std::string k38Nines(38, '9');

std::vector<Case> Cases() {
  const int64_t infinity = INT64_MAX;
  return {
      {"yes", 16, -1, "t", BigEndian(1, 1), "BOOLEAN", "true"},
      {"no", 16, -1, "f", BigEndian(0, 1), "BOOLEAN", "false"},
      {"smallest2", 21, -1, "-32768", BigEndian(0x8000, 2), "SMALLINT", "-32768"},
      {"smallest4", 23, -1, "-2147483648", BigEndian(0x80000000, 4), "INTEGER", "-2147483648"},
      {"largest8", 20, -1, "9223372036854775807", BigEndian(INT64_MAX, 8), "BIGINT", "9223372036854775807"},
      {"oid", 26, -1, "4294967295", BigEndian(0xFFFFFFFF, 4), "UINTEGER", "4294967295"},
      {"float4", 700, -1, "1.5", Float4(1.5f), "FLOAT", "1.5"},
      {"nan", 701, -1, "NaN", Float8(__builtin_nan("")), "DOUBLE", "nan"},
      {"minf", 701, -1, "-Infinity", Float8(-__builtin_inf()), "DOUBLE", "-inf"},
      {"precise", 701, -1, "0.1", Float8(0.1), "DOUBLE", "0.1"},
      {"price", 1700, NumericMod(10, 2), "-12.34", Numeric(0, 0x4000, 2, {12, 3400}), "DECIMAL(10,2)", "-12.34"},
      {"tiny", 1700, NumericMod(4, 4), "0.0001", Numeric(-1, 0, 4, {1}), "DECIMAL(4,4)", ".0001"},
      {"huge", 1700, NumericMod(38, 0), k38Nines,
       Numeric(9, 0, 0, {99, 9999, 9999, 9999, 9999, 9999, 9999, 9999, 9999, 9999}), "DECIMAL(38,0)", k38Nines},
      {"unlimited", 1700, -1, "1.50", Numeric(0, 0, 2, {1, 5000}), "VARCHAR", "1.50"},
      {"numericnan", 1700, -1, "NaN", Numeric(0, 0xC000, 0, {}), "VARCHAR", "NaN"},
      {"emoji", 25, -1, "\xF0\x9F\xA6\x98 w\xC3\xA4llaby", "\xF0\x9F\xA6\x98 w\xC3\xA4llaby", "VARCHAR",
       "\xF0\x9F\xA6\x98 w\xC3\xA4llaby"},
      {"zerolength", 25, -1, "", "", "VARCHAR", ""},
      {"nobytes", 17, -1, "\\x", "", "BLOB", ""},
      {"bytes", 17, -1, "\\x00ff41", std::string("\x00\xff\x41", 3), "BLOB", "\\x00\\xFFA"},
      {"day", 1082, -1, "2024-02-29", BigEndian(8825, 4), "DATE", "2024-02-29"},
      {"forever", 1082, -1, "infinity", BigEndian(INT32_MAX, 4), "DATE", "infinity"},
      {"never", 1082, -1, "-infinity", BigEndian(0x80000000, 4), "DATE", "-infinity"},
      {"bc", 1082, -1, "0044-03-15 BC", BigEndian(static_cast<uint32_t>(-746117), 4), "DATE", "0044-03-15 (BC)"},
      {"midnight", 1083, -1, "24:00:00", BigEndian(86400000000, 8), "TIME", "24:00:00"},
      {"micros", 1083, -1, "01:02:03.000004", BigEndian(3723000004, 8), "TIME", "01:02:03.000004"},
      {"stamp", 1114, -1, "2000-01-01 00:00:00.000001", BigEndian(1, 8), "TIMESTAMP", "2000-01-01 00:00:00.000001"},
      {"stampinf", 1114, -1, "infinity", BigEndian(infinity, 8), "TIMESTAMP", "infinity"},
      {"zoned", 1184, -1, "1999-12-31 23:59:59+00", BigEndian(static_cast<uint64_t>(-1000000), 8),
       "TIMESTAMP WITH TIME ZONE", "1999-12-31 23:59:59+00"},
      {"zonedminf", 1184, -1, "-infinity", BigEndian(1ull << 63, 8), "TIMESTAMP WITH TIME ZONE", "-infinity"},
      {"uuid", 2950, -1, "ffffffff-0000-4000-8000-000000000001",
       std::string("\xff\xff\xff\xff\x00\x00\x40\x00\x80\x00\x00\x00\x00\x00\x00\x01", 16), "UUID",
       "ffffffff-0000-4000-8000-000000000001"},
      {"json", 114, -1, R"({"b":1, "a":[1e400,"\u0000"], "b":2})", R"({"b":1, "a":[1e400,"\u0000"], "b":2})", "JSON",
       R"({"b":1, "a":[1e400,"\u0000"], "b":2})"},
      {"jsonb", 3802, -1, R"({"a": 1})", std::string("\x01") + R"({"a": 1})", "JSON", R"({"a": 1})"},
      {"arr", 1007, -1, "{1,NULL,3}", "", "VARCHAR", "{1,NULL,3}"},
      {"span", 1186, -1, "1 year 2 mons", "", "VARCHAR", "1 year 2 mons"},
  };
}

class DuckdbValues : public DuckdbTest {
 protected:
  void CheckRoundTrip(const std::map<std::string, std::string>& options) {
    auto relation = std::make_shared<Relation>();
    relation->schema = "public";
    relation->name = "every";
    relation->columns.push_back({"id", BuiltinType(kInt4Oid, -1), true});
    relation->key = {0};
    TestRow text = {"1"}, binary = {"2"}, null = {"3"}, same = {"1"};
    for (const Case& c : Cases()) {
      const PgType type = BuiltinType(c.oid, c.typmod);
      relation->columns.push_back({c.name, type, false});
      text.push_back(c.text);
      const bool as_binary = type.binary && (!c.binary.empty() || c.expected.empty());
      binary.push_back(as_binary ? TestValue::Binary(c.binary) : TestValue(c.text));
      null.push_back({});
      same.push_back(Unchanged());
    }
    Open(options);
    ASSERT_TRUE(destination_->CheckTable(*relation).ok());
    Apply(TestBatch(100).Insert(relation, text).Insert(relation, binary).Insert(relation, null));
    // Through the staging table as well: every value taken from the row that is there.
    Apply(TestBatch(200).Update(relation, same));
    Open(options);
    for (const Case& c : Cases()) {
      EXPECT_EQ(Sql(absl::StrCat("SELECT ", c.name, "::VARCHAR FROM public.every ORDER BY id")),
                absl::StrCat(c.expected, "\n", c.expected, "\nnull"))
          << c.name;
      EXPECT_EQ(
          Sql(absl::StrCat("SELECT data_type FROM duckdb_columns() WHERE table_name = 'every' AND column_name = '",
                           c.name, "'")),
          c.type)
          << c.name;
    }
  }
};

TEST_F(DuckdbValues, TextAndBinaryStraight) {
  CheckRoundTrip({});
}

TEST_F(DuckdbValues, TextAndBinaryThroughStaging) {
  // A column of its own at the destination, so that rows cannot be loaded by position.
  ASSERT_EQ(Sql("CREATE SCHEMA public"), "");
  ASSERT_EQ(Sql("CREATE TABLE public.every (mine INTEGER)"), "");
  CheckRoundTrip({});
}

TEST_F(DuckdbValues, WhatDoesNotFitIsRefusedWithARemedyThatHelps) {
  auto relation = std::make_shared<Relation>(*MakeRelation("n", {{"id", kInt4Oid}}));
  relation->columns.push_back({"price", BuiltinType(1700, NumericMod(10, 2)), false});
  Open();
  TestBatch batch(100);
  batch.Insert(relation, {"1", "NaN"});
  const absl::Status status = destination_->Write(*batch);
  EXPECT_TRUE(absl::IsOutOfRange(status) || absl::IsInvalidArgument(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("price"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("type_mappings"));
  Open({{"type_mappings", "public.n.price=text"}});
  Apply(TestBatch(100)
            .Insert(relation, {"1", "NaN"})
            .Insert(relation, {"2", TestValue::Binary(Numeric(0, 0, 2, {7, 5000}))}));
  EXPECT_EQ(Sql("SELECT price FROM public.n ORDER BY id"), "NaN\n7.50");
}

TEST_F(DuckdbValues, KeysOfManyTypes) {
  for (const Case& c : Cases()) {
    auto relation = std::make_shared<Relation>();
    relation->oid = 30000 + c.oid;
    relation->schema = "keys";
    relation->name = c.name;
    relation->columns = {{"k", BuiltinType(c.oid, c.typmod), true}, {"v", BuiltinType(kTextOid, -1), false}};
    relation->key = {0};
    Open();
    Apply(TestBatch(100).Insert(relation, {c.text, "old"}));
    Apply(TestBatch(200).Update(relation, {c.text, "new"}));
    EXPECT_EQ(Sql(absl::StrCat("SELECT v FROM keys.", c.name)), "new") << c.name;
    Apply(TestBatch(300).Delete(relation, {c.text, {}}));
    EXPECT_EQ(Sql(absl::StrCat("SELECT v FROM keys.", c.name)), "") << c.name;
  }
}

TEST(DuckdbTypes, OnlyLosslessWidening) {
  EXPECT_TRUE(DuckdbTypeHolds("BIGINT", "INTEGER"));
  EXPECT_FALSE(DuckdbTypeHolds("INTEGER", "BIGINT"));
  EXPECT_TRUE(DuckdbTypeHolds("DECIMAL(12,4)", "DECIMAL(10,2)"));
  EXPECT_FALSE(DuckdbTypeHolds("DECIMAL(11,4)", "DECIMAL(10,2)"));
  EXPECT_FALSE(DuckdbTypeHolds("DECIMAL(38,10)", "DOUBLE"));
  EXPECT_TRUE(DuckdbTypeHolds("VARCHAR", "UUID"));
  EXPECT_FALSE(DuckdbTypeHolds("VARCHAR", "INTEGER"));
  EXPECT_FALSE(DuckdbTypeHolds("TIMESTAMP", "TIMESTAMP WITH TIME ZONE"));
}

}  // namespace
}  // namespace wallaby
