// CopyInto: rows on their way into a table by COPY.
#ifndef WALLABY_DESTINATION_POSTGRES_COPY_INTO_H_
#define WALLABY_DESTINATION_POSTGRES_COPY_INTO_H_

#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "destination/postgres/copy_encoder.h"
#include "destination/postgres/session.h"

namespace wallaby {

// Begin, then for each row BeginRow, its fields in order, EndRow; then Finish. Without Finish the COPY is aborted.
class CopyInto : public CopyEncoder {
 public:
  CopyInto(Session& session, std::string table, bool binary)
      : CopyEncoder(std::move(table), binary), session_(session) {}
  ~CopyInto();
  CopyInto(const CopyInto&) = delete;
  CopyInto& operator=(const CopyInto&) = delete;

  // `target` is the table with its columns: "s"."t" ("a", "b").
  absl::Status Begin(std::string_view target);
  // Closes the row, and sends what has gathered when it is much.
  absl::Status EndRow();
  // Returns the error untouched by Explain(), for callers that know what to do about some.
  absl::Status Finish();

 private:
  Session& session_;
  bool open_ = false;
};

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_POSTGRES_COPY_INTO_H_
