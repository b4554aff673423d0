// The proleptic Gregorian calendar that PostgreSQL uses, in plain arithmetic. Year 0 is 1 BC. For this room's .cc
// files.
#ifndef WALLABY_CHANGE_CALENDAR_H_
#define WALLABY_CHANGE_CALENDAR_H_

#include <cstdint>

namespace wallaby {

inline constexpr int64_t kMicrosPerSecond = 1'000'000;
inline constexpr int64_t kMicrosPerDay = 86'400 * kMicrosPerSecond;
// From 1970-01-01 to 2000-01-01, where PostgreSQL's binary dates and timestamps begin.
inline constexpr int32_t kEpochDays = 10'957;
inline constexpr int64_t kEpochMicros = kEpochDays * kMicrosPerDay;

struct CivilDate {
  int64_t year;
  int month;
  int day;
};

// Both count in years that begin in March, so that the leap day is the last day of a year, and in eras of 400 years,
// which all have 146,097 days. Day 0 is 1970-01-01.
constexpr int64_t DaysFromCivil(int64_t year, int month, int day) {
  year -= month <= 2;
  const int64_t era = (year >= 0 ? year : year - 399) / 400;
  const int64_t year_of_era = year - era * 400;
  const int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  const int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return era * 146'097 + day_of_era - 719'468;
}

constexpr CivilDate CivilFromDays(int64_t days) {
  days += 719'468;
  const int64_t era = (days >= 0 ? days : days - 146'096) / 146'097;
  const int64_t day_of_era = days - era * 146'097;
  const int64_t year_of_era = (day_of_era - day_of_era / 1'460 + day_of_era / 36'524 - day_of_era / 146'096) / 365;
  const int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const int64_t shifted_month = (5 * day_of_year + 2) / 153;
  const int month = static_cast<int>(shifted_month < 10 ? shifted_month + 3 : shifted_month - 9);
  return {year_of_era + era * 400 + (month <= 2), month,
          static_cast<int>(day_of_year - (153 * shifted_month + 2) / 5 + 1)};
}

constexpr int DaysInMonth(int64_t year, int month) {
  constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  return month == 2 && leap ? 29 : kDays[month - 1];
}

}  // namespace wallaby

#endif  // WALLABY_CHANGE_CALENDAR_H_
