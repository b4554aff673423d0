// Rows become payloads without an allocation for each value, whatever the types and the format.
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "codec/codec.h"
#include "codec/test_batches.h"
#include "test/support/counting_allocator.h"

namespace wallaby {
namespace {

constexpr int kRows = 1000;

struct Sample {
  uint32_t oid;
  int32_t typmod;
  std::string_view text;
  std::string_view binary;
};
constexpr Sample kSamples[] = {
    {20, -1, "9007199254740993", {"\0\x20\0\0\0\0\0\1", 8}},
    {16, -1, "t", {"\1", 1}},
    {701, -1, "1.5", {"\x3f\xf8\0\0\0\0\0\0", 8}},
    {1700, (20 << 16 | 4) + 4, "1234567890.1234", {"\0\4\0\2\0\0\0\4\0\14\15\200\36\322\4\322", 16}},
    {17, -1, "\\x000102030405060708090a0b0c0d0e0f1011", "a bytea that is longer than a short string"},
    {1082, -1, "2024-05-01", {"\0\0\42\272", 4}},
    {1114, -1, "2024-05-01 12:34:56.789012", {"\0\2\272\100\71\175\33\224", 8}},
    {1184, -1, "2024-05-01 12:34:56.789012+00", {"\0\2\272\100\71\175\33\224", 8}},
    {2950, -1, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "0123456789abcdef"},
    {3802, -1, "{\"name\": \"longer than a short string\"}", "\1{\"name\": \"longer than a short string\"}"},
    {25, -1, "a text with a \"quote\" that is longer than a short string", "a text that is longer than a short string"},
};

ChangeBatch Batch(int rows, bool binary) {
  std::vector<TestColumn> columns;
  std::string tuple;
  TupleBuilder row(&tuple, std::size(kSamples));
  for (const Sample& sample : kSamples) {
    columns.push_back({"column" + std::to_string(columns.size()), sample.oid, sample.typmod});
    binary ? row.Binary(sample.binary) : row.Text(sample.text);
  }
  TestBatch batch(TestRelation(columns));
  for (int i = 0; i < rows; ++i) batch.InsertTuple(tuple);
  return batch.batch();
}

struct Case {
  WireFormat format;
  JsonEnvelope envelope = JsonEnvelope::kWallaby;
  bool binary = false;
};

class CodecAllocationTest : public testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(Formats, CodecAllocationTest,
                         testing::Values(Case{WireFormat::kJson}, Case{WireFormat::kJson, JsonEnvelope::kWallaby, true},
                                         Case{WireFormat::kJson, JsonEnvelope::kDebezium},
                                         Case{WireFormat::kJson, JsonEnvelope::kDebezium, true},
                                         Case{WireFormat::kAvro}, Case{WireFormat::kAvro, JsonEnvelope::kWallaby, true},
                                         Case{WireFormat::kProto},
                                         Case{WireFormat::kProto, JsonEnvelope::kWallaby, true}));

TEST_P(CodecAllocationTest, NoneForARow) {
  const Case& c = GetParam();
  const ChangeBatch once = Batch(kRows, c.binary), twice = Batch(2 * kRows, c.binary);
  auto codec = MakeCodec({.format = c.format, .json_envelope = c.envelope});
  ASSERT_TRUE(codec.ok());
  const auto encode = [&](const ChangeBatch& batch) {
    const BatchSlice slice{batch, 0, 0, batch.changes().size()};
    std::string out;
    ASSERT_TRUE((*codec)->EncodeBatch(slice, &out).ok());
    size_t bytes = 0;
    const absl::Status status = (*codec)->EncodeRecords(slice, [&](const EncodedRecord& record) {
      bytes += record.value.size();
      return absl::OkStatus();
    });
    ASSERT_TRUE(status.ok()) << status;
    ASSERT_GT(bytes, 0u);
  };
  encode(twice);  // buffers that are kept
  const int64_t first = AllocationsOf([&] { encode(once); });
  const int64_t second = AllocationsOf([&] { encode(twice); });
  // The output grows by doubling.
  EXPECT_LE(second - first, 10);
}

}  // namespace
}  // namespace wallaby
