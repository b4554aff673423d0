// DataFile: one Parquet file while it is written in the staging folder. Rows leave memory with every row group.
#ifndef WALLABY_DESTINATION_PARQUET_DATA_FILE_H_
#define WALLABY_DESTINATION_PARQUET_DATA_FILE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "destination/parquet/parquet_options.h"

namespace arrow {
class RecordBatch;
class Schema;
}  // namespace arrow

namespace wallaby {

class DataFile {
 public:
  // `notes` become key-value metadata of the file. The file must not exist yet.
  static absl::StatusOr<std::unique_ptr<DataFile>> Create(const std::string& path, const arrow::Schema& schema,
                                                          ParquetCompression compression,
                                                          const std::map<std::string, std::string>& notes);
  // Removes the file, unless it was finished.
  ~DataFile();
  DataFile(const DataFile&) = delete;
  DataFile& operator=(const DataFile&) = delete;

  // One row group.
  absl::Status Write(const std::shared_ptr<arrow::RecordBatch>& rows);
  // Writes the footer; the content is on the disk on return. The folder's entry is the caller's to sync.
  absl::Status Finish();

  int64_t bytes() const;
  int64_t rows() const { return rows_; }

 private:
  struct Impl;
  DataFile();

  std::unique_ptr<Impl> impl_;
  std::string path_;
  int64_t rows_ = 0;
  bool finished_ = false;
};

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_PARQUET_DATA_FILE_H_
