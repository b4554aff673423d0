// Values in both forms. First byte: the type; second: text or binary; the rest is the value.
//
// A binary value that has a text is read alike from both; a value that was read, written in binary form and printed, is
// read back the same.
#include <array>
#include <cmath>
#include <cstring>
#include <memory>
#include <string>

#include "change/type.h"
#include "change/value.h"
#include "fuzz.h"

namespace wallaby {
namespace {

constexpr int32_t Numeric(int precision, int scale) {
  return (precision << 16 | scale) + 4;
}

struct Kind {
  uint32_t oid;
  int32_t typmod = -1;
};
// Every type with a binary form, numerics of several shapes, and some that are text only.
constexpr std::array<Kind, 32> kKinds{{
    {16},
    {17},
    {19},
    {20},
    {21},
    {23},
    {25},
    {26},
    {114},
    {700},
    {701},
    {1042},
    {1043},
    {1082},
    {1083},
    {1114},
    {1184},
    {1700},
    {1700, Numeric(10, 2)},
    {1700, Numeric(38, 0)},
    {1700, Numeric(38, 38)},
    {1700, Numeric(5, 5)},
    {1700, Numeric(20, 9)},
    {2950},
    {3802},
    {600},
    {1186},
    {869},
    {1007},
    {3904},
    {1266},
    {999999},
}};

std::string Binary(uint64_t value, int bytes) {
  std::string out;
  for (int i = bytes - 1; i >= 0; --i) out.push_back(static_cast<char>(value >> (8 * i)));
  return out;
}

Field TextOf(const std::string& text) {
  return {FieldKind::kText, text};
}

// Whatever a reader gives, as text that can be compared; "" when the value is refused.
struct Read {
  std::string value;
  std::string binary;  // the same in binary form, where that is easily made; else ""
  bool good = false;
};

template <typename T, typename Reader, typename Encode>
Read ReadWith(const Field& field, Reader reader, Encode encode) {
  T value{};
  Read read;
  read.good = reader(field, &value).ok();
  if (!read.good) return read;
  read.value.assign(reinterpret_cast<const char*>(&value), sizeof(value));
  read.binary = encode(value);
  return read;
}

Read ReadAny(const Field& field, const PgType& type) {
  constexpr int64_t kEpochDays = 10957;
  constexpr int64_t kEpochMicros = kEpochDays * 86400 * 1000000;
  switch (type.logical) {
    case LogicalType::kBool:
      return ReadWith<bool>(field, ReadBool, [](bool v) { return Binary(v ? 1 : 0, 1); });
    case LogicalType::kInt16:
    case LogicalType::kInt32:
    case LogicalType::kInt64:
      // The reader takes any width; who knows the type looks at it.
      if (field.kind == FieldKind::kBinary && field.bytes.size() != (type.oid == 21 ? 2 : type.oid == 23 ? 4 : 8)) {
        return {};
      }
      if (field.kind == FieldKind::kText) {
        return ReadWith<int64_t>(field, ReadInt, [&](int64_t v) {
          const int bytes = type.oid == 21 ? 2 : type.oid == 23 ? 4 : 8;
          const bool fits = bytes == 8 || (v >= -(int64_t{1} << (8 * bytes - 1)) && v < int64_t{1} << (8 * bytes - 1));
          return fits ? Binary(static_cast<uint64_t>(v), bytes) : std::string();
        });
      }
      return ReadWith<int64_t>(field, ReadInt, [](int64_t) { return std::string(); });
    case LogicalType::kUInt32:
      return ReadWith<uint32_t>(field, ReadUint32, [](uint32_t v) { return Binary(v, 4); });
    case LogicalType::kFloat32:
      return ReadWith<float>(field, ReadFloat32, [](float v) {
        uint32_t bits;
        std::memcpy(&bits, &v, sizeof(bits));
        return std::isnan(v) ? std::string() : Binary(bits, 4);
      });
    case LogicalType::kFloat64:
      return ReadWith<double>(field, ReadFloat64, [](double v) {
        uint64_t bits;
        std::memcpy(&bits, &v, sizeof(bits));
        return std::isnan(v) ? std::string() : Binary(bits, 8);
      });
    case LogicalType::kDecimal: {
      absl::int128 value;
      Read read;
      read.good = ReadDecimal(field, type, &value).ok();
      if (read.good) read.value.assign(reinterpret_cast<const char*>(&value), sizeof(value));
      return read;
    }
    case LogicalType::kDate:
      return ReadWith<int32_t>(field, ReadDate, [](int32_t v) {
        const bool infinite = v == INT32_MAX || v == -INT32_MAX;
        if (infinite) return Binary(v > 0 ? INT32_MAX : uint32_t{1} << 31, 4);
        const int64_t raw = v - kEpochDays;
        return raw <= INT32_MIN ? std::string() : Binary(static_cast<uint64_t>(raw), 4);
      });
    case LogicalType::kTime:
      return ReadWith<int64_t>(field, ReadTime, [](int64_t v) { return Binary(static_cast<uint64_t>(v), 8); });
    case LogicalType::kTimestamp:
    case LogicalType::kTimestampTz:
      return ReadWith<int64_t>(field, ReadTimestamp, [](int64_t v) {
        if (v == INT64_MAX || v == -INT64_MAX) return Binary(v > 0 ? INT64_MAX : uint64_t{1} << 63, 8);
        int64_t raw;
        if (__builtin_sub_overflow(v, kEpochMicros, &raw) || raw == INT64_MIN) return std::string();
        return Binary(static_cast<uint64_t>(raw), 8);
      });
    case LogicalType::kUuid: {
      unsigned char bytes[16];
      Read read;
      read.good = ReadUuid(field, bytes).ok();
      if (read.good) read.value = read.binary = std::string(reinterpret_cast<const char*>(bytes), 16);
      return read;
    }
    case LogicalType::kBytes: {
      std::string scratch;
      std::string_view out;
      Read read;
      read.good = ReadBytes(field, &scratch, &out).ok();
      if (read.good) read.value = read.binary = std::string(out);
      return read;
    }
    case LogicalType::kText:
    case LogicalType::kJson:
      break;
  }
  std::string scratch;
  std::string_view out;
  Read read;
  read.good = ReadText(field, type, &scratch, &out).ok();
  if (read.good) read.value = std::string(out);
  return read;
}

bool IsNan(const Read& read, LogicalType logical) {
  if (logical == LogicalType::kFloat32) {
    float v;
    std::memcpy(&v, read.value.data(), sizeof(v));
    return std::isnan(v);
  }
  if (logical == LogicalType::kFloat64) {
    double v;
    std::memcpy(&v, read.value.data(), sizeof(v));
    return std::isnan(v);
  }
  return false;
}

bool Same(const Read& a, const Read& b, LogicalType logical) {
  return a.value == b.value || (IsNan(a, logical) && IsNan(b, logical));
}

}  // namespace
}  // namespace wallaby

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace wallaby;
  fuzz::Input in(data, size);
  const Kind kind = kKinds[in.Byte() % kKinds.size()];
  const PgType type = kind.oid == 999999 ? EnumType(999999, "mood") : BuiltinType(kind.oid, kind.typmod);
  const FieldKind form = in.Byte() % 2 == 0 ? FieldKind::kText : FieldKind::kBinary;
  const std::string_view rest = in.Rest();
  const fuzz::Exact copy(rest);
  const Field field{form, copy.view()};

  const Read read = ReadAny(field, type);
  std::string text;
  const bool printed = AppendText(field, type, &text).ok();
  REQUIRE(!read.good || printed, "a value that is read has no text");
  if (printed && form == FieldKind::kBinary) {
    const Read from_text = ReadAny(TextOf(text), type);
    REQUIRE(read.good == from_text.good, text);
    REQUIRE(!read.good || Same(read, from_text, type.logical), text);
  }
  if (read.good && !read.binary.empty()) {
    std::string again;
    REQUIRE(AppendText({FieldKind::kBinary, read.binary}, type, &again).ok(), "a value has no text");
    REQUIRE(Same(read, ReadAny(TextOf(again), type), type.logical), again);
    REQUIRE(Same(read, ReadAny({FieldKind::kBinary, read.binary}, type), type.logical), again);
  }
  // Carried as text by a mapping: the same text.
  std::string scratch;
  std::string_view as_text;
  if (ReadText(field, type, &scratch, &as_text).ok()) REQUIRE(printed && as_text == text, text);
  return 0;
}
