// CopyInto: rows on their way into a table by COPY, in the text or the binary format.
//
// Source of the formats: PostgreSQL documentation, COPY, "File Formats" (sql-copy).
#ifndef WALLABY_DESTINATION_POSTGRES_COPY_INTO_H_
#define WALLABY_DESTINATION_POSTGRES_COPY_INTO_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "change/relation.h"
#include "change/tuple.h"
#include "destination/postgres/session.h"

namespace wallaby {

// Begin, then for each row BeginRow, its fields in order, EndRow; then Finish. Without Finish the COPY is aborted.
class CopyInto {
 public:
  // `table` is for errors. Every field of a binary COPY must be kBinary or null.
  CopyInto(Session& session, std::string table, bool binary)
      : session_(session), table_(std::move(table)), binary_(binary) {}
  ~CopyInto();
  CopyInto(const CopyInto&) = delete;
  CopyInto& operator=(const CopyInto&) = delete;

  // `target` is the table with its columns: "s"."t" ("a", "b").
  absl::Status Begin(std::string_view target);
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
  absl::Status EndRow();
  // Returns the error untouched by Explain(), for callers that know what to do about some.
  absl::Status Finish();

 private:
  void Separate();
  void BinaryLength(int32_t length);
  void Escape(std::string_view text);

  Session& session_;
  const std::string table_;
  const bool binary_;
  bool open_ = false;
  bool first_field_ = true;
  std::string buffer_;
  std::string scratch_;
};

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_POSTGRES_COPY_INTO_H_
