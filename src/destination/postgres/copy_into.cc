#include "destination/postgres/copy_into.h"

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace wallaby {
namespace {

constexpr size_t kSendAt = 256 << 10;

}  // namespace

CopyInto::~CopyInto() {
  if (open_) session_.AbortCopy("the rows before this one are not wanted either");
}

absl::Status CopyInto::Begin(std::string_view target) {
  RETURN_IF_ERROR(session_.BeginCopy(absl::StrCat("COPY ", target, " FROM STDIN", binary() ? " (FORMAT binary)" : "")));
  open_ = true;
  AddHeader();
  return absl::OkStatus();
}

absl::Status CopyInto::EndRow() {
  CloseRow();
  if (buffer()->size() < kSendAt) return absl::OkStatus();
  absl::Status status = session_.PutCopy(*buffer());
  if (!status.ok()) open_ = false;
  buffer()->clear();
  return status;
}

absl::Status CopyInto::Finish() {
  AddTrailer();
  open_ = false;
  RETURN_IF_ERROR(session_.PutCopy(*buffer()));
  return session_.EndCopy().status();
}

}  // namespace wallaby
