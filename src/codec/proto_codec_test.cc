// Read back by the generated classes; test/codec reads it with Python's.
#include "codec/proto_codec.h"

#include <gtest/gtest.h>

#include "codec/test_batches.h"
#include "wallaby/v1/types.pb.h"

namespace wallaby {
namespace {

std::unique_ptr<Codec> Make() {
  auto codec = MakeCodec({.format = WireFormat::kProto});
  EXPECT_TRUE(codec.ok()) << codec.status();
  return *std::move(codec);
}

TEST(ProtoCodecTest, Records) {
  const TestBatch batch =
      TestBatch(OrdersRelation(3)).Insert({"7", "12.50", std::nullopt}).Update({"7", "1.00", kAbsent}).Truncate();
  auto records = AllRecords(*Make(), batch.slice());
  ASSERT_TRUE(records.ok()) << records.status();
  ASSERT_EQ(records->size(), 3u);
  v1::Record record;
  ASSERT_TRUE(record.ParseFromString((*records)[0].value));
  EXPECT_EQ(record.SerializeAsString().size(), (*records)[0].value.size());
  EXPECT_EQ(record.table(), "orders");
  EXPECT_EQ(record.namespace_(), "shop");
  EXPECT_EQ(record.operation(), "insert");
  EXPECT_EQ(record.key(), R"({"id":7})");
  EXPECT_EQ((*records)[0].key, record.key());
  EXPECT_EQ(record.before_json(), "");
  EXPECT_EQ(record.after_json(), R"({"id":7,"total":"12.50","note":null})");
  EXPECT_EQ(record.timestamp_unix_millis(), 1'714'566'896'789);
  EXPECT_EQ(record.commit_time_unix_micros(), 1'714'566'896'789'012);
  EXPECT_EQ(record.schema_version(), 3);
  EXPECT_EQ(record.lsn(), 0x16B3748u);
  EXPECT_EQ(record.transaction_id(), 700u);
  ASSERT_TRUE(record.ParseFromString((*records)[1].value));
  EXPECT_EQ(record.after_json(), R"({"id":7,"total":"1.00"})");
  ASSERT_EQ(record.unchanged_size(), 1);
  EXPECT_EQ(record.unchanged(0), "note");
  EXPECT_EQ(record.seq(), 1u);
  ASSERT_TRUE(record.ParseFromString((*records)[2].value));
  EXPECT_EQ(record.operation(), "truncate");
  EXPECT_FALSE((*records)[2].has_key);
}

TEST(ProtoCodecTest, ABatch) {
  const TestBatch batch = TestBatch(OrdersRelation(3)).Insert({"7", "12.50", "a"}).Delete({"7", "1", "a"}, false);
  std::string out;
  ASSERT_TRUE(Make()->EncodeBatch(batch.slice(), &out).ok());
  v1::Batch message;
  ASSERT_TRUE(message.ParseFromString(out));
  EXPECT_EQ(message.schema().name(), "orders");
  EXPECT_EQ(message.schema().namespace_(), "shop");
  EXPECT_EQ(message.schema().version(), 3);
  ASSERT_EQ(message.schema().columns_size(), 3);
  EXPECT_EQ(message.schema().columns(1).name(), "total");
  EXPECT_EQ(message.schema().columns(1).type(), "numeric(10,2)");
  EXPECT_TRUE(message.schema().columns(1).nullable());
  EXPECT_FALSE(message.schema().columns(0).nullable());
  ASSERT_EQ(message.records_size(), 2);
  EXPECT_EQ(message.records(1).before_json(), R"({"id":7,"total":"1","note":"a"})");
  EXPECT_EQ(message.checkpoint().lsn(), "0/16B3748");
  EXPECT_EQ(message.wire_format(), v1::WIRE_FORMAT_PROTO);
}

// Places are in the payloads of a registry. That the file is what types.proto says is read in test/codec.
TEST(ProtoCodecTest, PlacesInTheRegisteredFile) {
  const std::string_view file = RecordProtoFile();
  EXPECT_EQ(file.find("message "), file.find("message Record {"));
  EXPECT_EQ(file.find("message ", file.find("message Record {") + 1), file.find("message Batch {"));
}

}  // namespace
}  // namespace wallaby
