#include "destination/files/local_output.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "destination/files/folder.h"

namespace wallaby {

absl::StatusOr<std::unique_ptr<FileOutput>> LocalOutput::Create(const std::string& folder, std::string staged,
                                                                FileName name, std::string id) {
  std::string file = absl::StrCat(folder, "/", staged);
  const int fd = open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (fd < 0) return ErrnoStatus(errno, "making", file);
  return std::unique_ptr<FileOutput>(
      new LocalOutput(fd, std::move(file), std::move(staged), std::move(name), std::move(id)));
}

LocalOutput::LocalOutput(int fd, std::string file, std::string staged, FileName name, std::string id)
    : fd_(fd), file_(std::move(file)), staged_(std::move(staged)), name_(std::move(name)), id_(std::move(id)) {}

LocalOutput::~LocalOutput() {
  Close();
  if (!finished_) unlink(file_.c_str());
}

absl::Status LocalOutput::Write(std::string_view bytes) {
  RETURN_IF_ERROR(WriteAll(fd_, bytes, file_));
  written_ += static_cast<int64_t>(bytes.size());
  return absl::OkStatus();
}

absl::Status LocalOutput::Finish(Lsn last) {
  if (fsync(fd_) != 0) return ErrnoStatus(errno, "syncing", file_);
  Close();
  path_ = FilePath(name_, last, id_);
  finished_ = true;
  return absl::OkStatus();
}

void LocalOutput::Close() {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
}

}  // namespace wallaby
