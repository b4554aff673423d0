// Cron schedules, also those that a client has put into the DBOS database. First a byte for the time to start from.
#include <string>

#include "dispatch/dbos/cron.h"
#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace wallaby;
  fuzz::Input in(data, size);
  absl::Time time = absl::FromUnixSeconds(1'700'000'000) + in.Byte() * absl::Hours(37) + absl::Milliseconds(500);
  const std::string text(in.Rest());
  const auto schedule = CronSchedule::Parse(text);
  if (!schedule.ok()) {
    REQUIRE(absl::IsInvalidArgument(schedule.status()), schedule.status().ToString());
    return 0;
  }
  for (int i = 0; i < 4; ++i) {
    const absl::Time next = schedule->Next(time);
    REQUIRE(next > time, "the next time is not later");
    if (next == absl::InfiniteFuture()) return 0;
    // Nothing lies between: from just before it, the next is the same.
    REQUIRE(schedule->Next(next - absl::Milliseconds(1)) == next, "a time was passed over");
    time = next;
  }
  const auto again = CronSchedule::Parse(schedule->expression(), schedule->time_zone());
  REQUIRE(again.ok() && again->Next(time) == schedule->Next(time), schedule->expression());
  return 0;
}
