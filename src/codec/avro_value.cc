#include "codec/avro_value.h"

#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "change/value.h"
#include "codec/decimal_bytes.h"
#include "codec/utf8.h"

namespace wallaby {
namespace {

// IEEE 754, little-endian, as on every machine this runs on.
template <typename Float>
void AppendFloat(Float value, std::string* out) {
  char bytes[sizeof(Float)];
  std::memcpy(bytes, &value, sizeof(bytes));
  out->append(bytes, sizeof(bytes));
}

absl::Status AppendUuid(const Field& field, std::string* out) {
  static constexpr char kHex[] = "0123456789abcdef";
  unsigned char bytes[16];
  RETURN_IF_ERROR(ReadUuid(field, bytes));
  char text[36];
  char* p = text;
  for (int i = 0; i < 16; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) *p++ = '-';
    *p++ = kHex[bytes[i] >> 4];
    *p++ = kHex[bytes[i] & 15];
  }
  AppendAvroBytes({text, sizeof(text)}, out);
  return absl::OkStatus();
}

absl::Status AppendText(const Field& field, const PgType& type, std::string* scratch, std::string* out) {
  std::string_view text;
  RETURN_IF_ERROR(ReadText(field, type, scratch, &text));
  if (!IsUtf8(text)) return NotUtf8(text, "Avro");
  AppendAvroBytes(text, out);
  return absl::OkStatus();
}

template <auto Read, typename Value>
absl::Status AppendWhole(const Field& field, std::string* out) {
  Value value;
  RETURN_IF_ERROR(Read(field, &value));
  AppendAvroLong(value, out);
  return absl::OkStatus();
}

absl::Status AppendValue(const Field& field, const PgType& type, std::string* scratch, std::string* out) {
  switch (type.logical) {
    case LogicalType::kText:
    case LogicalType::kJson:
      return AppendText(field, type, scratch, out);
    case LogicalType::kBool: {
      bool value;
      RETURN_IF_ERROR(ReadBool(field, &value));
      return out->push_back(value ? '\1' : '\0'), absl::OkStatus();
    }
    case LogicalType::kInt16:
    case LogicalType::kInt32: {
      int64_t value;
      RETURN_IF_ERROR(ReadInt(field, &value));
      if (!std::in_range<int32_t>(value)) return absl::OutOfRangeError(absl::StrCat(value, " does not fit 32 bits"));
      return AppendAvroLong(value, out), absl::OkStatus();
    }
    case LogicalType::kInt64:
      return AppendWhole<ReadInt, int64_t>(field, out);
    case LogicalType::kUInt32:
      return AppendWhole<ReadUint32, uint32_t>(field, out);
    case LogicalType::kFloat32: {
      float value;
      RETURN_IF_ERROR(ReadFloat32(field, &value));
      return AppendFloat(value, out), absl::OkStatus();
    }
    case LogicalType::kFloat64: {
      double value;
      RETURN_IF_ERROR(ReadFloat64(field, &value));
      return AppendFloat(value, out), absl::OkStatus();
    }
    case LogicalType::kDecimal: {
      absl::int128 value;
      RETURN_IF_ERROR(ReadDecimal(field, type, &value));
      scratch->clear();
      AppendDecimalBytes(value, scratch);
      return AppendAvroBytes(*scratch, out), absl::OkStatus();
    }
    case LogicalType::kBytes: {
      std::string_view bytes;
      RETURN_IF_ERROR(ReadBytes(field, scratch, &bytes));
      return AppendAvroBytes(bytes, out), absl::OkStatus();
    }
    case LogicalType::kDate:
      return AppendWhole<ReadDate, int32_t>(field, out);
    case LogicalType::kTime:
      return AppendWhole<ReadTime, int64_t>(field, out);
    case LogicalType::kTimestamp:
    case LogicalType::kTimestampTz:
      return AppendWhole<ReadTimestamp, int64_t>(field, out);
    case LogicalType::kUuid:
      return AppendUuid(field, out);
  }
  return absl::InternalError("a logical type that Avro does not know");
}

}  // namespace

void AppendAvroLong(int64_t value, std::string* out) {
  uint64_t zigzag = (static_cast<uint64_t>(value) << 1) ^ static_cast<uint64_t>(value >> 63);
  for (; zigzag >= 0x80; zigzag >>= 7) out->push_back(static_cast<char>(zigzag | 0x80));
  out->push_back(static_cast<char>(zigzag));
}

void AppendAvroBytes(std::string_view bytes, std::string* out) {
  AppendAvroLong(static_cast<int64_t>(bytes.size()), out);
  out->append(bytes);
}

absl::Status AppendAvroField(const Field& field, const PgType& type, std::string* scratch, std::string* out) {
  if (field.is_null() || field.is_absent()) return out->push_back('\0'), absl::OkStatus();
  out->push_back('\2');
  return AppendValue(field, type, scratch, out);
}

}  // namespace wallaby
