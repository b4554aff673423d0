#include "destination/files/folder.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace wallaby {
namespace {

namespace fs = std::filesystem;

std::atomic<FilesProbe> current_probe = nullptr;

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  ~FileDescriptor() {
    if (fd_ >= 0) close(fd_);
  }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

std::string ParentOf(const std::string& path) {
  const std::string parent = fs::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

template <typename Iterator>
absl::StatusOr<std::vector<std::string>> List(const std::string& path) {
  std::vector<std::string> names;
  std::error_code error;
  Iterator it(path, error);
  for (; !error && it != Iterator(); it.increment(error)) {
    std::error_code ignored;
    if (it->is_regular_file(ignored)) names.push_back(it->path().lexically_relative(path).string());
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    return ErrnoStatus(error.value(), "listing", path);
  }
  return names;
}

}  // namespace

absl::Status ErrnoStatus(int error, std::string_view doing, std::string_view path) {
  const std::string text = absl::StrCat(doing, " ", path, ": ", std::strerror(error));
  switch (error) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
    case EMFILE:
    case ENFILE:
      return absl::ResourceExhaustedError(text);
    case EACCES:
    case EPERM:
      return absl::PermissionDeniedError(absl::StrCat(text, "; let the worker's user write there"));
    case EROFS:
    case ENOTDIR:
    case EISDIR:
    case ELOOP:
    case ENAMETOOLONG:
      return absl::FailedPreconditionError(text);
    case ENOENT:
      return absl::NotFoundError(text);
    default:
      return absl::UnavailableError(text);
  }
}

absl::Status WriteAll(int fd, std::string_view content, const std::string& path) {
  while (!content.empty()) {
    const ssize_t n = write(fd, content.data(), content.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoStatus(errno, "writing", path);
    content.remove_prefix(static_cast<size_t>(n));
  }
  return absl::OkStatus();
}

absl::Status MakeFolders(const std::string& path) {
  struct stat info;
  if (stat(path.c_str(), &info) == 0) {
    return S_ISDIR(info.st_mode) ? absl::OkStatus() : ErrnoStatus(ENOTDIR, "making folder", path);
  }
  const std::string parent = ParentOf(path);
  if (parent != path) RETURN_IF_ERROR(MakeFolders(parent));
  if (mkdir(path.c_str(), 0777) != 0 && errno != EEXIST) {
    return ErrnoStatus(errno, "making folder", path);
  }
  return SyncFolder(parent);
}

absl::Status SyncFolder(const std::string& path) {
  const FileDescriptor folder(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder.get() < 0) return ErrnoStatus(errno, "opening folder", path);
  if (fsync(folder.get()) != 0) return ErrnoStatus(errno, "syncing folder", path);
  return absl::OkStatus();
}

absl::Status ReplaceFile(const std::string& path, std::string_view content) {
  const std::string draft = path + ".new";
  {
    const FileDescriptor file(open(draft.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
    if (file.get() < 0) return ErrnoStatus(errno, "making", draft);
    RETURN_IF_ERROR(WriteAll(file.get(), content, draft));
    if (fsync(file.get()) != 0) return ErrnoStatus(errno, "syncing", draft);
  }
  RETURN_IF_ERROR(ProbeStep("draft written"));
  if (rename(draft.c_str(), path.c_str()) != 0) return ErrnoStatus(errno, "replacing", path);
  RETURN_IF_ERROR(ProbeStep("file replaced"));
  return SyncFolder(ParentOf(path));
}

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  const FileDescriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return ErrnoStatus(errno, "opening", path);
  std::string content;
  char buffer[65536];
  for (;;) {
    const ssize_t n = read(file.get(), buffer, sizeof(buffer));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoStatus(errno, "reading", path);
    if (n == 0) return content;
    content.append(buffer, static_cast<size_t>(n));
  }
}

bool FileExists(const std::string& path) {
  struct stat info;
  return stat(path.c_str(), &info) == 0;
}

absl::Status MoveFile(const std::string& from, const std::string& to) {
  int result = renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE);
  if (result != 0 && (errno == EINVAL || errno == ENOSYS)) {
    // A file system without this flag; names are unique by construction.
    if (FileExists(to)) return ErrnoStatus(EEXIST, "publishing", to);
    result = rename(from.c_str(), to.c_str());
  }
  if (result == 0) return absl::OkStatus();
  if (errno == EEXIST) {
    return absl::FailedPreconditionError(absl::StrCat("publishing ", to,
                                                      ": there is a file of this name already, which this flow "
                                                      "did not write; move it away"));
  }
  return ErrnoStatus(errno, "publishing", to);
}

absl::Status RemoveFile(const std::string& path) {
  if (unlink(path.c_str()) == 0 || errno == ENOENT) return absl::OkStatus();
  return ErrnoStatus(errno, "removing", path);
}

absl::StatusOr<std::vector<std::string>> ListFiles(const std::string& path) {
  return List<fs::directory_iterator>(path);
}

absl::StatusOr<std::vector<std::string>> ListFilesBelow(const std::string& path) {
  return List<fs::recursive_directory_iterator>(path);
}

FolderLock::~FolderLock() {
  if (fd_ >= 0) close(fd_);
}

absl::Status FolderLock::Acquire(const std::string& path) {
  if (held()) return Check();
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (fd < 0) return ErrnoStatus(errno, "opening", path);
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    const int error = errno;
    close(fd);
    if (error != EWOULDBLOCK) return ErrnoStatus(error, "locking", path);
    return absl::UnavailableError(absl::StrCat("another worker still writes for this flow and destination: ", path,
                                               " is locked; it goes on when that one has ended"));
  }
  fd_ = fd;
  path_ = path;
  return absl::OkStatus();
}

absl::Status FolderLock::Check() const {
  struct stat locked, named;
  if (fd_ >= 0 && fstat(fd_, &locked) == 0 && stat(path_.c_str(), &named) == 0 && locked.st_ino == named.st_ino &&
      locked.st_dev == named.st_dev) {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(
      absl::StrCat("fenced: ", path_, " is gone or was replaced, so another worker may write here"));
}

void SetFilesProbe(FilesProbe probe) {
  current_probe = probe;
}

absl::Status ProbeStep(std::string_view step) {
  const FilesProbe probe = current_probe.load(std::memory_order_relaxed);
  return probe == nullptr ? absl::OkStatus() : probe(step);
}

}  // namespace wallaby
