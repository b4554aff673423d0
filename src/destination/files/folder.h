// Steps on a folder that survive a crash: each returns only when what it says is on the disk.
//
// Errors name the path: a full disk or quota is RESOURCE_EXHAUSTED, missing rights PERMISSION_DENIED, a read-only or
// unsuitable place FAILED_PRECONDITION, anything else UNAVAILABLE.
#ifndef WALLABY_DESTINATION_FILES_FOLDER_H_
#define WALLABY_DESTINATION_FILES_FOLDER_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace wallaby {

absl::Status ErrnoStatus(int error, std::string_view doing, std::string_view path);

// All of it, or an error that names the path.
absl::Status WriteAll(int fd, std::string_view content, const std::string& path);
// Makes the folder and those above it where they are missing; their entries are on the disk on return.
absl::Status MakeFolders(const std::string& path);
absl::Status SyncFolder(const std::string& path);
// Replaces `path` by a file with this content, whole or not at all.
absl::Status ReplaceFile(const std::string& path, std::string_view content);
// NOT_FOUND when there is no such file.
absl::StatusOr<std::string> ReadFile(const std::string& path);
bool FileExists(const std::string& path);
// Moves a file where no file may be yet. The caller syncs the folders.
absl::Status MoveFile(const std::string& from, const std::string& to);
// Removes a file if it is there.
absl::Status RemoveFile(const std::string& path);
// Plain files in a folder, names only; none when the folder is missing.
absl::StatusOr<std::vector<std::string>> ListFiles(const std::string& path);
// Plain files below a folder, paths relative to it; none when it is missing.
absl::StatusOr<std::vector<std::string>> ListFilesBelow(const std::string& path);

// Keeps other processes out of a folder, for as long as the object lives or the process runs.
class FolderLock {
 public:
  FolderLock() = default;
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

  bool held() const { return fd_ >= 0; }
  // UNAVAILABLE while another process holds it: that one may be about to end.
  absl::Status Acquire(const std::string& path);
  // FAILED_PRECONDITION "fenced" when the lock file is not the one that was locked.
  absl::Status Check() const;

 private:
  int fd_ = -1;
  std::string path_;
};

// Tests let a step fail, or copy the folder as a crash there would leave it. Null in production.
using FilesProbe = absl::Status (*)(std::string_view step);
void SetFilesProbe(FilesProbe probe);
// Calls the probe, if there is one.
absl::Status ProbeStep(std::string_view step);

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_FILES_FOLDER_H_
