#include "change/value.h"

#include <cmath>
#include <limits>

#include "absl/numeric/bits.h"
#include "gtest/gtest.h"

namespace wallaby {
namespace {

constexpr uint32_t kFloat4 = 700, kFloat8 = 701, kDate = 1082, kTime = 1083, kTimestamp = 1114, kTimestampTz = 1184,
                   kNumeric = 1700, kUuid = 2950, kJsonb = 3802;

Field Text(std::string_view text) {
  return {FieldKind::kText, text};
}
Field Binary(std::string_view bytes) {
  return {FieldKind::kBinary, bytes};
}

template <typename Int>
std::string Big(Int value) {
  std::string out;
  for (int shift = (sizeof(Int) - 1) * 8; shift >= 0; shift -= 8) {
    out.push_back(static_cast<char>(static_cast<uint64_t>(value) >> shift));
  }
  return out;
}

std::string Print(uint32_t oid, std::string_view bytes) {
  std::string out;
  const absl::Status status = AppendText(Binary(bytes), BuiltinType(oid, -1), &out);
  return status.ok() ? out : status.ToString();
}
std::string Print8(double value) {
  return Print(kFloat8, Big(absl::bit_cast<uint64_t>(value)));
}
std::string Print4(float value) {
  return Print(kFloat4, Big(absl::bit_cast<uint32_t>(value)));
}

PgType Decimal(int precision, int scale) {
  return BuiltinType(kNumeric, (precision << 16 | scale) + 4);
}

TEST(ReadBool, BothForms) {
  bool value = false;
  ASSERT_TRUE(ReadBool(Text("t"), &value).ok());
  EXPECT_TRUE(value);
  ASSERT_TRUE(ReadBool(Binary(std::string_view("\0", 1)), &value).ok());
  EXPECT_FALSE(value);
  EXPECT_EQ(ReadBool(Text("maybe"), &value).message(), "'maybe' is not a boolean");
}

TEST(ReadInt, BothFormsAndLimits) {
  int64_t value = 0;
  ASSERT_TRUE(ReadInt(Text("-9223372036854775808"), &value).ok());
  EXPECT_EQ(value, std::numeric_limits<int64_t>::min());
  ASSERT_TRUE(ReadInt(Binary(Big(int16_t{-2})), &value).ok());
  EXPECT_EQ(value, -2);
  ASSERT_TRUE(ReadInt(Binary(Big(int32_t{-3})), &value).ok());
  EXPECT_EQ(value, -3);
  EXPECT_FALSE(ReadInt(Text("9223372036854775808"), &value).ok());
  EXPECT_FALSE(ReadInt(Text("1x"), &value).ok());
  EXPECT_FALSE(ReadInt(Text(""), &value).ok());
  EXPECT_FALSE(ReadInt(Binary("abc"), &value).ok());
  EXPECT_TRUE(absl::IsInternal(ReadInt(Field{}, &value)));
  uint32_t oid = 0;
  ASSERT_TRUE(ReadUint32(Binary(Big(uint32_t{4000000000})), &oid).ok());
  EXPECT_EQ(oid, 4000000000u);
}

TEST(ReadFloat, TextWithSpecialValues) {
  double value = 0;
  ASSERT_TRUE(ReadFloat64(Text("-1.5e-07"), &value).ok());
  EXPECT_EQ(value, -1.5e-07);
  ASSERT_TRUE(ReadFloat64(Text("NaN"), &value).ok());
  EXPECT_TRUE(std::isnan(value));
  ASSERT_TRUE(ReadFloat64(Text("-Infinity"), &value).ok());
  EXPECT_EQ(value, -std::numeric_limits<double>::infinity());
  ASSERT_TRUE(ReadFloat64(Text("5e-324"), &value).ok());
  EXPECT_EQ(value, 5e-324);
  float small = 0;
  ASSERT_TRUE(ReadFloat32(Text("1e-45"), &small).ok());
  EXPECT_EQ(small, std::numeric_limits<float>::denorm_min());
  EXPECT_FALSE(ReadFloat64(Text("one"), &value).ok());
}

TEST(ReadDecimal, TextAtTheScale) {
  absl::int128 value = 0;
  for (const auto& [text, expected] : std::initializer_list<std::pair<const char*, int64_t>>{
           {"12.34", 1234}, {"-0.01", -1}, {"5", 500}, {"-99999999.99", -9999999999}, {"0.00", 0}, {"1.500", 150}}) {
    ASSERT_TRUE(ReadDecimal(Text(text), Decimal(10, 2), &value).ok()) << text;
    EXPECT_EQ(value, expected) << text;
  }
  const std::string nines(38, '9');
  ASSERT_TRUE(ReadDecimal(Text("-" + nines), Decimal(38, 0), &value).ok());
  EXPECT_EQ(-value + 1, absl::MakeInt128(5421010862427522170, 687399551400673280));  // 10^38
  ASSERT_TRUE(ReadDecimal(Text("0." + nines), Decimal(38, 38), &value).ok());
}

TEST(ReadDecimal, RefusesWhatDoesNotFit) {
  absl::int128 value = 0;
  for (const char* text :
       {"NaN", "Infinity", "-Infinity", "100000000.00", "0.001", "999999999999999999999999999999999999999999999"}) {
    const absl::Status status = ReadDecimal(Text(text), Decimal(10, 2), &value);
    EXPECT_TRUE(absl::IsOutOfRange(status)) << text << ": " << status;
  }
  EXPECT_EQ(ReadDecimal(Text("NaN"), Decimal(10, 2), &value).message(), "'NaN' does not fit numeric(10,2)");
  for (const char* text : {"", "-", "1.2.3", "12a"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ReadDecimal(Text(text), Decimal(10, 2), &value))) << text;
  }
  const std::string nan = Big(uint16_t{0}) + Big(uint16_t{0}) + Big(uint16_t{0xC000}) + Big(uint16_t{0});
  EXPECT_TRUE(absl::IsOutOfRange(ReadDecimal(Binary(nan), Decimal(10, 2), &value)));
  EXPECT_TRUE(absl::IsInvalidArgument(ReadDecimal(Binary("short"), Decimal(10, 2), &value)));
}

TEST(ReadDate, AllOfTheCalendar) {
  int32_t days = 0;
  for (const auto& [text, expected] :
       std::initializer_list<std::pair<const char*, int32_t>>{{"1970-01-01", 0},
                                                              {"2000-01-01", 10957},
                                                              {"1969-12-31", -1},
                                                              {"2024-02-29", 19782},
                                                              {"0044-03-15 BC", -735160},
                                                              {"12345-01-01", 3789391},
                                                              {"infinity", 2147483647},
                                                              {"-infinity", -2147483647},
                                                              {"4713-01-01 BC", -2440550},
                                                              {"5874897-12-31", 2145042905}}) {
    ASSERT_TRUE(ReadDate(Text(text), &days).ok()) << text;
    EXPECT_EQ(days, expected) << text;
  }
  for (const char* text : {"2023-02-29", "2024-13-01", "24-01-01", "2024-01-01x", "", "2024-01-01 AD"}) {
    EXPECT_FALSE(ReadDate(Text(text), &days).ok()) << text;
  }
  ASSERT_TRUE(ReadDate(Binary(Big(int32_t{0})), &days).ok());
  EXPECT_EQ(days, 10957);
  ASSERT_TRUE(ReadDate(Binary(Big(std::numeric_limits<int32_t>::min())), &days).ok());
  EXPECT_EQ(days, -2147483647);
}

TEST(ReadTime, UpToMidnight) {
  int64_t micros = 0;
  ASSERT_TRUE(ReadTime(Text("24:00:00"), &micros).ok());
  EXPECT_EQ(micros, 86'400'000'000);
  ASSERT_TRUE(ReadTime(Text("12:34:56.7"), &micros).ok());
  EXPECT_EQ(micros, 45'296'700'000);
  EXPECT_FALSE(ReadTime(Text("24:00:01"), &micros).ok());
  EXPECT_FALSE(ReadTime(Text("12:34"), &micros).ok());
  EXPECT_FALSE(ReadTime(Binary(Big(int64_t{-1})), &micros).ok());
}

TEST(ReadTimestamp, ZonesInfinityAndRange) {
  int64_t micros = 0;
  ASSERT_TRUE(ReadTimestamp(Text("1970-01-02 00:00:00.5"), &micros).ok());
  EXPECT_EQ(micros, 86'400'500'000);
  ASSERT_TRUE(ReadTimestamp(Text("1970-01-02 00:00:00.5+00"), &micros).ok());
  EXPECT_EQ(micros, 86'400'500'000);
  EXPECT_FALSE(ReadTimestamp(Text("1970-01-02 00:00:00+02"), &micros).ok());
  ASSERT_TRUE(ReadTimestamp(Text("0044-03-15 12:00:00+00 BC"), &micros).ok());
  EXPECT_EQ(micros, (int64_t{-735160} * 86400 + 43200) * 1'000'000);
  ASSERT_TRUE(ReadTimestamp(Text("-infinity"), &micros).ok());
  EXPECT_EQ(micros, -std::numeric_limits<int64_t>::max());
  ASSERT_TRUE(ReadTimestamp(Binary(Big(std::numeric_limits<int64_t>::max())), &micros).ok());
  EXPECT_EQ(micros, std::numeric_limits<int64_t>::max());
  // PostgreSQL goes to the year 294276; 64 bits of microseconds since 1970 end 30 years before.
  EXPECT_TRUE(absl::IsOutOfRange(ReadTimestamp(Text("294276-12-31 23:59:59.999999"), &micros)));
  EXPECT_TRUE(absl::IsOutOfRange(ReadTimestamp(Binary(Big(int64_t{9223371331199999999})), &micros)));
}

TEST(ReadUuidAndBytes, BothForms) {
  unsigned char uuid[16];
  ASSERT_TRUE(ReadUuid(Text("00112233-4455-6677-8899-aabbccddeeff"), uuid).ok());
  EXPECT_EQ(uuid[15], 0xff);
  EXPECT_EQ(Print(kUuid, std::string_view(reinterpret_cast<char*>(uuid), 16)), "00112233-4455-6677-8899-aabbccddeeff");
  EXPECT_FALSE(ReadUuid(Text("00112233-4455-6677-8899_aabbccddeeff"), uuid).ok());
  std::string scratch;
  std::string_view bytes;
  ASSERT_TRUE(ReadBytes(Text("\\x00ff10"), &scratch, &bytes).ok());
  EXPECT_EQ(bytes, std::string_view("\0\xff\x10", 3));
  EXPECT_FALSE(ReadBytes(Text("\\x0"), &scratch, &bytes).ok());
  EXPECT_FALSE(ReadBytes(Text("\\000"), &scratch, &bytes).ok());
}

TEST(ReadText, JsonbWithoutItsVersionAndMappedTypes) {
  std::string scratch;
  std::string_view text;
  ASSERT_TRUE(ReadText(Binary("\1{\"a\": 1}"), BuiltinType(kJsonb, -1), &scratch, &text).ok());
  EXPECT_EQ(text, "{\"a\": 1}");
  EXPECT_FALSE(ReadText(Binary("\2{}"), BuiltinType(kJsonb, -1), &scratch, &text).ok());
  PgType mapped = BuiltinType(kDate, -1);
  mapped.logical = LogicalType::kText;
  ASSERT_TRUE(ReadText(Binary(Big(int32_t{0})), mapped, &scratch, &text).ok());
  EXPECT_EQ(text, "2000-01-01");
  ASSERT_TRUE(ReadText(Binary("shipped"), EnumType(99999, "status"), &scratch, &text).ok());
  EXPECT_EQ(text, "shipped");
  EXPECT_FALSE(ReadText(Binary("?"), BuiltinType(1007, -1), &scratch, &text).ok());
}

TEST(AppendText, FloatsAsPostgresPrintsThem) {
  EXPECT_EQ(Print8(0.0), "0");
  EXPECT_EQ(Print8(-0.0), "-0");
  EXPECT_EQ(Print8(1e14), "100000000000000");
  EXPECT_EQ(Print8(1e15), "1e+15");
  EXPECT_EQ(Print8(0.0001), "0.0001");
  EXPECT_EQ(Print8(0.00001), "1e-05");
  EXPECT_EQ(Print8(1.5e-7), "1.5e-07");
  EXPECT_EQ(Print8(-123.456), "-123.456");
  EXPECT_EQ(Print8(1.7976931348623157e308), "1.7976931348623157e+308");
  EXPECT_EQ(Print8(5e-324), "5e-324");
  EXPECT_EQ(Print8(std::nan("")), "NaN");
  EXPECT_EQ(Print8(-std::nan("")), "NaN");
  EXPECT_EQ(Print8(-INFINITY), "-Infinity");
  // Half-way to a neighbour: std::to_chars would print 1.801439850948199e+16.
  EXPECT_EQ(Print8(18014398509481992.0), "1.8014398509481992e+16");
  EXPECT_EQ(Print4(1e6f), "1e+06");
  EXPECT_EQ(Print4(999999.0f), "999999");
  EXPECT_EQ(Print4(0.1f), "0.1");
  EXPECT_EQ(Print4(16777216.0f), "1.6777216e+07");
}

TEST(AppendText, DatesAndTimes) {
  EXPECT_EQ(Print(kDate, Big(int32_t{0})), "2000-01-01");
  EXPECT_EQ(Print(kDate, Big(int32_t{-2451545})), "4714-11-24 BC");
  EXPECT_EQ(Print(kTime, Big(int64_t{86'400'000'000})), "24:00:00");
  EXPECT_EQ(Print(kTime, Big(int64_t{1})), "00:00:00.000001");
  EXPECT_EQ(Print(kTimestamp, Big(int64_t{-1})), "1999-12-31 23:59:59.999999");
  EXPECT_EQ(Print(kTimestamp, Big(int64_t{9223371331199999999})), "294276-12-31 23:59:59.999999");
  EXPECT_EQ(Print(kTimestampTz, Big(int64_t{500'000})), "2000-01-01 00:00:00.5+00");
  EXPECT_EQ(Print(kTimestampTz, Big(std::numeric_limits<int64_t>::min())), "-infinity");
}

// Both forms of one value agree on what is no value.
TEST(ReadDecimal, RefusesWhatItsTextWouldNotShow) {
  absl::int128 value;
  const std::string shown("\0\2\0\0\0\0\0\4\0\2\1\11", 12), hidden("\0\2\0\0\0\0\0\0\0\2\1\11", 12);
  ASSERT_TRUE(ReadDecimal(Binary(shown), Decimal(10, 4), &value).ok());
  EXPECT_EQ(value, 20265);
  EXPECT_TRUE(absl::IsInvalidArgument(ReadDecimal(Binary(hidden), Decimal(10, 4), &value)));
}

TEST(AppendText, RefusesWrongBytes) {
  EXPECT_NE(Print(kNumeric, "12345678").find("is not a numeric"), std::string::npos);
  EXPECT_NE(Print(16, "\2").find("is not a boolean"), std::string::npos);
  // 2.0265 that says it has no fraction: "2" would be another number.
  EXPECT_NE(Print(kNumeric, std::string("\0\2\0\0\0\0\0\0\0\2\1\11", 12)).find("is not a numeric"), std::string::npos);
  EXPECT_EQ(Print(kNumeric, std::string("\0\2\0\0\0\0\0\4\0\2\1\11", 12)), "2.0265");
  EXPECT_NE(Print(kTimestamp, "short").find("INVALID_ARGUMENT"), std::string::npos);
  std::string out;
  EXPECT_TRUE(absl::IsInternal(AppendText(Field{}, BuiltinType(25, -1), &out)));
}

}  // namespace
}  // namespace wallaby
