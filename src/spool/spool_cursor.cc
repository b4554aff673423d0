#include "spool/spool_cursor.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "spool/file.h"
#include "spool/lsn_file.h"

namespace wallaby {
namespace {

namespace fs = std::filesystem;

// In no id of a flow and in no name of a destination.
constexpr char kSeparator = ':';

std::string CursorFolder(const SpoolOptions& options, const SpoolName& name) {
  return SpoolFolder(options, name) + "/cursors";
}
std::string CursorPath(const SpoolOptions& options, const SpoolName& name, const std::string& cursor_id) {
  return absl::StrCat(CursorFolder(options, name), "/", spool::FileName(cursor_id));
}

class FileCursor : public SpoolCursor {
 public:
  FileCursor(spool::LsnFile file, Lsn at) : file_(std::move(file)), at_(at) {}

  absl::Status Move(Lsn to) override {
    if (to <= at_) return absl::OkStatus();
    RETURN_IF_ERROR(file_.Write(to));
    at_ = to;
    return absl::OkStatus();
  }

 private:
  spool::LsnFile file_;
  Lsn at_;
};

// Nothing when it was forgotten meanwhile.
absl::StatusOr<std::optional<Lsn>> ReadCursor(const std::string& path) {
  const auto file = spool::LsnFile::Open(path);
  if (absl::IsNotFound(file.status())) return std::nullopt;
  RETURN_IF_ERROR(file.status());
  ASSIGN_OR_RETURN(const Lsn lsn, file->Read());
  return lsn;
}

// True when there was one.
absl::StatusOr<bool> ForgetFlowInFolder(const std::string& cursors, const std::string& flow_id) {
  std::vector<std::string> paths;
  std::error_code error;
  for (fs::directory_iterator entry(cursors, error), end; !error && entry != end; entry.increment(error)) {
    std::string id;
    if (!spool::ParseFileName(entry->path().filename().string(), &id) || FlowOfCursor(id) != flow_id) continue;
    paths.push_back(entry->path().string());
  }
  for (const std::string& path : paths) {
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) return spool::FileError("remove", path, errno);
  }
  if (!paths.empty()) RETURN_IF_ERROR(spool::SyncFolder(cursors));
  return !paths.empty();
}

}  // namespace

std::string LaneCursorId(const std::string& flow_id, const std::string& destination) {
  return absl::StrCat(flow_id, std::string(1, kSeparator), destination);
}

std::string FlowOfCursor(const std::string& cursor_id) {
  return cursor_id.substr(0, cursor_id.find(kSeparator));
}

std::string DestinationOfCursor(const std::string& cursor_id) {
  const size_t at = cursor_id.find(kSeparator);
  return at == std::string::npos ? "" : cursor_id.substr(at + 1);
}

absl::StatusOr<std::unique_ptr<SpoolCursor>> SpoolCursor::Register(const SpoolOptions& options, const SpoolName& name,
                                                                   const std::string& cursor_id, Lsn at) {
  if (cursor_id.empty()) return absl::InvalidArgumentError("spool: a cursor needs the id of its flow");
  RETURN_IF_ERROR(spool::MakeFolder(CursorFolder(options, name)));
  ASSIGN_OR_RETURN(spool::LsnFile file, spool::LsnFile::Make(CursorPath(options, name, cursor_id), at));
  return std::make_unique<FileCursor>(std::move(file), at);
}

absl::StatusOr<std::map<std::string, Lsn>> SpoolCursors(const SpoolOptions& options, const SpoolName& name) {
  std::map<std::string, Lsn> cursors;
  const std::string folder = CursorFolder(options, name);
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    std::string id;
    if (!spool::ParseFileName(entry->path().filename().string(), &id)) continue;  // being made
    const auto at = ReadCursor(entry->path().string());
    if (!at.ok()) {
      return Annotate(at.status(), absl::StrCat("the cursor of flow ", id,
                                                "; start the flow, which writes it anew, or remove the file when "
                                                "there is no such flow"));
    }
    if (at->has_value()) cursors[id] = **at;
  }
  if (error && error.value() != ENOENT) return spool::FileError("list", folder, error.value());
  return cursors;
}

absl::Status ForgetFlowInSpools(const std::string& root, const std::string& flow_id) {
  std::error_code error;
  for (fs::directory_iterator entry(root, error), end; !error && entry != end; entry.increment(error)) {
    const std::string folder = entry->path().string();
    const std::string cursors = folder + "/cursors";
    ASSIGN_OR_RETURN(const bool forgotten, ForgetFlowInFolder(cursors, flow_id));
    if (!forgotten || !fs::is_empty(cursors, error)) continue;
    const absl::Status removed = RemoveSpoolFolder(folder);
    if (!removed.ok() && !absl::IsAborted(removed)) return removed;
  }
  return error && error.value() != ENOENT ? spool::FileError("list", root, error.value()) : absl::OkStatus();
}

absl::Status ForgetSpoolCursor(const SpoolOptions& options, const SpoolName& name, const std::string& cursor_id) {
  const std::string path = CursorPath(options, name, cursor_id);
  if (::unlink(path.c_str()) != 0) {
    return errno == ENOENT ? absl::OkStatus() : spool::FileError("remove", path, errno);
  }
  return spool::SyncFolder(CursorFolder(options, name));
}

}  // namespace wallaby
