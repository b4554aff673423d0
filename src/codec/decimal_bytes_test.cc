#include "codec/decimal_bytes.h"

#include <gtest/gtest.h>

#include <random>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace wallaby {
namespace {

std::string OfText(std::string_view text, int* scale) {
  std::string out;
  return AppendDecimalBytes(text, scale, &out) ? std::string(absl::BytesToHexString(out)) : "refused" + out;
}

std::string OfNumber(absl::int128 number) {
  std::string out;
  AppendDecimalBytes(number, &out);
  return std::string(absl::BytesToHexString(out));
}

TEST(DecimalBytesTest, Edges) {
  int scale;
  const std::pair<int64_t, const char*> kCases[] = {{0, "00"},     {1, "01"},      {-1, "ff"},        {127, "7f"},
                                                    {128, "0080"}, {-128, "80"},   {-129, "ff7f"},    {255, "00ff"},
                                                    {256, "0100"}, {-256, "ff00"}, {32768, "008000"}, {-32768, "8000"}};
  for (const auto& [number, hex] : kCases) {
    EXPECT_EQ(OfNumber(number), hex) << number;
    EXPECT_EQ(OfText(absl::StrCat(number), &scale), hex) << number;
  }
  EXPECT_EQ(OfText("-12.50", &scale), "fb1e");
  EXPECT_EQ(scale, 2);
  EXPECT_EQ(OfText("0.00", &scale), "00");
  EXPECT_EQ(scale, 2);
  EXPECT_EQ(OfText("-0", &scale), "00");
  EXPECT_EQ(OfText("340282366920938463463374607431768211456", &scale), "0100000000000000000000000000000000");
}

TEST(DecimalBytesTest, Refusals) {
  int scale;
  for (const char* bad : {"", "-", ".", "NaN", "Infinity", "1e5", "1.2.3", "--1", " 1"}) {
    EXPECT_EQ(OfText(bad, &scale), "refused") << bad;
  }
}

TEST(DecimalBytesTest, BothWaysAgree) {
  std::mt19937_64 random(7);
  for (int i = 0; i < 10'000; ++i) {
    absl::int128 number =
        absl::MakeInt128(static_cast<int64_t>(random()), random()) >> static_cast<int>(random() % 127);
    std::string digits;
    const bool negative = number < 0;
    for (absl::int128 left = number; left != 0; left /= 10) {
      const int digit = static_cast<int>(left % 10);
      digits.insert(digits.begin(), static_cast<char>('0' + (digit < 0 ? -digit : digit)));
    }
    if (digits.empty()) digits = "0";
    if (negative) digits.insert(digits.begin(), '-');
    int scale;
    ASSERT_EQ(OfText(digits, &scale), OfNumber(number)) << digits;
  }
}

}  // namespace
}  // namespace wallaby
