// CopyRows: the bytes of COPY TO STDOUT to tuples in the wire form of change/tuple.h.
//
// Source: PostgreSQL documentation, "COPY", "Text Format" and "Binary Format". Bytes that do not follow the format are
// DATA_LOSS. No I/O.
#ifndef WALLABY_POSTGRES_COPY_ROWS_H_
#define WALLABY_POSTGRES_COPY_ROWS_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace wallaby {

class CopyRows {
 public:
  CopyRows(bool binary, int columns) : binary_(binary), columns_(columns) {}

  // Takes the next bytes, cut anywhere. Appends each row that is complete to `arena`, and its offset to `rows`.
  absl::Status Feed(std::string_view bytes, std::string* arena, std::vector<uint64_t>* rows);

  // DATA_LOSS when the bytes ended within a row or, in binary form, before the trailer.
  absl::Status Finish() const;

 private:
  enum class Parsed { kRow, kNeedMore, kEnd };

  absl::Status FeedWhole(std::string_view* bytes, std::string* arena, std::vector<uint64_t>* rows);
  absl::Status ParseBinary(std::string_view* bytes, std::string* arena, Parsed* parsed);
  absl::Status ParseText(std::string_view* bytes, std::string* arena, Parsed* parsed);
  absl::Status ParseHeader(std::string_view* bytes, Parsed* parsed);
  absl::Status TextRow(std::string_view line, std::string* arena) const;

  bool binary_;
  int columns_;
  bool header_seen_ = false;
  bool ended_ = false;
  std::string carry_;  // begin of a row whose end has not come
};

}  // namespace wallaby

#endif  // WALLABY_POSTGRES_COPY_ROWS_H_
