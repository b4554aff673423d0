#include "spool/spool.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "spool/about.h"
#include "spool/file.h"
#include "spool/lock.h"
#include "spool/lsn_file.h"
#include "spool/segment.h"
#include "spool/spool_lock.h"

namespace wallaby {
namespace {

namespace fs = std::filesystem;

// What is being removed: a name that no spool has.
constexpr std::string_view kRemoved = ".removed";

constexpr int64_t kSegmentsInLimit = 8;
constexpr int64_t kSmallestSegment = 64 << 10;

absl::Status RemoveAll(const std::string& folder) {
  std::error_code error;
  fs::remove_all(folder, error);
  return error ? spool::FileError("remove", folder, error.value()) : absl::OkStatus();
}

absl::Status RemoveLocked(const std::string& folder) {
  const std::string removed = absl::StrCat(folder, kRemoved);
  RETURN_IF_ERROR(RemoveAll(removed));  // a removal that was cut off
  RETURN_IF_ERROR(spool::RenameFile(folder, removed));
  return RemoveAll(removed);
}

}  // namespace

int64_t SpoolSegmentBytes(const SpoolOptions& options) {
  if (options.limit <= 0) return options.segment_bytes;
  return std::min(options.segment_bytes, std::max(options.limit / kSegmentsInLimit, kSmallestSegment));
}

std::string SpoolFolder(const SpoolOptions& options, const SpoolName& name) {
  return absl::StrCat(options.root, "/", spool::FileName(name.system_identifier), "-", spool::FileName(name.slot));
}

bool SpoolExists(const SpoolOptions& options, const SpoolName& name) {
  const auto segments = spool::ListSegments(SpoolFolder(options, name));
  return segments.ok() && !segments->empty();
}

absl::StatusOr<Lsn> SpoolBegin(const SpoolOptions& options, const SpoolName& name) {
  const auto segments = spool::ListSegments(SpoolFolder(options, name));
  if (absl::IsNotFound(segments.status())) return Lsn{};
  RETURN_IF_ERROR(segments.status());
  return segments->empty() ? Lsn{} : segments->front();
}

absl::Status CheckSpoolPublication(const SpoolOptions& options, const SpoolName& name, const std::string& publication) {
  const std::string folder = SpoolFolder(options, name);
  const auto about = spool::ReadAbout(folder);
  if (absl::IsNotFound(about.status())) return absl::OkStatus();
  RETURN_IF_ERROR(about.status());
  return spool::CheckPublication(folder, *about, publication);
}

absl::StatusOr<int64_t> SpoolBytes(const std::string& root) {
  int64_t bytes = 0;
  std::error_code error;
  for (fs::recursive_directory_iterator entry(root, error), end; !error && entry != end; entry.increment(error)) {
    std::error_code gone;  // a segment that was removed meanwhile takes no room
    const auto size = entry->is_regular_file(gone) ? entry->file_size(gone) : 0;
    if (!gone) bytes += static_cast<int64_t>(size);
  }
  if (error && error.value() != ENOENT) return spool::FileError("list", root, error.value());
  return bytes;
}

absl::StatusOr<int64_t> SpoolBytesBehind(const SpoolOptions& options, const SpoolName& name, Lsn from) {
  const std::string folder = SpoolFolder(options, name);
  const auto segments = spool::ListSegments(folder);
  if (absl::IsNotFound(segments.status())) return 0;
  RETURN_IF_ERROR(segments.status());
  // One that has not been written since it was made by an older version says nothing.
  const auto last_file = spool::LsnFile::Open(spool::LastPath(folder));
  const absl::StatusOr<Lsn> last = last_file.ok() ? last_file->Read() : last_file.status();
  if (last.ok() && *last < from) return 0;
  int64_t bytes = 0;
  for (size_t i = 0; i < segments->size(); ++i) {
    const bool last = i + 1 == segments->size();
    if (!last && (*segments)[i + 1] <= from) continue;
    std::error_code gone;
    const auto size = fs::file_size(spool::SegmentPath(folder, (*segments)[i]), gone);
    if (!gone) bytes += static_cast<int64_t>(size);
  }
  return bytes;
}

absl::Status RemoveSpool(const SpoolOptions& options, const SpoolName& name, std::unique_ptr<SpoolLock> lock) {
  const absl::Status removed = RemoveLocked(SpoolFolder(options, name));
  lock.reset();
  return removed;
}

absl::Status RemoveSpoolFolder(const std::string& folder) {
  if (!spool::Exists(folder)) return RemoveAll(absl::StrCat(folder, kRemoved));
  ASSIGN_OR_RETURN(const spool::File lock, spool::LockSpool(folder));
  return RemoveLocked(folder);
}

absl::Status CheckSpoolRoot(const std::string& root) {
  RETURN_IF_ERROR(spool::MakeFolder(root));
  // Servers that share the folder must not meet here.
  const std::string path = absl::StrCat(root, "/.probe-", ::getpid());
  const absl::Status written = spool::WriteFile(path, "");
  for (const std::string& left : {path, path + ".new"}) ::unlink(left.c_str());
  return written;
}

}  // namespace wallaby
