#include "codec/json_text.h"

#include <charconv>
#include <cstring>
#include <iterator>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "change/calendar.h"
#include "change/value.h"
#include "codec/utf8.h"

namespace wallaby {
namespace {

bool NeedsEscape(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == '"' || c == '\\';
}

void AppendEscaped(char c, std::string* out) {
  out->push_back('\\');
  switch (c) {
    case '"':
    case '\\':
      return out->push_back(c);
    case '\b':
      return out->push_back('b');
    case '\f':
      return out->push_back('f');
    case '\n':
      return out->push_back('n');
    case '\r':
      return out->push_back('r');
    case '\t':
      return out->push_back('t');
    default: {
      static constexpr char kHex[] = "0123456789abcdef";
      const char text[] = {'u', '0', '0', kHex[static_cast<unsigned char>(c) >> 4], kHex[c & 15]};
      out->append(text, sizeof(text));
    }
  }
}

// True when none of the eight bytes is beyond ASCII, below 0x20, a quote or a backslash. A byte b is below n exactly
// where (b - n) borrows, for bytes and n below 0x80; equal to c where (b ^ c) is below 1.
bool EightPlain(const char* p) {
  uint64_t bytes;
  std::memcpy(&bytes, p, sizeof(bytes));
  constexpr uint64_t kOnes = 0x0101010101010101u, kHigh = 0x8080808080808080u;
  const uint64_t quote = bytes ^ (kOnes * '"'), backslash = bytes ^ (kOnes * '\\');
  return ((bytes | (bytes - kOnes * 0x20) | (quote - kOnes) | (backslash - kOnes)) & kHigh) == 0;
}

absl::Status NotANumber(std::string_view text) {
  return absl::InvalidArgumentError(absl::StrCat("'", absl::CEscape(text.substr(0, 64)), "' is not a number"));
}

absl::Status AppendString(std::string_view text, std::string* out) {
  return AppendJsonString(text, out) ? absl::OkStatus() : NotUtf8(text, "JSON");
}

absl::Status AppendInt(const Field& field, std::string* out) {
  int64_t value;
  RETURN_IF_ERROR(ReadInt(field, &value));
  AppendNumber(value, out);
  return absl::OkStatus();
}

// NaN and the infinities are strings, as JSON has no such numbers.
absl::Status AppendFloat(const Field& field, const PgType& type, std::string* scratch, std::string* out) {
  std::string_view text;
  RETURN_IF_ERROR(ReadText(field, type, scratch, &text));
  if (IsJsonNumber(text)) {
    out->append(text);
    // Readers take "-0" for a whole number, which has no sign when it is zero.
    if (text == "-0") out->append(".0");
    return absl::OkStatus();
  }
  if (text == "NaN" || text == "Infinity" || text == "-Infinity") return AppendString(text, out);
  return NotANumber(text);
}

// As PostgreSQL's to_json() writes it: a T between date and time, and the zone with its minutes.
absl::Status AppendTimestamp(const Field& field, const PgType& type, std::string* scratch, std::string* out) {
  std::string_view text;
  RETURN_IF_ERROR(ReadText(field, type, scratch, &text));
  const size_t start = out->size();
  RETURN_IF_ERROR(AppendString(text, out));
  const size_t space = out->find(' ', start);
  if (space == std::string::npos) return absl::OkStatus();  // infinity
  (*out)[space] = 'T';
  if (type.logical != LogicalType::kTimestampTz) return absl::OkStatus();
  const size_t zone = out->find("+00", space);
  if (zone == std::string::npos) {
    return absl::InvalidArgumentError(absl::StrCat("'", absl::CEscape(text.substr(0, 64)), "' is not in UTC"));
  }
  out->insert(zone + 3, ":00");
  return absl::OkStatus();
}

}  // namespace

bool AppendJsonString(std::string_view text, std::string* out) {
  const size_t start = out->size();
  out->push_back('"');
  const char* p = text.data();
  const char* const end = p + text.size();
  const char* run = p;  // what is not yet copied begins here
  while (p != end) {
    if (end - p >= 8 && EightPlain(p)) {
      p += 8;
    } else if (static_cast<unsigned char>(*p) >= 0x80) {
      const size_t length = Utf8CharacterLength(p, end);
      if (length == 0) {
        out->resize(start);
        return false;
      }
      p += length;
    } else if (NeedsEscape(*p)) {
      out->append(run, p);
      AppendEscaped(*p, out);
      run = ++p;
    } else {
      ++p;
    }
  }
  out->append(run, end);
  out->push_back('"');
  return true;
}

void AppendNumber(int64_t value, std::string* out) {
  char buffer[24];
  out->append(buffer, std::to_chars(buffer, std::end(buffer), value).ptr);
}

void AppendNumber(uint64_t value, std::string* out) {
  char buffer[24];
  out->append(buffer, std::to_chars(buffer, std::end(buffer), value).ptr);
}

void AppendBase64(std::string_view bytes, std::string* out) {
  static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const size_t start = out->size();
  out->resize(start + (bytes.size() + 2) / 3 * 4);
  char* to = out->data() + start;
  const auto byte = [&](size_t i) { return i < bytes.size() ? static_cast<unsigned char>(bytes[i]) : 0u; };
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const unsigned group = byte(i) << 16 | byte(i + 1) << 8 | byte(i + 2);
    for (int shift = 18; shift >= 0; shift -= 6) *to++ = kDigits[group >> shift & 63];
  }
  for (size_t i = bytes.size() % 3; i != 0 && i < 3; ++i) *(to - 3 + i) = '=';
}

void AppendJsonTime(int64_t micros_since_1970, std::string* out) {
  static const PgType type = BuiltinType(1184, -1);
  const uint64_t wire = __builtin_bswap64(static_cast<uint64_t>(micros_since_1970) - uint64_t{kEpochMicros});
  char bytes[sizeof(wire)];
  std::memcpy(bytes, &wire, sizeof(wire));
  std::string scratch;  // short enough to need no memory
  if (!AppendTimestamp({FieldKind::kBinary, {bytes, sizeof(bytes)}}, type, &scratch, out).ok()) out->append("null");
}

bool IsJsonNumber(std::string_view text) {
  const char* p = text.data();
  const char* const end = p + text.size();
  const auto digits = [&] {
    const char* first = p;
    while (p != end && *p >= '0' && *p <= '9') ++p;
    return p - first;
  };
  if (p != end && *p == '-') ++p;
  const bool zero = p != end && *p == '0';
  const auto whole = digits();
  if (whole == 0 || (zero && whole > 1)) return false;
  if (p != end && *p == '.') {
    ++p;
    if (digits() == 0) return false;
  }
  if (p != end && (*p == 'e' || *p == 'E')) {
    ++p;
    if (p != end && (*p == '+' || *p == '-')) ++p;
    if (digits() == 0) return false;
  }
  return p == end;
}

absl::Status AppendJsonValue(const Field& field, const PgType& type, std::string* scratch, std::string* out) {
  std::string_view text;
  switch (type.logical) {
    case LogicalType::kBool: {
      bool value;
      RETURN_IF_ERROR(ReadBool(field, &value));
      out->append(value ? "true" : "false");
      return absl::OkStatus();
    }
    case LogicalType::kInt16:
    case LogicalType::kInt32:
    case LogicalType::kInt64:
      return AppendInt(field, out);
    case LogicalType::kUInt32: {
      uint32_t value;
      RETURN_IF_ERROR(ReadUint32(field, &value));
      AppendNumber(uint64_t{value}, out);
      return absl::OkStatus();
    }
    case LogicalType::kFloat32:
    case LogicalType::kFloat64:
      return AppendFloat(field, type, scratch, out);
    case LogicalType::kTimestamp:
    case LogicalType::kTimestampTz:
      return AppendTimestamp(field, type, scratch, out);
    case LogicalType::kBytes:
      RETURN_IF_ERROR(ReadBytes(field, scratch, &text));
      out->push_back('"');
      AppendBase64(text, out);
      out->push_back('"');
      return absl::OkStatus();
    default:
      RETURN_IF_ERROR(ReadText(field, type, scratch, &text));
      return AppendString(text, out);
  }
}

}  // namespace wallaby
