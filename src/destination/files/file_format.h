// FileFormat: what files look like, how they are parted, and when one is full: what a flow says of it, parsed and
// checked. Part of the room's own library, so that flow files are checked without Arrow and S3.
#ifndef WALLABY_DESTINATION_FILES_FILE_FORMAT_H_
#define WALLABY_DESTINATION_FILES_FILE_FORMAT_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/wire_format.h"
#include "codec/parquet_compression.h"
#include "destination/destination.h"
#include "destination/files/partition.h"

namespace wallaby {

using FileCompression = ParquetCompression;

struct FileFormat {
  WireFormat format = WireFormat::kParquet;
  FileCompression compression = FileCompression::kZstd;
  std::vector<PartitionField> partition_by;
  absl::Duration roll_interval = absl::Seconds(10);
  int64_t roll_bytes = 128 << 20;

  // "parquet", "jsonl.gz".
  std::string Extension() const;
};

// True for the types that write tables as files: parquet, s3, azure, gcs.
bool WritesFiles(std::string_view type);

// `type` is one of those. INVALID_ARGUMENT naming the option and what is allowed.
absl::StatusOr<FileFormat> ParseFileFormat(std::string_view type, const DestinationConfig& config);

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_FILES_FILE_FORMAT_H_
