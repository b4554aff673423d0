#include "spool/spool_lock.h"

#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "spool/file.h"
#include "spool/lock.h"

namespace wallaby {
namespace {

class FileLock final : public SpoolLock {
 public:
  explicit FileLock(spool::File file) : file_(std::move(file)) {}

 private:
  const spool::File file_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<SpoolLock>> SpoolLock::Take(const SpoolOptions& options, const SpoolName& name) {
  const std::string folder = SpoolFolder(options, name);
  RETURN_IF_ERROR(spool::MakeFolder(folder));
  auto file = spool::LockSpool(folder);
  if (absl::IsNotFound(file.status())) {
    return absl::UnavailableError(absl::StrCat("spool: ", folder, " was removed just now; try again"));
  }
  RETURN_IF_ERROR(file.status());
  return std::make_unique<FileLock>(*std::move(file));
}

bool SpoolLock::IsTaken(const SpoolOptions& options, const SpoolName& name) {
  const auto file = spool::File::Open(SpoolFolder(options, name) + "/LOCK", O_RDONLY);
  if (!file.ok()) return false;
  // Let go with the file.
  return ::flock(file->fd(), LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

}  // namespace wallaby
