#include "access/denied_lines.h"

#include <gtest/gtest.h>

namespace wallaby {
namespace {

const absl::Time kBegin = absl::FromUnixSeconds(1'000'000);

TEST(DeniedLines, ABurstAndThenARate) {
  DeniedLines lines;
  for (int64_t i = 0; i < DeniedLines::kBurst; ++i) EXPECT_EQ(lines.Admit(kBegin), 0) << i;
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(lines.Admit(kBegin), std::nullopt);
  EXPECT_EQ(lines.Admit(kBegin + DeniedLines::kInterval / 2), std::nullopt);
  // One more each interval, which tells what was left out.
  EXPECT_EQ(lines.Admit(kBegin + DeniedLines::kInterval), 1001);
  EXPECT_EQ(lines.Admit(kBegin + DeniedLines::kInterval), std::nullopt);
  EXPECT_EQ(lines.Admit(kBegin + 3.5 * DeniedLines::kInterval), 1);
  EXPECT_EQ(lines.Admit(kBegin + 3.5 * DeniedLines::kInterval), 0);
  EXPECT_EQ(lines.Admit(kBegin + 3.5 * DeniedLines::kInterval), std::nullopt);
  // The half of an interval is not lost.
  EXPECT_EQ(lines.Admit(kBegin + 4 * DeniedLines::kInterval), 1);
}

TEST(DeniedLines, FullAgainAfterARest) {
  DeniedLines lines;
  absl::Time now = kBegin;
  for (int round = 0; round < 3; ++round, now += absl::Hours(1)) {
    int64_t written = 0;
    for (int i = 0; i < 500; ++i) written += lines.Admit(now).has_value() ? 1 : 0;
    EXPECT_EQ(written, DeniedLines::kBurst);
  }
}

TEST(DeniedLines, WhatWasLeftOutIsToldOnce) {
  DeniedLines lines;
  for (int64_t i = 0; i < DeniedLines::kBurst + 7; ++i) lines.Admit(kBegin);
  EXPECT_EQ(lines.TakeLeftOut(), 7);
  EXPECT_EQ(lines.TakeLeftOut(), 0);
  EXPECT_EQ(lines.Admit(kBegin + DeniedLines::kInterval), 0);
}

TEST(DeniedLines, AClockThatIsSetBackSilencesNobodyForLong) {
  DeniedLines lines;
  for (int64_t i = 0; i < DeniedLines::kBurst; ++i) lines.Admit(kBegin);
  EXPECT_NE(lines.Admit(kBegin - absl::Hours(24)), std::nullopt);
}

}  // namespace
}  // namespace wallaby
