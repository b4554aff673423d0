#include "destination/files/files_options.h"

#include <utility>

#include "base/status.h"
#include "destination/option_reader.h"
#include "destination/s3/bucket_options.h"

namespace wallaby {
namespace {

absl::Status ReadPath(const OptionReader& reader, FilesOptions* out) {
  out->path = *reader.Find("path");
  while (out->path.size() > 1 && out->path.back() == '/') out->path.pop_back();
  return absl::OkStatus();
}

absl::Status ReadBucket(const OptionReader& reader, FilesOptions* out) {
  ASSIGN_OR_RETURN(BucketOptions bucket, ParseBucketOptions(reader));
  RETURN_IF_ERROR(CompleteBucketOptions(reader, "", &bucket));
  out->s3 = std::move(bucket.s3);
  out->prefix = std::move(bucket.prefix);
  return absl::OkStatus();
}

}  // namespace

std::string FilesOptions::Place() const {
  if (!path.empty()) return path;
  return S3Url(s3.bucket, std::string_view(prefix).substr(0, prefix.empty() ? 0 : prefix.size() - 1));
}

absl::StatusOr<FilesOptions> ParseFilesOptions(std::string_view type, const DestinationConfig& config) {
  const OptionReader reader(config);
  FilesOptions result;
  ASSIGN_OR_RETURN(result.table, ParseTableOptions(type, config));
  ASSIGN_OR_RETURN(static_cast<FileFormat&>(result), ParseFileFormat(type, config));
  result.table.write_mode = WriteMode::kAppend;
  RETURN_IF_ERROR(reader.Find("path") != nullptr ? ReadPath(reader, &result) : ReadBucket(reader, &result));
  return result;
}

}  // namespace wallaby
