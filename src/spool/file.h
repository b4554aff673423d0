// Files of a spool: what the operating system does, as Status with the path, the system's reason and what to do.
#ifndef WALLABY_SPOOL_FILE_H_
#define WALLABY_SPOOL_FILE_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace wallaby::spool {

// RESOURCE_EXHAUSTED where there is no room, NOT_FOUND where there is no such file, else UNAVAILABLE.
absl::Status FileError(std::string_view doing, const std::string& path, int error);

class File {
 public:
  // As open(2); what it makes only the user may read.
  static absl::StatusOr<File> Open(const std::string& path, int flags);
  File() = default;
  File(File&& other) noexcept : path_(std::move(other.path_)), fd_(std::exchange(other.fd_, -1)) {}
  File& operator=(File&& other) noexcept {
    std::swap(path_, other.path_);
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~File();

  // Fewer bytes than asked for only at the end of the file.
  absl::StatusOr<size_t> ReadAt(uint64_t offset, char* out, size_t size) const;
  absl::Status WriteAt(uint64_t offset, std::string_view bytes) const;
  absl::Status Truncate(uint64_t size) const;
  absl::Status Sync() const;  // the content and what is needed to find it; not the name
  absl::StatusOr<uint64_t> Size() const;
  // Its name was removed; who has it open can still read it.
  bool Removed() const;

  int fd() const { return fd_; }
  const std::string& path() const { return path_; }

 private:
  File(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}
  std::string path_;
  int fd_ = -1;
};

absl::StatusOr<std::string> ReadFile(const std::string& path);
// The whole file or none, also after a crash; durable on return.
absl::Status WriteFile(const std::string& path, std::string_view content);
// Gives a file that is complete its name; durable on return.
absl::Status RenameFile(const std::string& from, const std::string& to);
// Makes names in it durable.
absl::Status SyncFolder(const std::string& path);
// Makes it and what is above it, for this user alone; durable on return.
absl::Status MakeFolder(const std::string& path);
bool Exists(const std::string& path);

// A name that is safe as a file's: all but letters, digits, '-' and '_' as %XX.
std::string FileName(std::string_view name);
// The name again; false when FileName did not make it.
bool ParseFileName(std::string_view file_name, std::string* name);

}  // namespace wallaby::spool

#endif  // WALLABY_SPOOL_FILE_H_
