// LsnFile: one position in a small file, written over in place by one process and read by others. What a machine's
// crash leaves may be older than what was written last, never newer.
//
//   16 hexadecimal digits of the LSN, a space, 16 of the XXH3-64 of the first 16, a newline
#ifndef WALLABY_SPOOL_LSN_FILE_H_
#define WALLABY_SPOOL_LSN_FILE_H_

#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/lsn.h"
#include "spool/file.h"

namespace wallaby::spool {

// 16 hexadecimal digits, so that names sort as positions do.
std::string LsnDigits(Lsn lsn);
bool ParseLsnDigits(std::string_view digits, Lsn* lsn);

class LsnFile {
 public:
  // Makes it anew with `lsn` in it, durable on return.
  static absl::StatusOr<LsnFile> Make(const std::string& path, Lsn lsn);
  // NOT_FOUND when there is none.
  static absl::StatusOr<LsnFile> Open(const std::string& path);

  absl::Status Write(Lsn lsn) const;
  // DATA_LOSS when what is in it is not a position.
  absl::StatusOr<Lsn> Read() const;

 private:
  explicit LsnFile(File file) : file_(std::move(file)) {}
  File file_;
};

// The file LAST of a spool.
inline std::string LastPath(const std::string& folder) {
  return folder + "/LAST";
}

}  // namespace wallaby::spool

#endif  // WALLABY_SPOOL_LSN_FILE_H_
