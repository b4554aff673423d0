// What can be said of the bytes alone; test/codec reads them with fastavro and Confluent's clients.
#include "codec/avro_codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "codec/avro_schema.h"
#include "codec/avro_value.h"
#include "codec/test_batches.h"

namespace wallaby {
namespace {

using testing::HasSubstr;
using Json = nlohmann::json;

TEST(AvroSchemaTest, Names) {
  EXPECT_EQ(AvroName("orders"), "orders");
  EXPECT_EQ(AvroName("2nd order-lines"), "_2nd_order_lines");
  EXPECT_EQ(AvroName("größe"), "gr____e");
  EXPECT_EQ(AvroName(""), "_");
}

TEST(AvroSchemaTest, NamesThatAvroDoesNotKnowStayApart) {
  const RelationPtr relation = TestRelation({{"a-b", 23}, {"a b", 23}, {"a_b", 23}});
  std::vector<PgType> types(3, BuiltinType(23, -1));
  const Json schema = Json::parse(MakeAvroSchemas(*relation, types).record.text);
  std::vector<std::string> names, originals;
  for (const Json& field : schema["fields"][9]["type"][1]["fields"]) {
    names.push_back(field["name"]);
    originals.push_back(field.value("wallaby.column", field["name"].get<std::string>()));
  }
  EXPECT_EQ(names, (std::vector<std::string>{"a_b", "a_b_2", "a_b_3"}));
  EXPECT_EQ(originals, (std::vector<std::string>{"a-b", "a b", "a_b"}));
}

// The specification's own value for "int".
TEST(AvroSchemaTest, Fingerprint) {
  EXPECT_EQ(AvroFingerprint("\"int\""), 0x7275d51a3f395c8fu);
}

TEST(AvroValueTest, Longs) {
  const std::pair<int64_t, std::string> kCases[] = {{0, {"\0", 1}}, {-1, "\1"},      {1, "\2"},           {-64, "\x7f"},
                                                    {64, "\x80\1"}, {-65, "\x81\1"}, {8192, "\x80\x80\1"}};
  for (const auto& [value, bytes] : kCases) {
    std::string out;
    AppendAvroLong(value, &out);
    EXPECT_EQ(out, bytes) << value;
  }
  std::string out;
  AppendAvroLong(std::numeric_limits<int64_t>::min(), &out);
  EXPECT_EQ(out, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\1");
}

TEST(AvroCodecTest, ARefusedValueLeavesTheOutputAsItWas) {
  const TestBatch batch = TestBatch().Insert({"1", "1.00", "a"}).Insert({"2", "NaN", "b"});
  auto codec = MakeCodec({.format = WireFormat::kAvro});
  std::string out = "before";
  const absl::Status status = (*codec)->EncodeBatch(batch.slice(), &out);
  EXPECT_TRUE(absl::IsOutOfRange(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("shop.orders.total=text"));
  EXPECT_EQ(out, "before");
}

// A replay of the slot writes the same file.
TEST(AvroCodecTest, TheSameChangesAreTheSameFile) {
  std::string first, second;
  for (std::string* out : {&first, &second}) {
    const TestBatch batch = TestBatch().Insert({"1", "1.00", "a"}).Update({"1", "2.00", kAbsent});
    ASSERT_TRUE((*MakeCodec({.format = WireFormat::kAvro}))->EncodeBatch(batch.slice(), out).ok());
  }
  EXPECT_EQ(first, second);
  EXPECT_EQ(first.substr(0, 4), "Obj\1");
}

// A file that grows: the head, then blocks that end with the head's mark.
TEST(AvroCodecTest, AFileInParts) {
  const TestBatch batch = TestBatch().Insert({"1", "1.00", "a"}).Update({"1", "2.00", kAbsent});
  auto codec = *MakeCodec({.format = WireFormat::kAvro});
  std::string whole, parts;
  ASSERT_TRUE(codec->EncodeBatch(batch.slice(), &whole).ok());
  ASSERT_TRUE(codec->AppendHead(batch.slice().batch.relations()[0], &parts).ok());
  const size_t head = parts.size();
  const std::string mark = parts.substr(head - 16);
  for (int part = 0; part < 2; ++part) ASSERT_TRUE(codec->AppendPart(batch.slice(), &parts).ok());
  const std::string block = whole.substr(head, whole.size() - head - 16);
  EXPECT_EQ(parts.substr(0, head - 16), whole.substr(0, head - 16));
  EXPECT_EQ(parts.substr(head), block + mark + block + mark);
}

TEST(AvroCodecTest, OnlyUtf8) {
  const TestBatch batch = TestBatch().Insert({"1", "1.00", "\xff"});
  std::string out;
  const absl::Status status = (*MakeCodec({.format = WireFormat::kAvro}))->EncodeBatch(batch.slice(), &out);
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
}

TEST(MakeCodecTest, Refusals) {
  EXPECT_TRUE(absl::IsInvalidArgument(MakeCodec({.format = WireFormat::kUnspecified}).status()));
}

}  // namespace
}  // namespace wallaby
