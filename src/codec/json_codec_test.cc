#include "codec/json_codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "absl/strings/str_split.h"
#include "codec/test_batches.h"

namespace wallaby {
namespace {

using testing::HasSubstr;
using Json = nlohmann::json;

std::unique_ptr<Codec> Make(CodecOptions options = {}) {
  auto codec = MakeCodec(std::move(options));
  EXPECT_TRUE(codec.ok()) << codec.status();
  return *std::move(codec);
}

std::vector<KeptRecord> Records(const BatchSlice& slice) {
  auto records = AllRecords(*Make(), slice);
  EXPECT_TRUE(records.ok()) << records.status();
  return *std::move(records);
}

TEST(JsonCodecTest, TheWholeEnvelope) {
  const TestBatch batch = TestBatch(OrdersRelation(3)).Insert({"7", "12.50", std::nullopt});
  const auto records = Records(batch.slice());
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].value,
            R"({"operation":"insert","namespace":"shop","table":"orders","schema_version":3,"lsn":23803720,"seq":0,)"
            R"("transaction_id":700,"commit_time":"2024-05-01T12:34:56.789012+00:00","key":{"id":7},"before":null,)"
            R"("after":{"id":7,"total":"12.50","note":null},"unchanged":[]})");
  EXPECT_EQ(records[0].key, R"({"id":7})");
  EXPECT_TRUE(records[0].has_key);
  EXPECT_EQ(records[0].position, (Position{Lsn{0x16B3748}, 0}));
}

TEST(JsonCodecTest, AnUnchangedValueIsAbsentAndNamed) {
  const TestBatch batch = TestBatch().Update({"7", "1.00", kAbsent});
  const Json record = Json::parse(Records(batch.slice())[0].value);
  EXPECT_EQ(record["after"], Json::parse(R"({"id":7,"total":"1.00"})"));
  EXPECT_EQ(record["unchanged"], Json::parse(R"(["note"])"));
}

TEST(JsonCodecTest, AnotherKeyIsADeleteAndAnUpdate) {
  const TestBatch batch = TestBatch().UpdateKey({"7", std::nullopt, std::nullopt}, {"8", "1.00", "x"});
  const auto records = Records(batch.slice());
  ASSERT_EQ(records.size(), 2u);
  const Json removed = Json::parse(records[0].value), put = Json::parse(records[1].value);
  EXPECT_EQ(removed["operation"], "delete");
  EXPECT_EQ(records[0].key, R"({"id":7})");
  EXPECT_EQ(removed["before"], nullptr) << "only the key was sent";
  EXPECT_EQ(removed["after"], nullptr);
  EXPECT_EQ(put["operation"], "update");
  EXPECT_EQ(records[1].key, R"({"id":8})");
  EXPECT_EQ(removed["lsn"], put["lsn"]);
  EXPECT_EQ(removed["seq"], put["seq"]);
}

TEST(JsonCodecTest, TheOldRowUnderIdentityFull) {
  const TestBatch batch =
      TestBatch().UpdateFull({"7", "1.00", "old"}, {"7", "2.00", "new"}).Delete({"7", "2.00", "new"}, false);
  const auto records = Records(batch.slice());
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(Json::parse(records[0].value)["before"]["note"], "old");
  EXPECT_EQ(Json::parse(records[1].value)["before"]["note"], "new");
}

TEST(JsonCodecTest, WithoutAKey) {
  const TestBatch batch = TestBatch(TestRelation({{"a"}, {"b"}}, 0)).UpdateFull({"1", "2"}, {"1", "3"}).Truncate();
  const auto records = Records(batch.slice());
  ASSERT_EQ(records.size(), 2u);
  EXPECT_FALSE(records[0].has_key);
  EXPECT_EQ(Json::parse(records[0].value)["operation"], "update");
  EXPECT_EQ(Json::parse(records[0].value)["key"], nullptr);
  EXPECT_EQ(Json::parse(records[1].value)["operation"], "truncate");
}

// PostgreSQL sends the old key beside the row when the key is so large that it stands outside it.
TEST(JsonCodecTest, AKeyThatIsUnchangedIsTakenFromTheOldRow) {
  const RelationPtr relation = TestRelation({{"name"}, {"note"}});
  const TestBatch batch = TestBatch(relation).UpdateKey({"long", std::nullopt}, {kAbsent, "x"}).Update({kAbsent, "y"});
  std::vector<std::string> keys;
  const absl::Status status = Make()->EncodeRecords(batch.slice(), [&](const EncodedRecord& record) {
    keys.emplace_back(record.key);
    return absl::OkStatus();
  });
  EXPECT_EQ(keys, std::vector<std::string>{R"({"name":"long"})"});
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("shop.orders, column name"));
}

TEST(JsonCodecTest, ABatchIsOneRecordALine) {
  TestBatch batch;
  batch.Insert({"1", "1.00", "a\nb"}).Use(TestRelation({{"id", 20}}, 1, "other")).Insert({"5"});
  batch.Use(batch.batch().relations()[0]).Update({"2", "1.00", kAbsent});
  std::string out = "before";
  ASSERT_TRUE(Make()->EncodeBatch(batch.slice(), &out).ok());
  const std::vector<std::string> lines = absl::StrSplit(out.substr(6), '\n');
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(Json::parse(lines[0])["after"]["note"], "a\nb");
  EXPECT_EQ(Json::parse(lines[1])["seq"], 2) << "a change of another table stands between";
  EXPECT_EQ(lines[2], "");
}

TEST(JsonCodecTest, ARefusedValueLeavesTheOutputAsItWas) {
  const TestBatch batch = TestBatch().Insert({"1", "1.00", "a"}).Insert({"2", "1.00", "\xff"});
  std::string out = "before";
  const absl::Status status = Make()->EncodeBatch(batch.slice(), &out);
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("table shop.orders, column note: '\\xff' is not UTF-8"));
  EXPECT_EQ(out, "before");
}

TEST(JsonCodecTest, ColumnsAsText) {
  CodecOptions options;
  options.type_of = [](const Relation&, const Column& column) {
    PgType type = column.type;
    if (column.name == "id") type.logical = LogicalType::kText;
    return type;
  };
  const TestBatch batch = TestBatch().Insert({"7", "1.00", "x"});
  auto records = AllRecords(*Make(options), batch.slice());
  ASSERT_TRUE(records.ok());
  EXPECT_EQ((*records)[0].key, R"({"id":"7"})");
}

TEST(JsonCodecTest, TheSinkCanStop) {
  const TestBatch batch = TestBatch().Insert({"1", "1.00", "a"}).Insert({"2", "1.00", "b"});
  int calls = 0;
  const absl::Status status = Make()->EncodeRecords(batch.slice(), [&](const EncodedRecord&) {
    ++calls;
    return absl::UnavailableError("full");
  });
  EXPECT_EQ(status, absl::UnavailableError("full"));
  EXPECT_EQ(calls, 1);
}

TEST(JsonCodecTest, NewShapesOfOneTable) {
  auto codec = Make();
  const TestBatch first = TestBatch(OrdersRelation(1)).Insert({"1", "1.00", "a"});
  const TestBatch second = TestBatch(TestRelation({{"id", 20}, {"extra"}}, 1, "orders", 2)).Insert({"2", "new"});
  for (const TestBatch* batch : {&first, &second, &first}) {
    auto records = AllRecords(*codec, batch->slice());
    ASSERT_TRUE(records.ok());
    const Json record = Json::parse((*records)[0].value);
    EXPECT_EQ(record["schema_version"], batch == &second ? 2 : 1);
    EXPECT_EQ(record["after"].contains("extra"), batch == &second);
  }
}

}  // namespace
}  // namespace wallaby
