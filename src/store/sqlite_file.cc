#include "store/sqlite_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"

namespace wallaby {
namespace {

namespace fs = std::filesystem;

fs::path FolderOf(const std::string& path) {
  const fs::path folder = fs::path(path).parent_path();
  return folder.empty() ? fs::path(".") : folder;
}

absl::Status FileError(std::string_view doing, std::string_view path, int error) {
  return absl::UnavailableError(absl::StrCat("control store: cannot ", doing, " ", path, ": ", std::strerror(error),
                                             "; check WALLABY_DATA_DIR and its rights"));
}

}  // namespace

absl::Status MakePrivateFile(const std::string& path) {
  const fs::path folder = FolderOf(path);
  std::error_code error;
  if (!fs::is_directory(folder, error)) {
    if (const fs::path above = folder.parent_path(); !above.empty()) fs::create_directories(above, error);
    if (error) return FileError("make the folder", folder.parent_path().string(), error.value());
    if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) {
      return FileError("make the folder", folder.string(), errno);
    }
  }
  // Never opened when it exists: closing any descriptor of a SQLite file drops the locks this process holds on it.
  const int fd = ::open(path.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
  if (fd < 0) return errno == EEXIST ? absl::OkStatus() : FileError("make", path, errno);
  ::close(fd);
  return absl::OkStatus();
}

absl::StatusOr<OpeningLock> OpeningLock::Take(const std::string& file_in_folder) {
  const std::string folder = FolderOf(file_in_folder).string();
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return FileError("open the folder", folder, errno);
  OpeningLock lock(fd);
  while (::flock(fd, LOCK_EX) != 0) {
    if (errno != EINTR) return FileError("lock the folder", folder, errno);
  }
  return lock;
}

OpeningLock::~OpeningLock() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace wallaby
