// CopyEncoder: rows in the text or the binary format of COPY, at the end of a buffer. No I/O.
//
// Source of the formats: PostgreSQL documentation, COPY, "File Formats" (sql-copy).
#ifndef WALLABY_DESTINATION_POSTGRES_COPY_ENCODER_H_
#define WALLABY_DESTINATION_POSTGRES_COPY_ENCODER_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "change/relation.h"
#include "change/tuple.h"

namespace wallaby {

// AddHeader; for each row BeginRow, its fields in order, CloseRow; then AddTrailer.
class CopyEncoder {
 public:
  // `table` is for errors. Every field of a binary COPY must be kBinary or null.
  CopyEncoder(std::string table, bool binary) : table_(std::move(table)), binary_(binary) {}

  bool binary() const { return binary_; }
  void AddHeader();
  void BeginRow(int fields);
  void Null();
  void Int32(int32_t value);
  void Int64(int64_t value);
  // Microseconds since 1970-01-01 as timestamptz.
  void TimestampTz(int64_t micros);
  // A value of type text.
  void Text(std::string_view value);
  // An absent value goes as null.
  absl::Status Value(const Field& field, const Column& column);
  void CloseRow();
  void AddTrailer();

  // What was encoded. The caller takes from it what it sends.
  std::string* buffer() { return &buffer_; }

 private:
  void Separate();
  void BinaryLength(int32_t length);
  void Escape(std::string_view text);

  const std::string table_;
  const bool binary_;
  bool first_field_ = true;
  std::string buffer_;
  std::string scratch_;
};

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_POSTGRES_COPY_ENCODER_H_
