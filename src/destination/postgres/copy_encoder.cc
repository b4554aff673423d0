#include "destination/postgres/copy_encoder.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status.h"
#include "change/type.h"
#include "change/value.h"
#include "destination/postgres/sql_values.h"

namespace wallaby {
namespace {

constexpr int64_t kMicrosFrom1970To2000 = 946684800LL * 1000000;
constexpr std::string_view kSignature("PGCOPY\n\377\r\n\0", 11);

void AppendBigEndian16(uint16_t value, std::string* out) {
  const uint16_t swapped = __builtin_bswap16(value);
  out->append(reinterpret_cast<const char*>(&swapped), sizeof(swapped));
}
void AppendBigEndian32(uint32_t value, std::string* out) {
  const uint32_t swapped = __builtin_bswap32(value);
  out->append(reinterpret_cast<const char*>(&swapped), sizeof(swapped));
}
void AppendBigEndian64(uint64_t value, std::string* out) {
  const uint64_t swapped = __builtin_bswap64(value);
  out->append(reinterpret_cast<const char*>(&swapped), sizeof(swapped));
}

// The letter behind the backslash, 0 for characters that stand for themselves.
char EscapeLetter(char c) {
  switch (c) {
    case '\\':
      return '\\';
    case '\n':
      return 'n';
    case '\r':
      return 'r';
    case '\t':
      return 't';
    default:
      return 0;
  }
}

}  // namespace

void CopyEncoder::AddHeader() {
  if (!binary_) return;
  buffer_.append(kSignature);
  AppendBigEndian32(0, &buffer_);  // flags
  AppendBigEndian32(0, &buffer_);  // length of the header's extension
}

void CopyEncoder::BeginRow(int fields) {
  first_field_ = true;
  if (binary_) AppendBigEndian16(static_cast<uint16_t>(fields), &buffer_);
}

void CopyEncoder::Separate() {
  if (!std::exchange(first_field_, false)) buffer_.push_back('\t');
}

void CopyEncoder::BinaryLength(int32_t length) {
  AppendBigEndian32(static_cast<uint32_t>(length), &buffer_);
}

void CopyEncoder::Null() {
  if (binary_) return BinaryLength(-1);
  Separate();
  buffer_.append("\\N");
}

void CopyEncoder::Int32(int32_t value) {
  if (binary_) {
    BinaryLength(4);
    return AppendBigEndian32(static_cast<uint32_t>(value), &buffer_);
  }
  Separate();
  absl::StrAppend(&buffer_, value);
}

void CopyEncoder::Int64(int64_t value) {
  if (binary_) {
    BinaryLength(8);
    return AppendBigEndian64(static_cast<uint64_t>(value), &buffer_);
  }
  Separate();
  absl::StrAppend(&buffer_, value);
}

void CopyEncoder::TimestampTz(int64_t micros) {
  if (binary_) return Int64(micros - kMicrosFrom1970To2000);
  static const PgType kType = BuiltinType(1184, -1);
  const uint64_t binary = __builtin_bswap64(static_cast<uint64_t>(micros - kMicrosFrom1970To2000));
  Separate();
  const absl::Status printed =
      AppendText({FieldKind::kBinary, {reinterpret_cast<const char*>(&binary), sizeof(binary)}}, kType, &buffer_);
  WALLABY_CHECK(printed.ok(), "every eight bytes are a timestamptz");
}

void CopyEncoder::Escape(std::string_view text) {
  size_t plain = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const char letter = EscapeLetter(text[i]);
    if (letter == 0) continue;
    buffer_.append(text.substr(plain, i - plain));
    buffer_.push_back('\\');
    buffer_.push_back(letter);
    plain = i + 1;
  }
  buffer_.append(text.substr(plain));
}

void CopyEncoder::Text(std::string_view value) {
  if (binary_) {
    BinaryLength(static_cast<int32_t>(value.size()));
    buffer_.append(value);
    return;
  }
  Separate();
  Escape(value);
}

absl::Status CopyEncoder::Value(const Field& field, const Column& column) {
  if (field.is_null() || field.is_absent()) {
    Null();
    return absl::OkStatus();
  }
  if (binary_) {
    WALLABY_CHECK(field.kind == FieldKind::kBinary, "a binary COPY has binary values only");
    Text(field.bytes);
    return absl::OkStatus();
  }
  if (field.kind == FieldKind::kText) {
    Text(field.bytes);
    return absl::OkStatus();
  }
  scratch_.clear();
  RETURN_IF_ERROR(AppendValueText(field, column, table_, &scratch_));
  Text(scratch_);
  return absl::OkStatus();
}

void CopyEncoder::CloseRow() {
  if (!binary_) buffer_.push_back('\n');
}

void CopyEncoder::AddTrailer() {
  if (binary_) AppendBigEndian16(0xffff, &buffer_);
}

}  // namespace wallaby
