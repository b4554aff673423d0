// A file in the staging folder while it is written.
#ifndef WALLABY_DESTINATION_FILES_LOCAL_OUTPUT_H_
#define WALLABY_DESTINATION_FILES_LOCAL_OUTPUT_H_

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "destination/files/file_store.h"

namespace wallaby {

class LocalOutput : public FileOutput {
 public:
  // `name` and `id` make the final path. There must be no file at `folder`/`staged`.
  static absl::StatusOr<std::unique_ptr<FileOutput>> Create(const std::string& folder, std::string staged,
                                                            FileName name, std::string id);
  // Removes the file, unless it was finished.
  ~LocalOutput() override;
  LocalOutput(const LocalOutput&) = delete;
  LocalOutput& operator=(const LocalOutput&) = delete;

  absl::Status Write(std::string_view bytes) override;
  // The folder's entry is the caller's to sync.
  absl::Status Finish(Lsn last) override;
  int64_t written() const override { return written_; }
  int64_t held() const override { return 0; }
  std::string path() const override { return path_; }
  std::string staged() const override { return staged_; }

 private:
  LocalOutput(int fd, std::string file, std::string staged, FileName name, std::string id);
  void Close();

  int fd_;
  const std::string file_;
  const std::string staged_;
  const FileName name_;
  const std::string id_;
  std::string path_;
  int64_t written_ = 0;
  bool finished_ = false;
};

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_FILES_LOCAL_OUTPUT_H_
