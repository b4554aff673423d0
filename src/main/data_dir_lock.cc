#include "main/data_dir_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace wallaby {

absl::StatusOr<std::unique_ptr<DataDirLock>> DataDirLock::Take(const std::string& data_dir) {
  std::error_code error;
  const bool made = std::filesystem::create_directories(data_dir, error);
  if (error) {
    return absl::FailedPreconditionError(
        absl::StrCat("data folder ", data_dir, " cannot be made: ", error.message(), "; set WALLABY_DATA_DIR"));
  }
  // Flows hold passwords.
  if (made) std::filesystem::permissions(data_dir, std::filesystem::perms::owner_all, error);
  const std::string path = absl::StrCat(data_dir, "/server.lock");
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", path, "; set WALLABY_DATA_DIR"));
  std::unique_ptr<DataDirLock> lock(new DataDirLock(fd));
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    char pid[32] = {};
    const ssize_t length = pread(fd, pid, sizeof(pid) - 1, 0);
    return absl::FailedPreconditionError(
        absl::StrCat("another wallaby server uses the data folder ", data_dir,
                     length > 0 ? absl::StrCat(" (pid ", absl::StripAsciiWhitespace(pid), ")") : "",
                     "; stop it, or give this one a folder of its own by WALLABY_DATA_DIR"));
  }
  const std::string pid = absl::StrCat(getpid(), "\n");
  [[maybe_unused]] const bool told = ftruncate(fd, 0) == 0 && pwrite(fd, pid.data(), pid.size(), 0) > 0;
  return lock;
}

DataDirLock::~DataDirLock() {
  close(fd_);
}

}  // namespace wallaby
