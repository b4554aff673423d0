// Reading values allocates nothing, whatever their type and form.
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "change/tuple.h"
#include "change/value.h"
#include "test/support/counting_allocator.h"

namespace wallaby {
namespace {

constexpr int kRows = 1000;
constexpr int32_t kNumeric = (20 << 16 | 4) + 4;

struct Sample {
  uint32_t oid;
  int32_t typmod;
  std::string_view text;
  std::string_view binary;
};

constexpr Sample kSamples[] = {
    {16, -1, "t", {"\1", 1}},
    {20, -1, "-9007199254740993", {"\xff\xdf\xff\xff\xff\xff\xff\xff", 8}},
    {26, -1, "4294967295", {"\xff\xff\xff\xff", 4}},
    {700, -1, "1.5", {"\x3f\xc0\0\0", 4}},
    {701, -1, "1.5", {"\x3f\xf8\0\0\0\0\0\0", 8}},
    {1700, kNumeric, "1234567890.1234", {"\0\4\0\2\0\0\0\4\0\14\15\200\36\322\4\322", 16}},
    {17, -1, "\\x000102030405060708090a0b0c0d0e0f1011", "a bytea that is longer than a short string"},
    {1082, -1, "2024-05-01", {"\0\0\42\272", 4}},
    {1083, -1, "12:34:56.789012", {"\0\0\0\12\214\75\220\24", 8}},
    {1184, -1, "2024-05-01 12:34:56.789012+00", {"\0\2\272\100\71\175\33\224", 8}},
    {2950, -1, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "0123456789abcdef"},
    {3802, -1, "{\"name\": \"longer than a short string\"}", "\1{\"name\": \"longer than a short string\"}"},
    {25, -1, "a text that is longer than a short string", "a text that is longer than a short string"},
};

absl::Status Read(const Field& field, const PgType& type, std::string* scratch) {
  bool boolean;
  int64_t number;
  uint32_t oid;
  int32_t days;
  float single;
  double twofold;
  absl::int128 decimal;
  unsigned char uuid[16];
  std::string_view text;
  switch (type.logical) {
    case LogicalType::kBool:
      return ReadBool(field, &boolean);
    case LogicalType::kInt16:
    case LogicalType::kInt32:
    case LogicalType::kInt64:
      return ReadInt(field, &number);
    case LogicalType::kUInt32:
      return ReadUint32(field, &oid);
    case LogicalType::kFloat32:
      return ReadFloat32(field, &single);
    case LogicalType::kFloat64:
      return ReadFloat64(field, &twofold);
    case LogicalType::kDecimal:
      return ReadDecimal(field, type, &decimal);
    case LogicalType::kBytes:
      return ReadBytes(field, scratch, &text);
    case LogicalType::kDate:
      return ReadDate(field, &days);
    case LogicalType::kTime:
      return ReadTime(field, &number);
    case LogicalType::kTimestamp:
    case LogicalType::kTimestampTz:
      return ReadTimestamp(field, &number);
    case LogicalType::kUuid:
      return ReadUuid(field, uuid);
    case LogicalType::kText:
    case LogicalType::kJson:
      return ReadText(field, type, scratch, &text);
  }
  return absl::InternalError("a type without a reader");
}

class ValueAllocationTest : public testing::TestWithParam<bool> {
 protected:
  ValueAllocationTest() {
    TupleBuilder row(&row_, std::size(kSamples));
    for (const Sample& sample : kSamples) {
      types_.push_back(BuiltinType(sample.oid, sample.typmod));
      GetParam() ? row.Binary(sample.binary) : row.Text(sample.text);
    }
  }

  // Over many rows, the first of which brings `scratch` to its size.
  template <typename Use>
  int64_t AllocationsOverRows(Use use) {
    const auto row = [&] {
      for (TupleCursor c(row_.data()); !c.done(); c.Next()) {
        const absl::Status status = use(c.field(), types_[c.index()]);
        ASSERT_TRUE(status.ok()) << types_[c.index()].sql_name << ": " << status;
      }
    };
    row();
    return AllocationsOf([&] {
      for (int i = 0; i < kRows; ++i) row();
    });
  }

  std::string row_;
  std::vector<PgType> types_;
  std::string scratch_;
};

TEST_P(ValueAllocationTest, Reading) {
  EXPECT_EQ(AllocationsOverRows([&](const Field& field, const PgType& type) { return Read(field, type, &scratch_); }),
            0);
}

TEST_P(ValueAllocationTest, Printing) {
  EXPECT_EQ(AllocationsOverRows([&](const Field& field, const PgType& type) {
              scratch_.clear();
              return AppendText(field, type, &scratch_);
            }),
            0);
}

TEST_P(ValueAllocationTest, BuildingRows) {
  std::string out;
  EXPECT_EQ(AllocationsOverRows([&](const Field& field, const PgType&) {
              out.clear();
              TupleBuilder(&out, 1).Add(field);
              return absl::OkStatus();
            }),
            0);
}

INSTANTIATE_TEST_SUITE_P(Forms, ValueAllocationTest, testing::Bool(),
                         [](const auto& info) { return info.param ? "binary" : "text"; });

}  // namespace
}  // namespace wallaby
