// What a flow may say about a parquet destination, parsed and checked.
#ifndef WALLABY_DESTINATION_PARQUET_PARQUET_OPTIONS_H_
#define WALLABY_DESTINATION_PARQUET_PARQUET_OPTIONS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "codec/parquet_compression.h"
#include "destination/destination.h"
#include "destination/options.h"
#include "destination/parquet/partition.h"

namespace wallaby {

struct ParquetOptions {
  TableOptions table;
  std::string path;
  ParquetCompression compression = ParquetCompression::kZstd;
  std::vector<PartitionField> partition_by;
  absl::Duration roll_interval = absl::Seconds(10);
  int64_t roll_bytes = 128 << 20;
};

// INVALID_ARGUMENT or UNIMPLEMENTED naming the option and what is allowed.
absl::StatusOr<ParquetOptions> ParseParquetOptions(const DestinationConfig& config);

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_PARQUET_PARQUET_OPTIONS_H_
