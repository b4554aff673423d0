#include "spool/notice.h"

#include <sys/inotify.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "spool/file.h"

namespace wallaby::spool {
namespace {

absl::Status WatchError(const std::string& folder, int error) {
  if (error == EMFILE || error == ENFILE || error == ENOSPC) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "spool: cannot watch ", folder, ": ", std::strerror(error),
        "; raise fs.inotify.max_user_instances and fs.inotify.max_user_watches (sysctl), or the limit of open files"));
  }
  return FileError("watch", folder, error);
}

}  // namespace

absl::StatusOr<Notice> Notice::Watch(const std::string& folder) {
  Notice notice(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (notice.fd_ < 0) return WatchError(folder, errno);
  if (::inotify_add_watch(notice.fd_, folder.c_str(), IN_MODIFY | IN_MOVED_TO | IN_ONLYDIR) < 0) {
    return WatchError(folder, errno);
  }
  return notice;
}

Notice::~Notice() {
  if (fd_ >= 0) ::close(fd_);
}

void Notice::Clear() const {
  char events[4096];
  while (::read(fd_, events, sizeof(events)) > 0) {
  }
}

}  // namespace wallaby::spool
