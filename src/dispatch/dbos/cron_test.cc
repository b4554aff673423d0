#include "dispatch/dbos/cron.h"

#include <array>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace wallaby {
namespace {

using testing::HasSubstr;

absl::Time At(const std::string& text) {
  absl::Time time;
  std::string error;
  EXPECT_TRUE(absl::ParseTime(absl::RFC3339_full, text, &time, &error)) << text << error;
  return time;
}

std::string Next(const std::string& schedule, const std::string& after, const std::string& zone = "") {
  const auto parsed = CronSchedule::Parse(schedule, zone);
  if (!parsed.ok()) return std::string(parsed.status().message());
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", parsed->Next(At(after)), absl::UTCTimeZone());
}

TEST(CronTest, NextTimes) {
  const std::vector<std::array<std::string, 3>> cases = {
      {"*/10 * * * * *", "2026-01-01T00:00:00Z", "2026-01-01T00:00:10Z"},
      {"*/10 * * * * *", "2026-12-31T23:59:50.5Z", "2027-01-01T00:00:00Z"},
      {"0 30 9 * * *", "2026-01-01T09:30:00Z", "2026-01-02T09:30:00Z"},
      {"30 9 * * *", "2026-01-01T09:29:59Z", "2026-01-01T09:30:00Z"},
      {"0 0 12 1,15 * ?", "2026-01-02T00:00:00Z", "2026-01-15T12:00:00Z"},
      {"0 0 0 29 feb *", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z"},
      {"0 0 0 30 2 *", "2026-01-01T00:00:00Z", "infinite-future"},
      {"0 0 8 * * mon-fri", "2026-01-02T08:00:00Z", "2026-01-05T08:00:00Z"},  // from a Friday
      {"0 0 8 * * 7", "2026-01-02T08:00:00Z", "2026-01-04T08:00:00Z"},
      {"0 0 8 13 * FRI", "2026-01-05T00:00:00Z", "2026-01-09T08:00:00Z"},  // either day
      {"5/20 * * * * *", "2026-01-01T00:00:05Z", "2026-01-01T00:00:25Z"},
      {"10-14/2 0 * * * *", "2026-01-01T00:00:12Z", "2026-01-01T00:00:14Z"},
      {"7/2147483647 * * * * *", "2026-01-01T00:00:00Z", "2026-01-01T00:00:07Z"},
      {"@hourly", "2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z"},
      {"@weekly", "2026-01-01T00:00:00Z", "2026-01-04T00:00:00Z"},
      {"@every 90s", "2026-01-01T00:00:01Z", "2026-01-01T00:01:30Z"},
      {"TZ=America/New_York 0 0 9 * * *", "2026-07-01T00:00:00Z", "2026-07-01T13:00:00Z"},
  };
  for (const auto& [schedule, after, next] : cases) {
    const std::string got = Next(schedule, after);
    EXPECT_TRUE(got == next || (next == "infinite-future" && got.find("infinite") != std::string::npos))
        << schedule << ": " << got;
  }
}

TEST(CronTest, ClockChanges) {
  // 02:30 does not exist on 29 March 2026 in Berlin, and comes twice on 25 October.
  EXPECT_EQ(Next("0 30 2 * * *", "2026-03-28T12:00:00Z", "Europe/Berlin"), "2026-03-30T00:30:00Z");
  EXPECT_EQ(Next("0 30 2 * * *", "2026-10-24T12:00:00Z", "Europe/Berlin"), "2026-10-25T00:30:00Z");
  EXPECT_EQ(Next("0 30 2 * * *", "2026-10-25T00:30:00Z", "Europe/Berlin"), "2026-10-26T01:30:00Z");
}

TEST(CronTest, KeepsExpressionAndZoneApart) {
  const auto schedule = CronSchedule::Parse("CRON_TZ=Europe/Berlin 0 0 9 * * *");
  ASSERT_TRUE(schedule.ok());
  EXPECT_EQ(schedule->expression(), "0 0 9 * * *");
  EXPECT_EQ(schedule->time_zone(), "Europe/Berlin");
  EXPECT_EQ(CronSchedule::Parse("@daily")->time_zone(), "");
}

TEST(CronTest, RefusalsNameTheField) {
  EXPECT_THAT(Next("61 * * * * *", "2026-01-01T00:00:00Z"), HasSubstr("field second is '61'"));
  EXPECT_THAT(Next("* * * 0 * *", "2026-01-01T00:00:00Z"), HasSubstr("day of month"));
  EXPECT_THAT(Next("* * * * jam *", "2026-01-01T00:00:00Z"), HasSubstr("month"));
  EXPECT_THAT(Next("*/0 * * * * *", "2026-01-01T00:00:00Z"), HasSubstr("second"));
  EXPECT_THAT(Next("5-1 * * * * *", "2026-01-01T00:00:00Z"), HasSubstr("second"));
  EXPECT_THAT(Next("* * *", "2026-01-01T00:00:00Z"), HasSubstr("has 3 fields"));
  EXPECT_THAT(Next("@every 0s", "2026-01-01T00:00:00Z"), HasSubstr("1s or more"));
  EXPECT_THAT(Next("@daily", "2026-01-01T00:00:00Z", "Mars/Base"), HasSubstr("time zone 'Mars/Base'"));
  // Not a way to have the server open files.
  for (const char* zone : {"/etc/passwd", "file:/etc/passwd", "../../../etc/passwd", "Europe/../../x"}) {
    EXPECT_THAT(Next("@daily", "2026-01-01T00:00:00Z", zone), HasSubstr("time zone")) << zone;
  }
}

}  // namespace
}  // namespace wallaby
