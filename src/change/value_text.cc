// Text of values that came in binary form: what the typoutput functions of PostgreSQL print.
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include "absl/numeric/bits.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "change/calendar.h"
#include "change/value.h"

namespace wallaby {
namespace {

using Uint128 = unsigned __int128;

// What the bytes of a binary value are. By OID for built-in types, so that a column which a user asked to carry as text
// (type_mappings) is still read right; by logical type for domains and enums.
enum class Form : uint8_t {
  kNone,
  kText,
  kJsonb,
  kBool,
  kInt2,
  kInt4,
  kInt8,
  kOid,
  kFloat4,
  kFloat8,
  kNumeric,
  kBytea,
  kDate,
  kTime,
  kTimestamp,
  kTimestampTz,
  kUuid
};

Form FormOfLogical(LogicalType logical) {
  switch (logical) {
    case LogicalType::kText:
      return Form::kText;
    case LogicalType::kBool:
      return Form::kBool;
    case LogicalType::kInt16:
      return Form::kInt2;
    case LogicalType::kInt32:
      return Form::kInt4;
    case LogicalType::kInt64:
      return Form::kInt8;
    case LogicalType::kUInt32:
      return Form::kOid;
    case LogicalType::kFloat32:
      return Form::kFloat4;
    case LogicalType::kFloat64:
      return Form::kFloat8;
    case LogicalType::kDecimal:
      return Form::kNumeric;
    case LogicalType::kBytes:
      return Form::kBytea;
    case LogicalType::kDate:
      return Form::kDate;
    case LogicalType::kTime:
      return Form::kTime;
    case LogicalType::kTimestamp:
      return Form::kTimestamp;
    case LogicalType::kTimestampTz:
      return Form::kTimestampTz;
    case LogicalType::kUuid:
      return Form::kUuid;
    case LogicalType::kJson:
      return Form::kNone;  // json or jsonb: only the OID tells
  }
  return Form::kNone;
}

Form FormOf(const PgType& type) {
  switch (type.oid) {
    case 16:
      return Form::kBool;
    case 17:
      return Form::kBytea;
    case 19:
    case 25:
    case 114:
    case 1042:
    case 1043:
      return Form::kText;
    case 20:
      return Form::kInt8;
    case 21:
      return Form::kInt2;
    case 23:
      return Form::kInt4;
    case 26:
      return Form::kOid;
    case 700:
      return Form::kFloat4;
    case 701:
      return Form::kFloat8;
    case 1082:
      return Form::kDate;
    case 1083:
      return Form::kTime;
    case 1114:
      return Form::kTimestamp;
    case 1184:
      return Form::kTimestampTz;
    case 1700:
      return Form::kNumeric;
    case 2950:
      return Form::kUuid;
    case 3802:
      return Form::kJsonb;
    default:
      return IsBuiltinOid(type.oid) ? Form::kNone : FormOfLogical(type.logical);
  }
}

// ---- dates and times ----

char* PutTwo(char* p, int64_t value) {
  p[0] = static_cast<char>('0' + value / 10);
  p[1] = static_cast<char>('0' + value % 10);
  return p + 2;
}

// "2024-05-01"; the year has at least four digits. "BC" is the caller's. Needs 17 bytes.
char* PutDate(char* p, const CivilDate& date) {
  const int64_t year = date.year > 0 ? date.year : 1 - date.year;
  if (year > 9999) {
    p = std::to_chars(p, p + 10, year).ptr;
  } else {
    p = PutTwo(PutTwo(p, year / 100), year % 100);
  }
  *p++ = '-';
  p = PutTwo(p, date.month);
  *p++ = '-';
  return PutTwo(p, date.day);
}

// "12:34:56.789", the fraction without its last zeros. Needs 15 bytes.
char* PutTime(char* p, int64_t micros) {
  const int64_t seconds = micros / kMicrosPerSecond;
  int64_t fraction = micros % kMicrosPerSecond;
  p = PutTwo(p, seconds / 3600);
  *p++ = ':';
  p = PutTwo(p, seconds / 60 % 60);
  *p++ = ':';
  p = PutTwo(p, seconds % 60);
  if (fraction == 0) return p;
  *p++ = '.';
  for (int64_t unit = kMicrosPerSecond / 10; fraction != 0; unit /= 10) {
    *p++ = static_cast<char>('0' + fraction / unit);
    fraction %= unit;
  }
  return p;
}

void AppendDate(int32_t days, std::string* out) {
  if (days == std::numeric_limits<int32_t>::max()) return void(out->append("infinity"));
  if (days == std::numeric_limits<int32_t>::min()) return void(out->append("-infinity"));
  const CivilDate date = CivilFromDays(int64_t{days} + kEpochDays);
  char buffer[24];
  out->append(buffer, PutDate(buffer, date));
  if (date.year <= 0) out->append(" BC");
}

void AppendTimestamp(int64_t micros, bool with_zone, std::string* out) {
  if (micros == std::numeric_limits<int64_t>::max()) return void(out->append("infinity"));
  if (micros == std::numeric_limits<int64_t>::min()) return void(out->append("-infinity"));
  int64_t days = micros / kMicrosPerDay;
  int64_t time = micros % kMicrosPerDay;
  if (time < 0) {
    time += kMicrosPerDay;
    --days;
  }
  const CivilDate date = CivilFromDays(days + kEpochDays);
  char buffer[48];
  char* p = PutDate(buffer, date);
  *p++ = ' ';
  p = PutTime(p, time);
  out->append(buffer, p);
  if (with_zone) out->append("+00");
  if (date.year <= 0) out->append(" BC");
}

// ---- floats ----
//
// PostgreSQL prints the shortest decimal that reads back as the same number. Unlike std::to_chars it never takes one
// that lies exactly half-way to a neighbour (which would still read back right when the mantissa is even), and it
// writes exponents for other sizes than %g does.

template <typename Float>
struct Bits;
template <>
struct Bits<double> {
  using Int = uint64_t;
  static constexpr int kMantissa = 52, kBias = 1075, kExponents = 2047, kFixedBelow = 15, kMaxDigits = 17;
};
template <>
struct Bits<float> {
  using Int = uint32_t;
  static constexpr int kMantissa = 23, kBias = 150, kExponents = 255, kFixedBelow = 6, kMaxDigits = 9;
};

struct Decimal {
  char digits[20];
  int count = 0;
  int exponent = 0;  // of the first digit

  // Out of to_chars' scientific form "d.ddde+XX"; takes zeros off the end.
  void Parse(const char* p, const char* end) {
    count = 0;
    for (; p != end && *p != 'e'; ++p) {
      if (*p != '.') digits[count++] = *p;
    }
    while (count > 1 && digits[count - 1] == '0') --count;
    ++p;
    if (p != end && *p == '+') ++p;
    std::from_chars(p, end, exponent);
  }
};

// Whether d equals `odd` * 2^shift with shift >= 0. Halves between floats are such numbers; below 2^53 (2^24 for float)
// they have more digits than a shortest decimal can have.
bool Equals(const Decimal& d, Uint128 odd, int shift) {
  const int power = d.exponent - d.count + 1;  // d = digits * 10^power
  if (power < 0 || power > 23) return false;   // 5^24 does not divide a number of 55 bits
  uint64_t number = 0;
  std::from_chars(d.digits, d.digits + d.count, number);
  Uint128 left = number;
  for (int i = 0; i < power; ++i) left *= 5;
  const int rest = shift - power;  // left * 2^power == odd * 2^shift
  if (rest >= 0) return rest < 72 && left == odd << rest;
  return left << -rest == odd && -rest < 16;
}

template <typename Float>
bool HalfWay(const Decimal& d, Float value) {
  using B = Bits<Float>;
  const auto bits = absl::bit_cast<typename B::Int>(value);
  const auto fraction = bits & ((typename B::Int{1} << B::kMantissa) - 1);
  const int raw = static_cast<int>(bits >> B::kMantissa) & B::kExponents;
  const int exponent = raw - B::kBias;
  if (raw == 0 || exponent < 1 || (fraction & 1) != 0) return false;
  const Uint128 mantissa = fraction | typename B::Int{1} << B::kMantissa;
  // Below a power of two the neighbour is nearer.
  return Equals(d, 2 * mantissa + 1, exponent - 1) || Equals(d, 2 * mantissa - 1, exponent - 1) ||
         (fraction == 0 && exponent > 1 && Equals(d, 4 * mantissa - 1, exponent - 2));
}

template <typename Float>
void AppendFloat(Float value, std::string* out) {
  if (std::isnan(value)) return void(out->append("NaN"));
  if (std::signbit(value)) {
    out->push_back('-');
    value = -value;
  }
  if (std::isinf(value)) return void(out->append("Infinity"));
  if (value == 0) return void(out->push_back('0'));

  char text[32];
  Decimal d;
  d.Parse(text, std::to_chars(text, std::end(text), value, std::chars_format::scientific).ptr);
  if (HalfWay(d, value)) {
    for (int digits = d.count + 1; digits <= Bits<Float>::kMaxDigits; ++digits) {
      const char* end = std::to_chars(text, std::end(text), value, std::chars_format::scientific, digits - 1).ptr;
      Float back = 0;
      std::from_chars(text, end, back);
      d.Parse(text, end);
      if (back == value && !HalfWay(d, value)) break;
    }
  }

  char buffer[40];
  char* p = buffer;
  if (d.exponent < -4 || d.exponent >= Bits<Float>::kFixedBelow) {
    *p++ = d.digits[0];
    if (d.count > 1) {
      *p++ = '.';
      p = std::copy(d.digits + 1, d.digits + d.count, p);
    }
    *p++ = 'e';
    *p++ = d.exponent < 0 ? '-' : '+';
    const int exponent = std::abs(d.exponent);
    if (exponent >= 100) *p++ = static_cast<char>('0' + exponent / 100);
    p = PutTwo(p, exponent % 100);
  } else if (d.exponent < 0) {
    *p++ = '0';
    *p++ = '.';
    for (int i = -1; i > d.exponent; --i) *p++ = '0';
    p = std::copy(d.digits, d.digits + d.count, p);
  } else {
    for (int i = 0; i < d.count || i <= d.exponent; ++i) {
      if (i == d.exponent + 1) *p++ = '.';
      *p++ = i < d.count ? d.digits[i] : '0';
    }
  }
  out->append(buffer, p);
}

// ---- numeric ----

// False when the bytes are not a numeric.
bool AppendNumeric(std::string_view bytes, std::string* out) {
  if (bytes.size() < 8) return false;
  const char* digits = bytes.data() + 8;
  const int count = ReadBigEndian16(bytes.data());
  const int weight = static_cast<int16_t>(ReadBigEndian16(bytes.data() + 2));
  const uint16_t sign = ReadBigEndian16(bytes.data() + 4);
  const int scale = ReadBigEndian16(bytes.data() + 6);
  if (bytes.size() != 8 + size_t{2} * static_cast<size_t>(count)) return false;
  if (sign == 0xC000) return out->append("NaN"), true;
  if (sign == 0xD000) return out->append("Infinity"), true;
  if (sign == 0xF000) return out->append("-Infinity"), true;
  if ((sign != 0 && sign != 0x4000) || scale > 0x3fff) return false;

  const size_t start = out->size();
  const auto group = [&](int i) -> int { return i >= 0 && i < count ? ReadBigEndian16(digits + 2 * i) : 0; };
  // Room for the longest form: sign, whole groups, point, the fraction's groups.
  out->resize(start + 8 + 4 * static_cast<size_t>(weight < 0 ? 0 : weight) + static_cast<size_t>(scale) + 4);
  char* p = out->data() + start;
  const auto put_group = [&p](int value) {
    p[0] = static_cast<char>('0' + value / 1000);
    p[1] = static_cast<char>('0' + value / 100 % 10);
    p[2] = static_cast<char>('0' + value / 10 % 10);
    p[3] = static_cast<char>('0' + value % 10);
    p += 4;
  };
  if (sign == 0x4000) *p++ = '-';
  int i = 0;
  bool valid = true;
  if (weight < 0) {
    *p++ = '0';
    i = weight + 1;
  } else {
    p = std::to_chars(p, p + 6, group(0)).ptr;
    for (i = 1; i <= weight; ++i) {
      valid &= group(i) <= 9999;
      put_group(group(i) % 10000);
    }
    valid &= group(0) <= 9999;
  }
  if (scale > 0) {
    *p++ = '.';
    char* const end = p + scale;
    while (p < end) {
      valid &= group(i) <= 9999;
      put_group(group(i) % 10000);
      ++i;
    }
    while (p > end) valid &= *--p == '0';
  }
  // Digits that the scale does not show: no server sends such, and printing the rest would change the number.
  for (; i < count; ++i) valid &= group(i) == 0;
  out->resize(valid ? static_cast<size_t>(p - out->data()) : start);
  return valid;
}

// ---- the rest ----

void AppendHex(std::string_view bytes, std::string* out) {
  static constexpr char kDigits[] = "0123456789abcdef";
  const size_t start = out->size();
  out->resize(start + bytes.size() * 2);
  char* p = out->data() + start;
  for (const char byte : bytes) {
    *p++ = kDigits[static_cast<unsigned char>(byte) >> 4];
    *p++ = kDigits[static_cast<unsigned char>(byte) & 15];
  }
}

void AppendInt(int64_t value, std::string* out) {
  char buffer[24];
  out->append(buffer, std::to_chars(buffer, std::end(buffer), value).ptr);
}

// False when the bytes are not of this form.
bool AppendBinary(Form form, std::string_view bytes, std::string* out) {
  const char* p = bytes.data();
  const size_t size = bytes.size();
  switch (form) {
    case Form::kNone:
      return false;
    case Form::kText:
      return out->append(bytes), true;
    case Form::kJsonb:
      if (size == 0 || p[0] != 1) return false;
      return out->append(bytes.substr(1)), true;
    case Form::kBool:
      return size == 1 && (p[0] == 0 || p[0] == 1) && (out->push_back(p[0] == 1 ? 't' : 'f'), true);
    case Form::kInt2:
      return size == 2 && (AppendInt(static_cast<int16_t>(ReadBigEndian16(p)), out), true);
    case Form::kInt4:
      return size == 4 && (AppendInt(static_cast<int32_t>(ReadBigEndian32(p)), out), true);
    case Form::kInt8:
      return size == 8 && (AppendInt(static_cast<int64_t>(ReadBigEndian64(p)), out), true);
    case Form::kOid:
      return size == 4 && (AppendInt(ReadBigEndian32(p), out), true);
    case Form::kFloat4:
      return size == 4 && (AppendFloat(absl::bit_cast<float>(ReadBigEndian32(p)), out), true);
    case Form::kFloat8:
      return size == 8 && (AppendFloat(absl::bit_cast<double>(ReadBigEndian64(p)), out), true);
    case Form::kNumeric:
      return AppendNumeric(bytes, out);
    case Form::kBytea:
      return out->append("\\x"), AppendHex(bytes, out), true;
    case Form::kDate:
      return size == 4 && (AppendDate(static_cast<int32_t>(ReadBigEndian32(p)), out), true);
    case Form::kTime: {
      if (size != 8) return false;
      const auto micros = static_cast<int64_t>(ReadBigEndian64(p));
      if (micros < 0 || micros > kMicrosPerDay) return false;
      char buffer[24];
      return out->append(buffer, PutTime(buffer, micros)), true;
    }
    case Form::kTimestamp:
    case Form::kTimestampTz:
      return size == 8 &&
             (AppendTimestamp(static_cast<int64_t>(ReadBigEndian64(p)), form == Form::kTimestampTz, out), true);
    case Form::kUuid: {
      if (size != 16) return false;
      static constexpr size_t kParts[][2] = {{0, 4}, {4, 2}, {6, 2}, {8, 2}, {10, 6}};
      for (const auto& [from, length] : kParts) {
        if (from != 0) out->push_back('-');
        AppendHex(bytes.substr(from, length), out);
      }
      return true;
    }
  }
  return false;
}

[[gnu::cold]] [[gnu::noinline]] absl::Status Refuse(const Field& field, const PgType& type) {
  const std::string name = type.source_name.empty() ? type.sql_name : type.source_name;
  if (field.kind != FieldKind::kBinary) {
    return absl::InternalError(
        absl::StrCat("asked for the text of a ", name, ", but the field is ", field.is_null() ? "null" : "absent"));
  }
  return absl::InvalidArgumentError(absl::StrCat("binary value \\x", absl::BytesToHexString(field.bytes.substr(0, 32)),
                                                 field.bytes.size() > 32 ? "..." : "", " is not a ", name,
                                                 " that this version reads"));
}

}  // namespace

absl::Status ReadText(const Field& field, const PgType& type, std::string* scratch, std::string_view* out) {
  if (field.kind == FieldKind::kText) return *out = field.bytes, absl::OkStatus();
  if (field.kind != FieldKind::kBinary) return Refuse(field, type);
  const Form form = FormOf(type);
  if (form == Form::kText) return *out = field.bytes, absl::OkStatus();
  if (form == Form::kJsonb && !field.bytes.empty() && field.bytes[0] == 1) {
    return *out = field.bytes.substr(1), absl::OkStatus();
  }
  scratch->clear();
  if (!AppendBinary(form, field.bytes, scratch)) return Refuse(field, type);
  *out = *scratch;
  return absl::OkStatus();
}

absl::Status AppendText(const Field& field, const PgType& type, std::string* out) {
  if (field.kind == FieldKind::kText) return out->append(field.bytes), absl::OkStatus();
  if (field.kind != FieldKind::kBinary || !AppendBinary(FormOf(type), field.bytes, out)) {
    return Refuse(field, type);
  }
  return absl::OkStatus();
}

}  // namespace wallaby
