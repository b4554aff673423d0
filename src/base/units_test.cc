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

}  // namespace
}  // namespace wallaby
