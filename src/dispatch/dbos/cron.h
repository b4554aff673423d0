// CronSchedule: when a schedule fires. Six fields (second minute hour day-of-month month day-of-week), or five without
// the second, or @every DURATION, @hourly, @daily, @midnight, @weekly, @monthly, @yearly, @annually. A field is *, a
// number, a name (jan, mon), a range a-b, a step */n or a-b/n, or a list of these. "?" stands for *. Where both days
// are restricted, either suffices, as in cron(8). "CRON_TZ=Europe/Berlin " or "TZ=..." in front names a time zone.
#ifndef WALLABY_DISPATCH_DBOS_CRON_H_
#define WALLABY_DISPATCH_DBOS_CRON_H_

#include <bitset>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace wallaby {

class CronSchedule {
 public:
  // `time_zone`: a name of the tz database; "": as `text` says, else UTC. INVALID_ARGUMENT names the field and what is
  // allowed.
  static absl::StatusOr<CronSchedule> Parse(std::string_view text, const std::string& time_zone = "");

  // The first time after `time`; InfiniteFuture when there is none within eight years (30 February). An hour that the
  // clocks skip does not come; in one that comes twice, the first counts.
  absl::Time Next(absl::Time time) const;

  // Without the time zone in front.
  const std::string& expression() const { return expression_; }
  // "" when neither text nor caller named one.
  const std::string& time_zone() const { return time_zone_; }

 private:
  std::string expression_;
  std::string time_zone_;
  absl::TimeZone zone_ = absl::UTCTimeZone();
  absl::Duration every_;  // > 0: nothing else counts
  std::bitset<60> seconds_, minutes_;
  std::bitset<24> hours_;
  std::bitset<32> days_;
  std::bitset<13> months_;
  std::bitset<7> weekdays_;
  bool any_day_ = true;
  bool any_weekday_ = true;

  bool MatchesDay(const absl::CivilDay& day) const;
};

}  // namespace wallaby

#endif  // WALLABY_DISPATCH_DBOS_CRON_H_
