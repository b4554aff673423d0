#include "spool/lsn_file.h"

#include <fcntl.h>

#include <charconv>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status.h"
#include "spool/block.h"

namespace wallaby::spool {
namespace {

constexpr size_t kDigits = 16;
constexpr size_t kFileBytes = 2 * kDigits + 2;
// A reader may see half of what is being written.
constexpr int kReads = 100;

std::string Line(Lsn lsn) {
  const std::string digits = LsnDigits(lsn);
  return absl::StrCat(digits, " ", LsnDigits(Lsn{Checksum(digits)}), "\n");
}

}  // namespace

std::string LsnDigits(Lsn lsn) {
  return absl::StrFormat("%016X", lsn.value);
}

bool ParseLsnDigits(std::string_view digits, Lsn* lsn) {
  if (digits.size() != kDigits) return false;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + kDigits, lsn->value, 16);
  return error == std::errc() && LsnDigits(*lsn) == digits;
}

absl::StatusOr<LsnFile> LsnFile::Make(const std::string& path, Lsn lsn) {
  RETURN_IF_ERROR(WriteFile(path, Line(lsn)));
  return Open(path);
}

absl::StatusOr<LsnFile> LsnFile::Open(const std::string& path) {
  ASSIGN_OR_RETURN(File file, File::Open(path, O_RDWR));
  return LsnFile(std::move(file));
}

absl::Status LsnFile::Write(Lsn lsn) const {
  return file_.WriteAt(0, Line(lsn));
}

absl::StatusOr<Lsn> LsnFile::Read() const {
  for (int i = 0; i < kReads; ++i) {
    char bytes[kFileBytes + 1];
    ASSIGN_OR_RETURN(const size_t got, file_.ReadAt(0, bytes, sizeof(bytes)));
    const std::string_view text(bytes, got);
    Lsn lsn;
    if (ParseLsnDigits(text.substr(0, kDigits), &lsn) && text == Line(lsn)) return lsn;
  }
  return absl::DataLossError(absl::StrCat("spool: ", file_.path(), " holds no position"));
}

}  // namespace wallaby::spool
