#include "spool/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status.h"

namespace wallaby::spool {
namespace {

std::string FolderOf(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

}  // namespace

absl::Status FileError(std::string_view doing, const std::string& path, int error) {
  const std::string what = absl::StrCat("spool: cannot ", doing, " ", path, ": ", std::strerror(error));
  switch (error) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return absl::ResourceExhaustedError(absl::StrCat(what, "; make room on the disk of ", FolderOf(path),
                                                       ", or set WALLABY_SPOOL_LIMIT below what it can hold"));
    case ENOENT:
      return absl::NotFoundError(what);
    default:
      return absl::UnavailableError(absl::StrCat(what, "; check WALLABY_SPOOL_DIR, its rights and its disk"));
  }
}

absl::StatusOr<File> File::Open(const std::string& path, int flags) {
  const int fd = ::open(path.c_str(), flags | O_CLOEXEC, 0600);
  if (fd < 0) return FileError("open", path, errno);
  return File(path, fd);
}

File::~File() {
  if (fd_ >= 0) ::close(fd_);
}

absl::StatusOr<size_t> File::ReadAt(uint64_t offset, char* out, size_t size) const {
  size_t done = 0;
  while (done < size) {
    const ssize_t got = ::pread(fd_, out + done, size - done, static_cast<off_t>(offset + done));
    if (got < 0) {
      if (errno == EINTR) continue;
      return FileError("read", path_, errno);
    }
    if (got == 0) break;
    done += static_cast<size_t>(got);
  }
  return done;
}

absl::Status File::WriteAt(uint64_t offset, std::string_view bytes) const {
  while (!bytes.empty()) {
    const ssize_t put = ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (put < 0) {
      if (errno == EINTR) continue;
      return FileError("write", path_, errno);
    }
    offset += static_cast<uint64_t>(put);
    bytes.remove_prefix(static_cast<size_t>(put));
  }
  return absl::OkStatus();
}

absl::Status File::Truncate(uint64_t size) const {
  while (::ftruncate(fd_, static_cast<off_t>(size)) != 0) {
    if (errno != EINTR) return FileError("cut", path_, errno);
  }
  return absl::OkStatus();
}

absl::Status File::Sync() const {
  while (::fdatasync(fd_) != 0) {
    if (errno != EINTR) return FileError("make durable", path_, errno);
  }
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> File::Size() const {
  struct stat status;
  if (::fstat(fd_, &status) != 0) return FileError("look at", path_, errno);
  return static_cast<uint64_t>(status.st_size);
}

bool File::Removed() const {
  struct stat status;
  return ::fstat(fd_, &status) == 0 && status.st_nlink == 0;
}

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  ASSIGN_OR_RETURN(const File file, File::Open(path, O_RDONLY));
  ASSIGN_OR_RETURN(const uint64_t size, file.Size());
  std::string content(size, '\0');
  ASSIGN_OR_RETURN(const size_t got, file.ReadAt(0, content.data(), content.size()));
  content.resize(got);
  return content;
}

absl::Status WriteFile(const std::string& path, std::string_view content) {
  const std::string unfinished = path + ".new";
  {
    ASSIGN_OR_RETURN(const File file, File::Open(unfinished, O_CREAT | O_TRUNC | O_WRONLY));
    RETURN_IF_ERROR(file.WriteAt(0, content));
    RETURN_IF_ERROR(file.Sync());
  }
  return RenameFile(unfinished, path);
}

absl::Status RenameFile(const std::string& from, const std::string& to) {
  if (std::rename(from.c_str(), to.c_str()) != 0) return FileError("rename to", to, errno);
  return SyncFolder(FolderOf(to));
}

absl::Status SyncFolder(const std::string& path) {
  ASSIGN_OR_RETURN(const File folder, File::Open(path, O_RDONLY | O_DIRECTORY));
  while (::fsync(folder.fd()) != 0) {
    if (errno != EINTR) return FileError("make durable", path, errno);
  }
  return absl::OkStatus();
}

absl::Status MakeFolder(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) == 0) return SyncFolder(FolderOf(path));
  if (errno == EEXIST) return absl::OkStatus();
  if (errno != ENOENT || FolderOf(path) == path) return FileError("make the folder", path, errno);
  RETURN_IF_ERROR(MakeFolder(FolderOf(path)));
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return FileError("make the folder", path, errno);
  return SyncFolder(FolderOf(path));
}

bool Exists(const std::string& path) {
  return ::access(path.c_str(), F_OK) == 0;
}

std::string FileName(std::string_view name) {
  std::string out;
  for (const char c : name) {
    if (absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_') {
      out.push_back(c);
    } else {
      absl::StrAppendFormat(&out, "%%%02X", static_cast<unsigned char>(c));
    }
  }
  return out;
}

bool ParseFileName(std::string_view file_name, std::string* name) {
  const auto digit = [](char c) { return absl::ascii_isdigit(static_cast<unsigned char>(c)) ? c - '0' : c - 'A' + 10; };
  name->clear();
  for (size_t i = 0; i < file_name.size(); ++i) {
    if (file_name[i] != '%') {
      name->push_back(file_name[i]);
      continue;
    }
    if (i + 2 >= file_name.size()) return false;
    name->push_back(static_cast<char>(digit(file_name[i + 1]) << 4 | digit(file_name[i + 2])));
    i += 2;
  }
  return FileName(*name) == file_name;
}

}  // namespace wallaby::spool
