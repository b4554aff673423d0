#include "codec/columnar_codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "arrow/io/memory.h"
#include "arrow/ipc/reader.h"
#include "arrow/record_batch.h"
#include "arrow/scalar.h"
#include "arrow/table.h"
#include "arrow/util/key_value_metadata.h"
#include "codec/test_batches.h"
#include "parquet/arrow/reader.h"

namespace wallaby {
namespace {

using testing::HasSubstr;

std::unique_ptr<Codec> Make(WireFormat format, std::string compression = "zstd") {
  CodecOptions options;
  options.format = format;
  options.compression = std::move(compression);
  auto codec = MakeColumnarCodec(options);
  EXPECT_TRUE(codec.ok()) << codec.status();
  return *std::move(codec);
}

std::shared_ptr<arrow::Table> Read(WireFormat format, const std::string& payload) {
  auto input = std::make_shared<arrow::io::BufferReader>(arrow::Buffer::FromString(payload));
  if (format == WireFormat::kArrow) {
    auto reader = *arrow::ipc::RecordBatchStreamReader::Open(input);
    return *reader->ToTable();
  }
  auto reader = *parquet::arrow::OpenFile(input, arrow::default_memory_pool());
  return *reader->ReadTable();
}

std::string Cell(const arrow::Table& table, const char* column, int64_t row) {
  return (*table.GetColumnByName(column)->GetScalar(row))->ToString();
}

class ColumnarCodecTest : public testing::TestWithParam<WireFormat> {};
INSTANTIATE_TEST_SUITE_P(Formats, ColumnarCodecTest, testing::Values(WireFormat::kArrow, WireFormat::kParquet),
                         [](const auto& param) { return std::string(WireFormatText(param.param)); });

TEST_P(ColumnarCodecTest, RowsOfASlice) {
  const TestBatch batch = TestBatch(OrdersRelation(3))
                              .Insert({"1", "12.50", std::nullopt})
                              .Update({"1", "13.00", kAbsent})
                              .UpdateKey({"1", std::nullopt, std::nullopt}, {"2", "13.00", "x"})
                              .Truncate();
  auto codec = Make(GetParam());
  for (int time = 0; time < 2; ++time) {
    std::string out;
    ASSERT_TRUE(codec->EncodeBatch(batch.slice(), &out).ok());
    const auto table = Read(GetParam(), out);
    ASSERT_EQ(table->num_rows(), 5);
    std::string ops;
    for (int64_t i = 0; i < 5; ++i) ops += Cell(*table, "_wallaby_op", i);
    EXPECT_EQ(ops, "cudut");
    EXPECT_EQ(Cell(*table, "total", 0), "12.50");
    EXPECT_EQ(Cell(*table, "note", 1), "null");
    EXPECT_EQ(Cell(*table, "_wallaby_unchanged", 1), "note");
    EXPECT_EQ(Cell(*table, "_wallaby_unchanged", 0), "null");
    EXPECT_EQ(Cell(*table, "id", 2), "1");
    EXPECT_EQ(Cell(*table, "id", 4), "null");
    EXPECT_EQ(Cell(*table, "_wallaby_lsn", 4), "23803720");
    EXPECT_EQ(Cell(*table, "_wallaby_seq", 4), "3");
    EXPECT_EQ(*table->schema()->metadata()->Get("wallaby.table"), "shop.orders");
    EXPECT_EQ(*table->schema()->metadata()->Get("wallaby.schema_version"), "3");
  }
}

TEST_P(ColumnarCodecTest, NothingForATableWithoutChanges) {
  TestBatch batch;
  std::string out = "before";
  ASSERT_TRUE(Make(GetParam())->EncodeBatch(batch.slice(), &out).ok());
  EXPECT_EQ(out, "before");
}

TEST_P(ColumnarCodecTest, ARefusedValueLeavesNothingBehind) {
  const TestBatch bad = TestBatch().Insert({"1", "1.00", "x"}).Insert({"2", "NaN", "y"});
  const TestBatch good = TestBatch().Insert({"3", "3.00", "z"});
  auto codec = Make(GetParam());
  std::string out = "before";
  const absl::Status status = codec->EncodeBatch(bad.slice(), &out);
  EXPECT_TRUE(absl::IsOutOfRange(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("shop.orders.total=text"));
  EXPECT_EQ(out, "before");
  out.clear();
  ASSERT_TRUE(codec->EncodeBatch(good.slice(), &out).ok());
  EXPECT_EQ(Read(GetParam(), out)->num_rows(), 1);
}

TEST(ColumnarRecordsTest, AnArrowStreamForEachRecord) {
  const TestBatch batch = TestBatch().UpdateKey({"1", std::nullopt, std::nullopt}, {"2", "13.00", "x"});
  auto records = AllRecords(*Make(WireFormat::kArrow), batch.slice());
  ASSERT_TRUE(records.ok()) << records.status();
  ASSERT_EQ(records->size(), 2u);
  EXPECT_EQ((*records)[0].key, R"({"id":1})");
  EXPECT_EQ(Cell(*Read(WireFormat::kArrow, (*records)[0].value), "_wallaby_op", 0), "d");
  EXPECT_EQ(Cell(*Read(WireFormat::kArrow, (*records)[1].value), "id", 0), "2");
}

TEST(ColumnarRecordsTest, ParquetHasNone) {
  const TestBatch batch = TestBatch().Insert({"1", "1.00", "x"});
  auto codec = Make(WireFormat::kParquet);
  EXPECT_EQ(codec->record_content_type(), "");
  EXPECT_TRUE(absl::IsInvalidArgument(AllRecords(*codec, batch.slice()).status()));
}

TEST(ColumnarCodecOptionsTest, Compression) {
  const TestBatch batch = TestBatch().Insert({"1", "1.00", std::string(10'000, 'x')});
  for (const char* name : {"none", "snappy", "gzip", "zstd", "lz4"}) {
    std::string out;
    ASSERT_TRUE(Make(WireFormat::kParquet, name)->EncodeBatch(batch.slice(), &out).ok());
    EXPECT_EQ(Cell(*Read(WireFormat::kParquet, out), "id", 0), "1") << name;
  }
  EXPECT_TRUE(absl::IsInvalidArgument(MakeColumnarCodec({.compression = "brotli"}).status()));
}

}  // namespace
}  // namespace wallaby
