// What a flow may say about a destination of type parquet or s3, parsed and checked.
#ifndef WALLABY_DESTINATION_FILES_FILES_OPTIONS_H_
#define WALLABY_DESTINATION_FILES_FILES_OPTIONS_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "codec/parquet_compression.h"
#include "destination/destination.h"
#include "destination/files/partition.h"
#include "destination/options.h"
#include "destination/s3/s3_client.h"

namespace wallaby {

using FileCompression = ParquetCompression;

struct FilesOptions {
  TableOptions table;
  std::string path;    // local folder; empty: a bucket
  S3Options s3;        // where there is a bucket
  std::string prefix;  // of keys in it; "" or with a slash at its end
  WireFormat format = WireFormat::kParquet;
  FileCompression compression = FileCompression::kZstd;
  std::vector<PartitionField> partition_by;
  absl::Duration roll_interval = absl::Seconds(10);
  int64_t roll_bytes = 128 << 20;

  // "/data/lake" or "s3://bucket/prefix", without a slash at its end.
  std::string Place() const;
  // "parquet", "jsonl.gz".
  std::string Extension() const;
};

// `type` is parquet or s3. INVALID_ARGUMENT naming the option and what is allowed.
absl::StatusOr<FilesOptions> ParseFilesOptions(std::string_view type, const DestinationConfig& config);

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_FILES_FILES_OPTIONS_H_
