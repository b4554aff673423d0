#include "base/units.h"

#include <gtest/gtest.h>

namespace wallaby {
namespace {

TEST(UnitsTest, Durations) {
  EXPECT_EQ(ParseDuration("200ms").value(), absl::Milliseconds(200));
  EXPECT_EQ(ParseDuration("1m").value(), absl::Minutes(1));
  EXPECT_EQ(ParseDuration("0").value(), absl::ZeroDuration());
  for (const char* bad : {"", "5", "-1s", "inf", "5 seconds"}) EXPECT_FALSE(ParseDuration(bad).ok()) << bad;
}

TEST(UnitsTest, Bytes) {
  EXPECT_EQ(ParseBytes("256MiB").value(), 256 << 20);
  EXPECT_EQ(ParseBytes("512kb").value(), 512000);
  EXPECT_EQ(ParseBytes("10").value(), 10);
  for (const char* bad : {"", "MiB", "-1", "1.5MiB", "9999999999TiB"}) EXPECT_FALSE(ParseBytes(bad).ok()) << bad;
}

TEST(UnitsTest, Bools) {
  EXPECT_TRUE(ParseBool("True").value());
  EXPECT_FALSE(ParseBool("off").value());
  EXPECT_FALSE(ParseBool("maybe").ok());
}

TEST(SizeTextTest, GoesFromBytesToExbibytes) {
  EXPECT_EQ(SizeText(-1), "-");
  EXPECT_EQ(SizeText(0), "0 B");
  EXPECT_EQ(SizeText(1023), "1023 B");
  EXPECT_EQ(SizeText(1024), "1.0 KiB");
  EXPECT_EQ(SizeText(1536), "1.5 KiB");
  EXPECT_EQ(SizeText(10 * 1024), "10 KiB");
  EXPECT_EQ(SizeText(16 << 20), "16 MiB");
  EXPECT_EQ(SizeText((int64_t{1} << 20) - 1), "1.0 MiB");
  EXPECT_EQ(SizeText(int64_t{3} << 40), "3.0 TiB");
  EXPECT_EQ(SizeText(std::numeric_limits<int64_t>::max()), "8.0 EiB");
}

}  // namespace
}  // namespace wallaby
