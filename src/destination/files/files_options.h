// What a flow may say about a destination of files (WritesFiles()), parsed and checked.
#ifndef WALLABY_DESTINATION_FILES_FILES_OPTIONS_H_
#define WALLABY_DESTINATION_FILES_FILES_OPTIONS_H_

#include <string>
#include <string_view>
#include <variant>

#include "absl/status/statusor.h"
#include "destination/azure/azure_options.h"
#include "destination/destination.h"
#include "destination/files/file_format.h"
#include "destination/gcs/gcs_options.h"
#include "destination/options.h"
#include "destination/s3/s3_client.h"

namespace wallaby {

struct FilesOptions : FileFormat {
  TableOptions table;
  std::string path;                                          // local folder; empty: a bucket
  std::variant<S3Options, AzureOptions, GcsOptions> bucket;  // without a path
  std::string prefix;                                        // of keys in it; "" or with a slash at its end

  // "/data/lake" or "s3://bucket/prefix", "az://container/prefix", "gs://bucket/prefix", without a slash at its end.
  std::string Place() const;
};

// `type` is one that WritesFiles(). INVALID_ARGUMENT naming the option and what is allowed.
absl::StatusOr<FilesOptions> ParseFilesOptions(std::string_view type, const DestinationConfig& config);

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_FILES_FILES_OPTIONS_H_
