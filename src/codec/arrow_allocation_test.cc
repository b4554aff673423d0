// Rows become Arrow columns without an allocation for each value. Arrow's own memory comes from its pool, which these
// counts do not see.
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "codec/arrow_rows.h"
#include "test/support/counting_allocator.h"

namespace wallaby {
namespace {

constexpr int kRows = 10'000;
constexpr int32_t kNumeric = (20 << 16 | 4) + 4;

struct Sample {
  uint32_t oid;
  int32_t typmod;
  std::string_view text;
  std::string_view binary;
};
constexpr Sample kSamples[] = {
    {16, -1, "t", {"\1", 1}},
    {20, -1, "9007199254740993", {"\0\x20\0\0\0\0\0\1", 8}},
    {701, -1, "1.5", {"\x3f\xf8\0\0\0\0\0\0", 8}},
    {1700, kNumeric, "1234567890.1234", {"\0\4\0\2\0\0\0\4\0\14\15\200\36\322\4\322", 16}},
    {17, -1, "\\x000102030405060708090a0b0c0d0e0f1011", "a bytea that is longer than a short string"},
    {1082, -1, "2024-05-01", {"\0\0\42\272", 4}},
    {1184, -1, "2024-05-01 12:34:56.789012+00", {"\0\2\272\100\71\175\33\224", 8}},
    {2950, -1, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "0123456789abcdef"},
    {3802, -1, "{\"name\": \"longer than a short string\"}", "\1{\"name\": \"longer than a short string\"}"},
    {25, -1, "a text that is longer than a short string", "a text that is longer than a short string"},
};

// The columns of a row, with those that append mode adds, and one carried as text because a user asked for it.
int64_t MoreToAppend(bool binary) {
  Relation relation;
  relation.schema = "public";
  relation.name = "everything";
  std::vector<ArrowColumn> columns;
  std::string tuple, partial;
  TupleBuilder row(&tuple, std::size(kSamples)), partial_row(&partial, std::size(kSamples));
  for (const Sample& sample : kSamples) {
    const std::string name = "column" + std::to_string(columns.size());
    relation.columns.push_back({name, BuiltinType(sample.oid, sample.typmod)});
    columns.push_back({name, ArrowSource::kRow, static_cast<int>(columns.size()), relation.columns.back().type});
    binary ? row.Binary(sample.binary) : row.Text(sample.text);
    partial_row.Unchanged();
  }
  PgType as_text = relation.columns[6].type;
  as_text.logical = LogicalType::kText;
  columns.push_back({"as_text", ArrowSource::kRow, 6, as_text});
  for (const ArrowSource source :
       {ArrowSource::kOp, ArrowSource::kLsn, ArrowSource::kSeq, ArrowSource::kCommitTime, ArrowSource::kUnchanged}) {
    columns.push_back({"extra" + std::to_string(static_cast<int>(source)), source});
  }
  ArrowRows rows(relation, columns);
  return AllocationsForTwice(kRows, [&](int count) {
    for (int i = 0; i < count; ++i) {
      const absl::Status status = rows.Append(i % 2 == 0 ? tuple.data() : partial.data(), {});
      ASSERT_TRUE(status.ok()) << status;
    }
    ASSERT_TRUE(rows.Finish().ok());
  });
}

// Each of the 16 columns' buffers grows a few times more.
constexpr int64_t kGrowth = 16 * 10;

TEST(ArrowRowsAllocationTest, Text) {
  EXPECT_LE(MoreToAppend(false), kGrowth);
}

TEST(ArrowRowsAllocationTest, Binary) {
  EXPECT_LE(MoreToAppend(true), kGrowth);
}

}  // namespace
}  // namespace wallaby
