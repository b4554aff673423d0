#include "change/value.h"

#include <array>
#include <charconv>
#include <cstring>
#include <limits>

#include "absl/numeric/bits.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "change/calendar.h"

namespace wallaby {
namespace {

using Uint128 = unsigned __int128;

// ---- refusals; out of line, for they should not happen ----

std::string Shown(const Field& field) {
  switch (field.kind) {
    case FieldKind::kNull:
      return "null";
    case FieldKind::kUnchanged:
      return "an unchanged value that was not sent";
    case FieldKind::kText:
      return absl::StrCat("'", absl::CEscape(field.bytes.substr(0, 64)), "'");
    case FieldKind::kBinary:
      return absl::StrCat("binary value \\x", absl::BytesToHexString(field.bytes.substr(0, 32)),
                          field.bytes.size() > 32 ? "..." : "");
  }
  return "a field of unknown form";
}

[[gnu::cold]] [[gnu::noinline]] absl::Status NotA(const char* what, const Field& field) {
  if (field.is_null() || field.is_absent()) {
    return absl::InternalError(absl::StrCat("asked for ", what, ", but the field is ", Shown(field)));
  }
  return absl::InvalidArgumentError(absl::StrCat(Shown(field), " is not ", what));
}

[[gnu::cold]] [[gnu::noinline]] absl::Status DoesNotFit(const char* what, const Field& field) {
  return absl::OutOfRangeError(absl::StrCat(Shown(field), " does not fit ", what));
}

// ---- pieces of text ----

bool IsDigit(char c) {
  return static_cast<unsigned char>(c - '0') < 10;
}

// Exactly `n` digits at *p; moves *p.
bool TakeDigits(const char** p, const char* end, int n, int* out) {
  if (end - *p < n) return false;
  int value = 0;
  for (int i = 0; i < n; ++i) {
    const char c = (*p)[i];
    if (!IsDigit(c)) return false;
    value = value * 10 + (c - '0');
  }
  *p += n;
  *out = value;
  return true;
}

bool TakeChar(const char** p, const char* end, char c) {
  if (*p == end || **p != c) return false;
  ++*p;
  return true;
}

// Year of four digits or more, month, day.
bool TakeDate(const char** p, const char* end, CivilDate* out) {
  const char* start = *p;
  int64_t year = 0;
  while (*p != end && IsDigit(**p) && *p - start < 9) year = year * 10 + (*(*p)++ - '0');
  if (*p - start < 4) return false;
  out->year = year;
  return TakeChar(p, end, '-') && TakeDigits(p, end, 2, &out->month) && TakeChar(p, end, '-') &&
         TakeDigits(p, end, 2, &out->day);
}

// Takes " BC" off the end of a date that was read up to `p`, and makes days of it.
bool FinishDate(const char* p, const char* end, CivilDate date, int64_t* days) {
  if (end - p == 3 && std::memcmp(p, " BC", 3) == 0) {
    date.year = 1 - date.year;
    p = end;
  }
  if (p != end || date.month < 1 || date.month > 12 || date.day < 1 || date.day > DaysInMonth(date.year, date.month)) {
    return false;
  }
  *days = DaysFromCivil(date.year, date.month, date.day);
  return true;
}

// "12:34:56" with up to six digits of fraction.
bool TakeTime(const char** p, const char* end, int64_t* micros) {
  int hour, minute, second;
  if (!TakeDigits(p, end, 2, &hour) || !TakeChar(p, end, ':') || !TakeDigits(p, end, 2, &minute) ||
      !TakeChar(p, end, ':') || !TakeDigits(p, end, 2, &second)) {
    return false;
  }
  int fraction = 0;
  if (TakeChar(p, end, '.')) {
    int digits = 0;
    for (; *p != end && IsDigit(**p) && digits < 6; ++digits) fraction = fraction * 10 + (*(*p)++ - '0');
    if (digits == 0) return false;
    for (; digits < 6; ++digits) fraction *= 10;
  }
  if (hour > 24 || minute > 59 || second > 60) return false;
  *micros = (hour * 3600 + minute * 60 + second) * kMicrosPerSecond + fraction;
  return *micros <= kMicrosPerDay;
}

// -1 for what is no hexadecimal digit.
constexpr std::array<int8_t, 256> kHexDigits = [] {
  std::array<int8_t, 256> digits{};
  digits.fill(-1);
  for (int i = 0; i < 10; ++i) digits['0' + i] = static_cast<int8_t>(i);
  for (int i = 0; i < 6; ++i) digits['a' + i] = digits['A' + i] = static_cast<int8_t>(10 + i);
  return digits;
}();

int HexDigit(char c) {
  return kHexDigits[static_cast<unsigned char>(c)];
}

template <typename Float>
bool ParseFloat(std::string_view text, Float* out) {
  if (text == "NaN") return *out = std::numeric_limits<Float>::quiet_NaN(), true;
  if (text == "Infinity") return *out = std::numeric_limits<Float>::infinity(), true;
  if (text == "-Infinity") return *out = -std::numeric_limits<Float>::infinity(), true;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, *out);
  return error == std::errc() && stop == end;
}

// ---- decimals ----

constexpr struct PowersOfTen {
  Uint128 at[39] = {1};
  constexpr PowersOfTen() {
    for (int i = 1; i < 39; ++i) at[i] = at[i - 1] * 10;
  }
} kPowersOfTen;

enum class Fit { kYes, kTooLong, kMalformed };

// *acc = *acc * 10^digits + add, kept below 10^38.
bool Push(Uint128* acc, int digits, uint32_t add) {
  const Uint128 limit = kPowersOfTen.at[38];
  const Uint128 factor = kPowersOfTen.at[digits];
  if (*acc >= limit / factor) {  // never true for ordinary numbers, so the division does not cost
    if (*acc > (limit - 1 - add) / factor) return false;
  }
  *acc = *acc * factor + add;
  return true;
}

Fit DecimalFromText(std::string_view text, int scale, Uint128* magnitude, bool* negative) {
  const char* p = text.data();
  const char* end = p + text.size();
  *negative = TakeChar(&p, end, '-');
  Uint128 acc = 0;
  uint64_t low = 0;  // up to 18 digits that are not yet in acc
  int pending = 0;
  int left = scale;  // digits of the fraction still to come
  bool point = false, any = false;
  for (; p != end; ++p) {
    if (*p == '.' && !point) {
      point = true;
      continue;
    }
    if (!IsDigit(*p))
      return text == "NaN" || text == "Infinity" || text == "-Infinity" ? Fit::kTooLong : Fit::kMalformed;
    any = true;
    if (point && left-- <= 0) {
      if (*p != '0') return Fit::kTooLong;
      left = 0;
      continue;
    }
    low = low * 10 + static_cast<uint64_t>(*p - '0');
    if (++pending == 9) {
      if (!Push(&acc, 9, static_cast<uint32_t>(low))) return Fit::kTooLong;
      low = 0;
      pending = 0;
    }
  }
  if (!any) return Fit::kMalformed;
  if (!Push(&acc, pending, static_cast<uint32_t>(low))) return Fit::kTooLong;
  while (left > 0) {
    const int step = left < 9 ? left : 9;
    if (!Push(&acc, step, 0)) return Fit::kTooLong;
    left -= step;
  }
  *magnitude = acc;
  return Fit::kYes;
}

// Whether the display scale shows all digits, as it does in every number that a server sends.
bool ScaleShowsAll(const char* digits, int count, int weight, int scale) {
  while (count > 0 && ReadBigEndian16(digits + 2 * (count - 1)) == 0) --count;
  const int beyond = 4 * (count - 1 - weight) - scale;
  if (count == 0 || beyond <= 0) return true;
  return beyond < 4 && ReadBigEndian16(digits + 2 * (count - 1)) % static_cast<uint32_t>(kPowersOfTen.at[beyond]) == 0;
}

// numeric_send: count of base 10,000 digits, weight of the first, sign, display scale, the digits; 16 bits each.
Fit DecimalFromBinary(std::string_view bytes, int scale, Uint128* magnitude, bool* negative) {
  if (bytes.size() < 8) return Fit::kMalformed;
  const char* p = bytes.data();
  const int count = ReadBigEndian16(p);
  const int weight = static_cast<int16_t>(ReadBigEndian16(p + 2));
  const uint16_t sign = ReadBigEndian16(p + 4);
  if (bytes.size() != 8 + size_t{2} * static_cast<size_t>(count)) return Fit::kMalformed;
  if (sign == 0xC000 || sign == 0xD000 || sign == 0xF000) return Fit::kTooLong;
  const int shown = ReadBigEndian16(p + 6);
  if ((sign != 0 && sign != 0x4000) || shown > 0x3fff || !ScaleShowsAll(p + 8, count, weight, shown)) {
    return Fit::kMalformed;
  }
  *negative = sign == 0x4000;
  p += 8;
  // The last group that counts, and how many of its four digits are beyond the scale.
  const int last_group = -((scale + 3) / 4);
  const int beyond = -last_group * 4 - scale;
  const auto cut = static_cast<uint32_t>(kPowersOfTen.at[beyond]);
  Uint128 acc = 0;
  for (int i = 0; i < count || weight - i >= last_group; ++i) {
    const uint32_t digit = i < count ? ReadBigEndian16(p + 2 * i) : 0;
    if (digit > 9999) return Fit::kMalformed;
    const int group = weight - i;
    if (group < last_group) {
      if (digit != 0) return Fit::kTooLong;
    } else if (group > last_group || beyond == 0) {
      if (acc == 0 && digit == 0) continue;  // zero may have any weight
      if (!Push(&acc, 4, digit)) return Fit::kTooLong;
    } else {
      if (digit % cut != 0) return Fit::kTooLong;
      if (!Push(&acc, 4 - beyond, digit / cut)) return Fit::kTooLong;
    }
  }
  *magnitude = acc;
  return Fit::kYes;
}

}  // namespace

absl::Status ReadBool(const Field& field, bool* out) {
  if (field.bytes.size() == 1) {
    const char c = field.bytes[0];
    if (field.kind == FieldKind::kBinary && (c == 0 || c == 1)) return *out = c == 1, absl::OkStatus();
    if (field.kind == FieldKind::kText && (c == 't' || c == 'f')) {
      return *out = c == 't', absl::OkStatus();
    }
  } else if (field.kind == FieldKind::kText && (field.bytes == "true" || field.bytes == "false")) {
    return *out = field.bytes.size() == 4, absl::OkStatus();
  }
  return NotA("a boolean", field);
}

absl::Status ReadInt(const Field& field, int64_t* out) {
  const char* p = field.bytes.data();
  if (field.kind == FieldKind::kBinary) {
    switch (field.bytes.size()) {
      case 2:
        return *out = static_cast<int16_t>(ReadBigEndian16(p)), absl::OkStatus();
      case 4:
        return *out = static_cast<int32_t>(ReadBigEndian32(p)), absl::OkStatus();
      case 8:
        return *out = static_cast<int64_t>(ReadBigEndian64(p)), absl::OkStatus();
      default:
        break;
    }
  } else if (field.kind == FieldKind::kText) {
    const char* end = p + field.bytes.size();
    const auto [stop, error] = std::from_chars(p, end, *out);
    if (error == std::errc() && stop == end) return absl::OkStatus();
  }
  return NotA("an integer of 64 bits", field);
}

absl::Status ReadUint32(const Field& field, uint32_t* out) {
  if (field.kind == FieldKind::kBinary && field.bytes.size() == 4) {
    return *out = ReadBigEndian32(field.bytes.data()), absl::OkStatus();
  }
  if (field.kind == FieldKind::kText) {
    const char* end = field.bytes.data() + field.bytes.size();
    const auto [stop, error] = std::from_chars(field.bytes.data(), end, *out);
    if (error == std::errc() && stop == end) return absl::OkStatus();
  }
  return NotA("an unsigned integer of 32 bits", field);
}

absl::Status ReadFloat32(const Field& field, float* out) {
  if (field.kind == FieldKind::kBinary && field.bytes.size() == 4) {
    return *out = absl::bit_cast<float>(ReadBigEndian32(field.bytes.data())), absl::OkStatus();
  }
  if (field.kind == FieldKind::kText && ParseFloat(field.bytes, out)) return absl::OkStatus();
  return NotA("a real", field);
}

absl::Status ReadFloat64(const Field& field, double* out) {
  if (field.kind == FieldKind::kBinary && field.bytes.size() == 8) {
    return *out = absl::bit_cast<double>(ReadBigEndian64(field.bytes.data())), absl::OkStatus();
  }
  if (field.kind == FieldKind::kText && ParseFloat(field.bytes, out)) return absl::OkStatus();
  return NotA("a double precision number", field);
}

absl::Status ReadDecimal(const Field& field, const PgType& type, absl::int128* out) {
  Uint128 magnitude = 0;
  bool negative = false;
  Fit fit = Fit::kMalformed;
  if (field.kind == FieldKind::kBinary) {
    fit = DecimalFromBinary(field.bytes, type.scale, &magnitude, &negative);
  } else if (field.kind == FieldKind::kText) {
    fit = DecimalFromText(field.bytes, type.scale, &magnitude, &negative);
  }
  if (fit == Fit::kMalformed) return NotA("a numeric", field);
  if (fit == Fit::kTooLong || magnitude >= kPowersOfTen.at[type.precision]) {
    return DoesNotFit(absl::StrCat("numeric(", int{type.precision}, ",", int{type.scale}, ")").c_str(), field);
  }
  const auto value = static_cast<__int128>(magnitude);
  *out = negative ? -value : value;
  return absl::OkStatus();
}

absl::Status ReadDate(const Field& field, int32_t* days) {
  constexpr int32_t kMax = std::numeric_limits<int32_t>::max();
  if (field.kind == FieldKind::kBinary && field.bytes.size() == 4) {
    const auto raw = static_cast<int32_t>(ReadBigEndian32(field.bytes.data()));
    if (raw == kMax) return *days = kMax, absl::OkStatus();
    if (raw == std::numeric_limits<int32_t>::min()) return *days = -kMax, absl::OkStatus();
    if (raw >= kMax - kEpochDays) return DoesNotFit("a date of 32 bits", field);
    return *days = raw + kEpochDays, absl::OkStatus();
  }
  if (field.kind == FieldKind::kText) {
    if (field.bytes == "infinity") return *days = kMax, absl::OkStatus();
    if (field.bytes == "-infinity") return *days = -kMax, absl::OkStatus();
    const char* p = field.bytes.data();
    const char* end = p + field.bytes.size();
    CivilDate date;
    int64_t wide;
    if (TakeDate(&p, end, &date) && FinishDate(p, end, date, &wide)) {
      if (wide <= -kMax || wide >= kMax) return DoesNotFit("a date of 32 bits", field);
      return *days = static_cast<int32_t>(wide), absl::OkStatus();
    }
  }
  return NotA("a date", field);
}

absl::Status ReadTime(const Field& field, int64_t* micros) {
  if (field.kind == FieldKind::kBinary && field.bytes.size() == 8) {
    const auto raw = static_cast<int64_t>(ReadBigEndian64(field.bytes.data()));
    if (raw >= 0 && raw <= kMicrosPerDay) return *micros = raw, absl::OkStatus();
  } else if (field.kind == FieldKind::kText) {
    const char* p = field.bytes.data();
    const char* end = p + field.bytes.size();
    if (TakeTime(&p, end, micros) && p == end) return absl::OkStatus();
  }
  return NotA("a time", field);
}

absl::Status ReadTimestamp(const Field& field, int64_t* micros) {
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  constexpr const char* kRange = "a timestamp of 64 bits in microseconds since 1970";
  if (field.kind == FieldKind::kBinary && field.bytes.size() == 8) {
    const auto raw = static_cast<int64_t>(ReadBigEndian64(field.bytes.data()));
    if (raw == kMax) return *micros = kMax, absl::OkStatus();
    if (raw == std::numeric_limits<int64_t>::min()) return *micros = -kMax, absl::OkStatus();
    // PostgreSQL's own range goes 30 years further than what is left after the move to 1970.
    if (raw >= kMax - kEpochMicros) return DoesNotFit(kRange, field);
    return *micros = raw + kEpochMicros, absl::OkStatus();
  }
  if (field.kind == FieldKind::kText) {
    if (field.bytes == "infinity") return *micros = kMax, absl::OkStatus();
    if (field.bytes == "-infinity") return *micros = -kMax, absl::OkStatus();
    const char* p = field.bytes.data();
    const char* end = p + field.bytes.size();
    CivilDate date;
    int64_t time, days, result;
    if (TakeDate(&p, end, &date) && TakeChar(&p, end, ' ') && TakeTime(&p, end, &time)) {
      if (end - p >= 3 && std::memcmp(p, "+00", 3) == 0) p += 3;
      if (FinishDate(p, end, date, &days)) {
        if (__builtin_mul_overflow(days, kMicrosPerDay, &result) || __builtin_add_overflow(result, time, &result) ||
            result == kMax || result <= -kMax) {
          return DoesNotFit(kRange, field);
        }
        return *micros = result, absl::OkStatus();
      }
    }
  }
  return NotA("a timestamp without zone or with zone +00", field);
}

absl::Status ReadUuid(const Field& field, unsigned char out[16]) {
  if (field.kind == FieldKind::kBinary && field.bytes.size() == 16) {
    std::memcpy(out, field.bytes.data(), 16);
    return absl::OkStatus();
  }
  if (field.kind != FieldKind::kText || field.bytes.size() != 36) return NotA("a uuid", field);
  const char* p = field.bytes.data();
  for (int i = 0; i < 16; ++i) {
    if ((i == 4 || i == 6 || i == 8 || i == 10) && *p++ != '-') return NotA("a uuid", field);
    const int high = HexDigit(p[0]), low = HexDigit(p[1]);
    if ((high | low) < 0) return NotA("a uuid", field);
    out[i] = static_cast<unsigned char>(high << 4 | low);
    p += 2;
  }
  return absl::OkStatus();
}

absl::Status ReadBytes(const Field& field, std::string* scratch, std::string_view* out) {
  if (field.kind == FieldKind::kBinary) return *out = field.bytes, absl::OkStatus();
  const std::string_view text = field.bytes;
  if (field.kind != FieldKind::kText || text.size() % 2 != 0 || text.substr(0, 2) != "\\x") {
    return NotA("a bytea in hex form", field);
  }
  scratch->resize(text.size() / 2 - 1);
  const char* p = text.data() + 2;
  for (char& byte : *scratch) {
    const int high = HexDigit(p[0]), low = HexDigit(p[1]);
    if ((high | low) < 0) return NotA("a bytea in hex form", field);
    byte = static_cast<char>(high << 4 | low);
    p += 2;
  }
  *out = *scratch;
  return absl::OkStatus();
}

}  // namespace wallaby
