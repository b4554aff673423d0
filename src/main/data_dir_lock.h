// DataDirLock: one server for each data folder.
#ifndef WALLABY_MAIN_DATA_DIR_LOCK_H_
#define WALLABY_MAIN_DATA_DIR_LOCK_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace wallaby {

// Held until the object or the process ends.
class DataDirLock {
 public:
  // Makes the folder when it is missing. FAILED_PRECONDITION naming the holder's pid when another server has it.
  static absl::StatusOr<std::unique_ptr<DataDirLock>> Take(const std::string& data_dir);
  ~DataDirLock();
  DataDirLock(const DataDirLock&) = delete;
  DataDirLock& operator=(const DataDirLock&) = delete;

 private:
  explicit DataDirLock(int fd) : fd_(fd) {}
  const int fd_;
};

}  // namespace wallaby

#endif  // WALLABY_MAIN_DATA_DIR_LOCK_H_
