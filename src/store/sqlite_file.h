// The file of a SQLite store: made private, and opened by one process at a time.
#ifndef WALLABY_STORE_SQLITE_FILE_H_
#define WALLABY_STORE_SQLITE_FILE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace wallaby {

// Makes the file's folder (mode 0700) and the file (mode 0600) where they are missing; leaves those that exist alone.
absl::Status MakePrivateFile(const std::string& path);

// Held while a store is opened and migrated: switching a new file to WAL mode is the one moment at which SQLite does
// not wait for other processes by itself. Lock on the folder, given back when the object or the process ends.
class OpeningLock {
 public:
  static absl::StatusOr<OpeningLock> Take(const std::string& file_in_folder);
  OpeningLock(OpeningLock&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  OpeningLock& operator=(OpeningLock&&) = delete;
  ~OpeningLock();

 private:
  explicit OpeningLock(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace wallaby

#endif  // WALLABY_STORE_SQLITE_FILE_H_
