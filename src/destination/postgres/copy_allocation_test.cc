// Rows become COPY data and SQL text without an allocation for each value.
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "destination/postgres/copy_encoder.h"
#include "destination/postgres/sql_values.h"
#include "test/support/counting_allocator.h"

namespace wallaby {
namespace {

constexpr int kRows = 1000;

struct Sample {
  uint32_t oid;
  std::string_view text;
  std::string_view binary;
};
constexpr Sample kSamples[] = {
    {20, "9007199254740993", {"\0\x20\0\0\0\0\0\1", 8}},
    {1184, "2024-05-01 12:34:56.789012+00", {"\0\2\272\100\71\175\33\224", 8}},
    {2950, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "0123456789abcdef"},
    {25, "a text that's longer than\ta short string", "a text that's longer than\ta short string"},
};

class CopyAllocationTest : public testing::TestWithParam<bool> {
 protected:
  CopyAllocationTest() {
    TupleBuilder row(&row_, std::size(kSamples));
    for (const Sample& sample : kSamples) {
      columns_.push_back({"a column's name", BuiltinType(sample.oid, -1)});
      GetParam() ? row.Binary(sample.binary) : row.Text(sample.text);
    }
  }

  // The first row brings buffers to their size.
  int64_t AllocationsOverRows(CopyEncoder* copy) {
    const auto add = [&] {
      fields_.Parse(row_.data());
      copy->BeginRow(fields_.size() + 4);
      for (int i = 0; i < fields_.size(); ++i) ASSERT_TRUE(copy->Value(fields_[i], columns_[i]).ok());
      copy->Int32(7);
      copy->Int64(int64_t{1} << 40);
      copy->TimestampTz(1'714'566'896'789'012);
      copy->Null();
      copy->CloseRow();
      copy->buffer()->clear();
    };
    add();
    return AllocationsOf([&] {
      for (int i = 0; i < kRows; ++i) add();
    });
  }

  std::string row_;
  RowFields fields_;
  std::vector<Column> columns_;
};

TEST_P(CopyAllocationTest, Copy) {
  for (const bool binary : {false, GetParam()}) {  // a binary COPY has binary values only
    CopyEncoder copy("public.orders", binary);
    EXPECT_EQ(AllocationsOverRows(&copy), 0) << binary;
  }
}

TEST_P(CopyAllocationTest, Literals) {
  std::string sql;
  const auto add = [&] {
    sql.clear();
    fields_.Parse(row_.data());
    for (int i = 0; i < fields_.size(); ++i) {
      ASSERT_TRUE(AppendLiteral(fields_[i], columns_[i], "public.orders", &sql).ok());
    }
  };
  add();
  EXPECT_TRUE(sql.ends_with("'a text that''s longer than\ta short string'")) << sql;
  EXPECT_EQ(AllocationsOf([&] {
              for (int i = 0; i < kRows; ++i) add();
            }),
            0);
}

INSTANTIATE_TEST_SUITE_P(Forms, CopyAllocationTest, testing::Bool(),
                         [](const auto& info) { return info.param ? "binary" : "text"; });

TEST(CopyEncoderTest, TimestampTzAsText) {
  CopyEncoder copy("public.orders", /*binary=*/false);
  copy.BeginRow(2);
  copy.TimestampTz(1'714'566'896'789'012);
  copy.TimestampTz(-1);
  copy.CloseRow();
  EXPECT_EQ(*copy.buffer(), "2024-05-01 12:34:56.789012+00\t1969-12-31 23:59:59.999999+00\n");
}

}  // namespace
}  // namespace wallaby
