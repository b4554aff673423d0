#include "codec/debezium_value.h"

#include <charconv>
#include <cstring>
#include <limits>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status.h"
#include "change/value.h"
#include "codec/array_text.h"
#include "codec/decimal_bytes.h"
#include "codec/json_text.h"

namespace wallaby {
namespace {

constexpr std::string_view kUnavailable = "__debezium_unavailable_value";
// What the connector puts for infinite timestamps, in microseconds and milliseconds alike.
constexpr int64_t kInfinity = 9223372036825200000, kMinusInfinity = -9223372036832400000;

absl::Status NotA(std::string_view what, std::string_view text) {
  return absl::InvalidArgumentError(absl::StrCat("'", absl::CEscape(text.substr(0, 64)), "' is not ", what));
}

// ---- types ----

bool Fraction(const PgType& type, int most) {
  return type.typmod >= 0 && type.typmod <= most;
}

DebeziumKind KindOf(const PgType& type) {
  // Carried as text by type_mappings, or known to the source alone.
  if (type.sql_name == "text") return DebeziumKind::kPlain;
  switch (type.oid) {
    case 600:
      return DebeziumKind::kPoint;
    case 790:
      return DebeziumKind::kMoney;
    case 1082:
      return DebeziumKind::kDate;
    case 1083:
      return Fraction(type, 3) ? DebeziumKind::kMilliTime : DebeziumKind::kMicroTime;
    case 1114:
      return Fraction(type, 3) ? DebeziumKind::kMilliTimestamp : DebeziumKind::kMicroTimestamp;
    case 1184:
      return DebeziumKind::kZonedTimestamp;
    case 1186:
      return DebeziumKind::kMicroDuration;
    case 1266:
      return DebeziumKind::kZonedTime;
    case 1560:
      return type.typmod == 1 ? DebeziumKind::kBit : DebeziumKind::kBits;
    case 1562:
      return DebeziumKind::kBits;
    case 1700:
      return type.logical == LogicalType::kDecimal ? DebeziumKind::kDecimal : DebeziumKind::kAnyDecimal;
    default:
      return ElementType(type) ? DebeziumKind::kArray : DebeziumKind::kPlain;
  }
}

std::string Schema(std::string_view type, bool optional, std::string_view name = "", std::string_view parameters = "") {
  std::string out = absl::StrCat(R"("type":")", type, R"(","optional":)", optional ? "true" : "false");
  if (!name.empty()) absl::StrAppend(&out, R"(,"name":")", name, R"(","version":1)");
  if (!parameters.empty()) absl::StrAppend(&out, R"(,"parameters":{)", parameters, "}");
  return out;
}

std::string PlainSchema(const PgType& type, bool optional) {
  switch (type.logical) {
    case LogicalType::kBool:
      return Schema("boolean", optional);
    case LogicalType::kInt16:
      return Schema("int16", optional);
    case LogicalType::kInt32:
      return Schema("int32", optional);
    case LogicalType::kInt64:
    case LogicalType::kUInt32:
      return Schema("int64", optional);
    case LogicalType::kFloat32:
      return Schema("float", optional);
    case LogicalType::kFloat64:
      return Schema("double", optional);
    case LogicalType::kBytes:
      return Schema("bytes", optional);
    case LogicalType::kUuid:
      return Schema("string", optional, "io.debezium.data.Uuid");
    case LogicalType::kJson:
      return Schema("string", optional, "io.debezium.data.Json");
    default:
      return Schema("string", optional, type.oid == 142 && type.sql_name == "xml" ? "io.debezium.data.Xml" : "");
  }
}

std::string SchemaOf(const DebeziumType& t, bool optional) {
  constexpr std::string_view kDecimalName = "org.apache.kafka.connect.data.Decimal";
  switch (t.kind) {
    case DebeziumKind::kPlain:
      return PlainSchema(t.type, optional);
    case DebeziumKind::kDecimal:
      return Schema("bytes", optional, kDecimalName,
                    absl::StrCat(R"("scale":")", int{t.type.scale}, R"(","connect.decimal.precision":")",
                                 int{t.type.precision}, "\""));
    case DebeziumKind::kMoney:
      return Schema("bytes", optional, kDecimalName, R"("scale":"2")");
    case DebeziumKind::kAnyDecimal:
      return absl::StrCat(
          R"("type":"struct","fields":[{"type":"int32","optional":false,"field":"scale"},)",
          R"({"type":"bytes","optional":false,"field":"value"}],"optional":)", optional ? "true" : "false",
          R"(,"name":"io.debezium.data.VariableScaleDecimal","version":1,"doc":"Variable scaled decimal")");
    case DebeziumKind::kDate:
      return Schema("int32", optional, "io.debezium.time.Date");
    case DebeziumKind::kMicroTime:
      return Schema("int64", optional, "io.debezium.time.MicroTime");
    case DebeziumKind::kMilliTime:
      return Schema("int32", optional, "io.debezium.time.Time");
    case DebeziumKind::kZonedTime:
      return Schema("string", optional, "io.debezium.time.ZonedTime");
    case DebeziumKind::kMicroTimestamp:
      return Schema("int64", optional, "io.debezium.time.MicroTimestamp");
    case DebeziumKind::kMilliTimestamp:
      return Schema("int64", optional, "io.debezium.time.Timestamp");
    case DebeziumKind::kZonedTimestamp:
      return Schema("string", optional, "io.debezium.time.ZonedTimestamp");
    case DebeziumKind::kMicroDuration:
      return Schema("int64", optional, "io.debezium.time.MicroDuration");
    case DebeziumKind::kBit:
      return Schema("boolean", optional);
    case DebeziumKind::kBits:
      return Schema("bytes", optional, "io.debezium.data.Bits",
                    absl::StrCat(R"("length":")", t.type.typmod < 0 ? 2147483647 : t.type.typmod, "\""));
    case DebeziumKind::kPoint:
      return absl::StrCat(
          R"("type":"struct","fields":[{"type":"double","optional":false,"field":"x"},)",
          R"({"type":"double","optional":false,"field":"y"},{"type":"bytes","optional":true,"field":"wkb"},)",
          R"({"type":"int32","optional":true,"field":"srid"}],"optional":)", optional ? "true" : "false",
          R"-(,"name":"io.debezium.data.geometry.Point","version":1,"doc":"Geometry (POINT)")-");
    case DebeziumKind::kArray:
      return absl::StrCat(R"("type":"array","items":{)", t.element->schema, R"(},"optional":)",
                          optional ? "true" : "false");
  }
  return "";
}

// ---- values ----

void AppendQuotedBase64(std::string_view bytes, std::string* out) {
  out->push_back('"');
  AppendBase64(bytes, out);
  out->push_back('"');
}

absl::Status AppendDecimal(const Field& field, const PgType& type, std::string* scratch, std::string* out) {
  absl::int128 unscaled;
  RETURN_IF_ERROR(ReadDecimal(field, type, &unscaled));
  scratch->clear();
  AppendDecimalBytes(unscaled, scratch);
  AppendQuotedBase64(*scratch, out);
  return absl::OkStatus();
}

absl::Status AppendAnyDecimal(std::string_view text, std::string* out) {
  std::string bytes;
  int scale;
  if (!AppendDecimalBytes(text, &scale, &bytes)) {
    return absl::OutOfRangeError(absl::StrCat("'", absl::CEscape(text.substr(0, 64)), "' does not fit a decimal"));
  }
  absl::StrAppend(out, R"({"scale":)", scale, R"(,"value":)");
  AppendQuotedBase64(bytes, out);
  out->push_back('}');
  return absl::OkStatus();
}

// "-$1,234.56", as the locales C and en_US print it.
absl::Status AppendMoney(std::string_view text, std::string* out) {
  std::string plain, bytes;
  for (const char c : text) {
    if (c != '$' && c != ',') plain.push_back(c);
  }
  int scale;
  if (!AppendDecimalBytes(plain, &scale, &bytes) || scale != 2) return NotA("an amount in dollars and cents", text);
  AppendQuotedBase64(bytes, out);
  return absl::OkStatus();
}

// "12:34:56.789012+02" with "+HH", "+HH:MM" or "+HH:MM:SS" to the same in UTC.
absl::Status AppendZonedTime(std::string_view text, std::string* out) {
  const size_t sign = text.find_first_of("+-");
  int64_t micros;
  if (sign == text.npos || !ReadTime({FieldKind::kText, text.substr(0, sign)}, &micros).ok()) {
    return NotA("a time with time zone", text);
  }
  int64_t zone = 0, unit = 3600;
  for (const absl::string_view part : absl::StrSplit(text.substr(sign + 1), ':')) {
    int number;
    if (unit == 0 || part.size() != 2 || !absl::SimpleAtoi(part, &number) || number < 0) {
      return NotA("a time with time zone", text);
    }
    zone += number * unit;
    unit /= 60;
  }
  constexpr int64_t kDay = 86'400'000'000;
  micros = (micros - (text[sign] == '-' ? -zone : zone) * 1'000'000) % kDay;
  if (micros < 0) micros += kDay;
  const int64_t seconds = micros / 1'000'000;
  const auto two = [](int64_t n) { return absl::Dec(n, absl::kZeroPad2); };
  absl::StrAppend(out, "\"", two(seconds / 3600), ":", two(seconds / 60 % 60), ":", two(seconds % 60));
  if (micros % 1'000'000 != 0) {
    absl::StrAppend(out, ".", absl::Dec(micros % 1'000'000, absl::kZeroPad6));
    while (out->back() == '0') out->pop_back();
  }
  out->append("Z\"");
  return absl::OkStatus();
}

// "2024-05-01 12:34:56.7+00" to "2024-05-01T12:34:56.7Z"; years as ISO 8601 counts them, 1 BC is 0000.
absl::Status AppendZonedTimestamp(const Field& field, const PgType& type, std::string* scratch, std::string* out) {
  int64_t micros;
  RETURN_IF_ERROR(ReadTimestamp(field, &micros));
  std::string_view text;
  RETURN_IF_ERROR(ReadText(field, type, scratch, &text));
  const size_t dash = text.find('-', 1), zone = text.find("+00"), space = text.find(' ');
  if (zone == text.npos || space == text.npos) return absl::StrAppend(out, "\"", text, "\""), absl::OkStatus();
  int year = 0;
  std::from_chars(text.data(), text.data() + dash, year);
  out->push_back('"');
  if (text.ends_with(" BC")) {
    year = year - 1;
    if (year > 0) out->push_back('-');
  } else if (year > 9999) {
    out->push_back('+');
  }
  absl::StrAppend(out, absl::Dec(year, absl::kZeroPad4), text.substr(dash, space - dash), "T",
                  text.substr(space + 1, zone - space - 1), "Z\"");
  return absl::OkStatus();
}

// "1 year 2 mons 3 days -04:05:06.7", each part with its sign.
absl::Status AppendDuration(std::string_view text, std::string* out) {
  constexpr int64_t kSecond = 1'000'000, kDay = 86'400 * kSecond, kMonth = 2'629'800 * kSecond;
  constexpr std::pair<std::string_view, int64_t> kUnits[] = {
      {"year", 12 * kMonth}, {"years", 12 * kMonth}, {"mon", kMonth}, {"mons", kMonth}, {"day", kDay}, {"days", kDay}};
  __int128 total = 0;
  std::string_view rest = text;
  const auto word = [&] {
    const std::string_view taken = rest.substr(0, rest.find(' '));
    rest.remove_prefix(std::min(rest.size(), taken.size() + 1));
    return taken;
  };
  while (!rest.empty()) {
    std::string_view number = word();
    if (number.find(':') == number.npos) {
      int64_t count, micros = 0;
      const std::string_view unit = word();
      for (const auto& [name, value] : kUnits) micros = name == unit ? value : micros;
      if (micros == 0 || !absl::SimpleAtoi(number, &count)) return NotA("an interval", text);
      total += static_cast<__int128>(count) * micros;
      continue;
    }
    const bool negative = number.starts_with('-');
    if (negative || number.starts_with('+')) number.remove_prefix(1);
    // Hours have as many digits as they need.
    const size_t colon = number.find(':');
    int64_t hours, micros;
    if (!rest.empty() || !absl::SimpleAtoi(number.substr(0, colon), &hours) || hours < 0 ||
        !ReadTime({FieldKind::kText, absl::StrCat("00", number.substr(colon))}, &micros).ok()) {
      return NotA("an interval", text);
    }
    const __int128 time = static_cast<__int128>(hours) * 3600 * kSecond + micros;
    total += negative ? -time : time;
  }
  if (text.empty() || total > std::numeric_limits<int64_t>::max() || total < std::numeric_limits<int64_t>::min()) {
    return NotA("an interval that microseconds in 64 bits hold", text);
  }
  AppendNumber(static_cast<int64_t>(total), out);
  return absl::OkStatus();
}

absl::Status AppendBits(std::string_view text, std::string* out) {
  std::string bytes((text.size() + 7) / 8, '\0');
  for (size_t i = 0; i < text.size(); ++i) {
    const char bit = text[text.size() - 1 - i];
    if (bit != '0' && bit != '1') return NotA("a bit string", text);
    if (bit == '1') bytes[i / 8] = static_cast<char>(bytes[i / 8] | 1 << i % 8);
  }
  AppendQuotedBase64(bytes, out);
  return absl::OkStatus();
}

// "(1,2)", and the same as well-known binary: little-endian, type 1, two doubles.
absl::Status AppendPoint(std::string_view text, std::string* out) {
  const size_t comma = text.find(',');
  double at[2];
  if (text.size() < 5 || text.front() != '(' || text.back() != ')' || comma == text.npos) return NotA("a point", text);
  const std::string_view parts[] = {text.substr(1, comma - 1), text.substr(comma + 1, text.size() - comma - 2)};
  std::string wkb("\1\1\0\0\0", 5);
  for (int i = 0; i < 2; ++i) {
    if (!IsJsonNumber(parts[i]) || !absl::SimpleAtod(parts[i], &at[i])) return NotA("a point of finite numbers", text);
    char bytes[sizeof(double)];
    std::memcpy(bytes, &at[i], sizeof(bytes));
    wkb.append(bytes, sizeof(bytes));
  }
  absl::StrAppend(out, R"({"x":)", parts[0], R"(,"y":)", parts[1], R"(,"wkb":)");
  AppendQuotedBase64(wkb, out);
  out->append(R"(,"srid":null})");
  return absl::OkStatus();
}

absl::Status AppendTimestamp(const Field& field, int64_t divisor, std::string* out) {
  int64_t micros;
  RETURN_IF_ERROR(ReadTimestamp(field, &micros));
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  if (micros == kMax) return AppendNumber(kInfinity, out), absl::OkStatus();
  if (micros == -kMax) return AppendNumber(kMinusInfinity, out), absl::OkStatus();
  // Towards the past, also before 1970.
  AppendNumber(micros / divisor - (micros % divisor < 0), out);
  return absl::OkStatus();
}

absl::Status AppendArray(std::string_view text, const DebeziumType& type, std::string* out) {
  std::string element_text, element_scratch;
  out->push_back('[');
  RETURN_IF_ERROR(ForEachElement(text, &element_text, [&](const Field& element) {
    if (out->back() != '[') out->push_back(',');
    if (element.is_null()) return out->append("null"), absl::OkStatus();
    return AppendDebeziumValue(element, *type.element, &element_scratch, out);
  }));
  out->push_back(']');
  return absl::OkStatus();
}

}  // namespace

DebeziumType DebeziumType::Of(const PgType& type, bool optional) {
  DebeziumType result{.kind = KindOf(type), .type = type};
  if (result.kind == DebeziumKind::kArray) {
    result.element = std::make_unique<DebeziumType>(Of(*ElementType(type), /*optional=*/true));
  }
  result.schema = SchemaOf(result, optional);
  return result;
}

absl::Status AppendDebeziumValue(const Field& field, const DebeziumType& type, std::string* scratch, std::string* out) {
  switch (type.kind) {
    case DebeziumKind::kPlain:
      return AppendJsonValue(field, type.type, scratch, out);
    case DebeziumKind::kDecimal:
      return AppendDecimal(field, type.type, scratch, out);
    case DebeziumKind::kDate: {
      int32_t days;
      RETURN_IF_ERROR(ReadDate(field, &days));
      return AppendNumber(int64_t{days}, out), absl::OkStatus();
    }
    case DebeziumKind::kMicroTime:
    case DebeziumKind::kMilliTime: {
      int64_t micros;
      RETURN_IF_ERROR(ReadTime(field, &micros));
      return AppendNumber(type.kind == DebeziumKind::kMilliTime ? micros / 1000 : micros, out), absl::OkStatus();
    }
    case DebeziumKind::kMicroTimestamp:
      return AppendTimestamp(field, 1, out);
    case DebeziumKind::kMilliTimestamp:
      return AppendTimestamp(field, 1000, out);
    case DebeziumKind::kZonedTimestamp:
      return AppendZonedTimestamp(field, type.type, scratch, out);
    default:
      break;
  }
  std::string_view text;
  RETURN_IF_ERROR(ReadText(field, type.type, scratch, &text));
  switch (type.kind) {
    case DebeziumKind::kAnyDecimal:
      return AppendAnyDecimal(text, out);
    case DebeziumKind::kMoney:
      return AppendMoney(text, out);
    case DebeziumKind::kZonedTime:
      return AppendZonedTime(text, out);
    case DebeziumKind::kMicroDuration:
      return AppendDuration(text, out);
    case DebeziumKind::kBit:
      if (text != "0" && text != "1") return NotA("a bit", text);
      return out->append(text == "1" ? "true" : "false"), absl::OkStatus();
    case DebeziumKind::kBits:
      return AppendBits(text, out);
    case DebeziumKind::kPoint:
      return AppendPoint(text, out);
    default:
      return AppendArray(text, type, out);
  }
}

bool AppendDebeziumUnavailable(const DebeziumType& type, std::string* out) {
  if (type.kind == DebeziumKind::kArray) {
    if (type.element->kind != DebeziumKind::kPlain || type.element->type.logical != LogicalType::kText) return false;
    out->push_back('[');
    AppendDebeziumUnavailable(*type.element, out);
    out->push_back(']');
    return true;
  }
  if (type.kind != DebeziumKind::kPlain) return false;
  const LogicalType logical = type.type.logical;
  if (logical == LogicalType::kBytes) return AppendQuotedBase64(kUnavailable, out), true;
  if (logical != LogicalType::kText && logical != LogicalType::kJson) return false;
  absl::StrAppend(out, "\"", kUnavailable, "\"");
  return true;
}

}  // namespace wallaby
