#include "spool/lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace wallaby::spool {
namespace {

// The path leads to this file: nobody removed the spool between open and lock.
bool IsAt(const File& file, const std::string& path) {
  struct stat open_file;
  struct stat named;
  return ::fstat(file.fd(), &open_file) == 0 && ::stat(path.c_str(), &named) == 0 && open_file.st_ino == named.st_ino &&
         open_file.st_dev == named.st_dev;
}

}  // namespace

absl::StatusOr<File> LockSpool(const std::string& folder) {
  const std::string path = folder + "/LOCK";
  ASSIGN_OR_RETURN(File file, File::Open(path, O_CREAT | O_RDWR));
  while (::flock(file.fd(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EINTR) continue;
    if (errno != EWOULDBLOCK) return FileError("lock", path, errno);
    const auto pid = ReadFile(path);
    return absl::AbortedError(absl::StrCat("spool: ", folder, " is written by another process, pid ",
                                           pid.ok() ? absl::StripAsciiWhitespace(*pid) : "unknown"));
  }
  if (!IsAt(file, path)) {
    return absl::UnavailableError(absl::StrCat("spool: ", folder, " was removed just now; try again"));
  }
  RETURN_IF_ERROR(file.Truncate(0));
  RETURN_IF_ERROR(file.WriteAt(0, absl::StrCat(::getpid(), "\n")));
  return file;
}

}  // namespace wallaby::spool
