#include "dispatch/dbos/cron.h"

#include <algorithm>
#include <array>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status.h"
#include "base/units.h"

namespace wallaby {
namespace {

constexpr int kMaxDays = 8 * 366;  // a 29 February comes within eight years, also around 2100

struct Field {
  std::string_view name;
  int low;
  int high;
  std::vector<std::string_view> names;  // of low, low + 1, ...
};

const Field kSecond{"second", 0, 59, {}};
const Field kMinute{"minute", 0, 59, {}};
const Field kHour{"hour", 0, 23, {}};
const Field kDay{"day of month", 1, 31, {}};
const Field kMonth{
    "month", 1, 12, {"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}};
// 7 is Sunday too.
const Field kWeekday{"day of week", 0, 7, {"sun", "mon", "tue", "wed", "thu", "fri", "sat"}};

absl::Status BadField(const Field& field, std::string_view text) {
  return absl::InvalidArgumentError(absl::StrCat("cron field ", field.name, " is '", text, "'; allowed: *, ", field.low,
                                                 " to ", field.high, field.names.empty() ? "" : ", names",
                                                 ", a-b, */n, a-b/n, and lists of these"));
}

bool ParseValue(const Field& field, std::string_view text, int* value) {
  const std::string lower = absl::AsciiStrToLower(text);
  for (size_t i = 0; i < field.names.size(); ++i) {
    if (field.names[i] == lower) {
      *value = field.low + static_cast<int>(i);
      return true;
    }
  }
  return absl::SimpleAtoi(lower, value) && *value >= field.low && *value <= field.high;
}

template <size_t size>
absl::Status ParsePart(const Field& field, std::string_view part, std::bitset<size>* bits) {
  const std::vector<std::string> by_step = absl::StrSplit(part, '/');
  int step = 1;
  if (by_step.size() > 2 || (by_step.size() == 2 && (!absl::SimpleAtoi(by_step[1], &step) || step < 1))) {
    return BadField(field, part);
  }
  int low = field.low, high = field.high;
  if (by_step[0] != "*" && by_step[0] != "?") {
    const std::vector<std::string> ends = absl::StrSplit(by_step[0], '-');
    if (ends.size() > 2 || !ParseValue(field, ends[0], &low)) return BadField(field, part);
    // "5/15" means from 5 to the end.
    if (ends.size() == 1) high = by_step.size() == 2 ? field.high : low;
    if (ends.size() == 2 && (!ParseValue(field, ends[1], &high) || high < low)) return BadField(field, part);
  }
  // A step may be as large as an int.
  for (int64_t value = low; value <= high; value += step) bits->set(static_cast<size_t>(value) % size);
  return absl::OkStatus();
}

template <size_t size>
absl::Status ParseField(const Field& field, std::string_view text, std::bitset<size>* bits) {
  for (const absl::string_view part : absl::StrSplit(text, ',')) {
    RETURN_IF_ERROR(ParsePart(field, std::string_view(part), bits));
  }
  return absl::OkStatus();
}

bool IsAny(std::string_view text) {
  return text.starts_with("*") || text.starts_with("?");
}

std::string_view Expand(std::string_view text) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 8> kShort{{
      {"@yearly", "0 0 0 1 1 *"},
      {"@annually", "0 0 0 1 1 *"},
      {"@monthly", "0 0 0 1 * *"},
      {"@weekly", "0 0 0 * * 0"},
      {"@daily", "0 0 0 * * *"},
      {"@midnight", "0 0 0 * * *"},
      {"@hourly", "0 0 * * * *"},
      {"@minutely", "0 * * * * *"},
  }};
  for (const auto& [name, expression] : kShort) {
    if (text == name) return expression;
  }
  return text;
}

// The library takes a path for a zone as well, and a client that may queue work may not make the server read any file.
bool IsZoneName(std::string_view name) {
  return name.size() <= 64 && absl::ascii_isalpha(name[0]) && name.find("..") == name.npos &&
         std::all_of(name.begin(), name.end(),
                     [](char c) { return absl::ascii_isalnum(c) || c == '/' || c == '_' || c == '-' || c == '+'; });
}

template <size_t size>
int FirstFrom(const std::bitset<size>& bits, int from) {
  for (int value = from; value < static_cast<int>(size); ++value) {
    if (bits.test(value)) return value;
  }
  return -1;
}

}  // namespace

absl::StatusOr<CronSchedule> CronSchedule::Parse(std::string_view text, const std::string& time_zone) {
  CronSchedule schedule;
  schedule.time_zone_ = time_zone;
  text = absl::StripAsciiWhitespace(text);
  if (text.starts_with("CRON_TZ=") || text.starts_with("TZ=")) {
    const size_t end = std::min(text.find(' '), text.size());
    const size_t begin = text.find('=') + 1;
    if (time_zone.empty()) schedule.time_zone_ = std::string(text.substr(begin, end - begin));
    text = absl::StripAsciiWhitespace(text.substr(end));
  }
  if (!schedule.time_zone_.empty() &&
      (!IsZoneName(schedule.time_zone_) || !absl::LoadTimeZone(schedule.time_zone_, &schedule.zone_))) {
    return absl::InvalidArgumentError(
        absl::StrCat("the time zone '", schedule.time_zone_, "' is not known; allowed: names like Europe/Berlin"));
  }
  schedule.expression_ = std::string(text);
  if (text.starts_with("@every ")) {
    const auto every = ParseDuration(std::string(absl::StripAsciiWhitespace(text.substr(7))));
    if (!every.ok() || *every < absl::Seconds(1)) {
      return absl::InvalidArgumentError(absl::StrCat("got '", text, "'; allowed: @every with 1s or more, like 5m"));
    }
    schedule.every_ = absl::Trunc(*every, absl::Seconds(1));
    return schedule;
  }
  std::vector<std::string> fields = absl::StrSplit(Expand(text), ' ', absl::SkipWhitespace());
  if (fields.size() == 5) fields.insert(fields.begin(), "0");
  if (fields.size() != 6) {
    return absl::InvalidArgumentError(absl::StrCat("the schedule '", text, "' has ", fields.size(),
                                                   " fields; allowed: six (second minute hour day month weekday), five "
                                                   "without the second, @hourly, @daily, @every 5m"));
  }
  RETURN_IF_ERROR(ParseField(kSecond, fields[0], &schedule.seconds_));
  RETURN_IF_ERROR(ParseField(kMinute, fields[1], &schedule.minutes_));
  RETURN_IF_ERROR(ParseField(kHour, fields[2], &schedule.hours_));
  RETURN_IF_ERROR(ParseField(kDay, fields[3], &schedule.days_));
  RETURN_IF_ERROR(ParseField(kMonth, fields[4], &schedule.months_));
  RETURN_IF_ERROR(ParseField(kWeekday, fields[5], &schedule.weekdays_));
  schedule.any_day_ = IsAny(fields[3]);
  schedule.any_weekday_ = IsAny(fields[5]);
  return schedule;
}

bool CronSchedule::MatchesDay(const absl::CivilDay& day) const {
  if (!months_.test(day.month())) return false;
  // absl counts from Monday = 0.
  const bool weekday = weekdays_.test((static_cast<int>(absl::GetWeekday(day)) + 1) % 7);
  const bool of_month = days_.test(day.day());
  return any_day_ || any_weekday_ ? weekday && of_month : weekday || of_month;
}

absl::Time CronSchedule::Next(absl::Time time) const {
  if (every_ > absl::ZeroDuration()) {
    // On a grid since 1970, so that all replicas fire together.
    const int64_t step = absl::ToInt64Seconds(every_);
    return absl::FromUnixSeconds((absl::ToUnixSeconds(time) / step + 1) * step);
  }
  const absl::CivilSecond from = absl::ToCivilSecond(time, zone_) + 1;
  absl::CivilDay day(from);
  for (int days = 0; days <= kMaxDays; ++days, ++day) {
    if (!MatchesDay(day)) continue;
    const bool first = days == 0;
    for (int hour = FirstFrom(hours_, first ? from.hour() : 0); hour >= 0; hour = FirstFrom(hours_, hour + 1)) {
      const bool first_hour = first && hour == from.hour();
      for (int minute = FirstFrom(minutes_, first_hour ? from.minute() : 0); minute >= 0;
           minute = FirstFrom(minutes_, minute + 1)) {
        const bool first_minute = first_hour && minute == from.minute();
        for (int second = FirstFrom(seconds_, first_minute ? from.second() : 0); second >= 0;
             second = FirstFrom(seconds_, second + 1)) {
          const absl::CivilSecond wall(day.year(), day.month(), day.day(), hour, minute, second);
          const absl::TimeZone::TimeInfo info = zone_.At(wall);
          if (info.kind == absl::TimeZone::TimeInfo::SKIPPED) break;  // the whole minute is
          if (info.pre > time) return info.pre;
        }
      }
    }
  }
  return absl::InfiniteFuture();
}

}  // namespace wallaby
