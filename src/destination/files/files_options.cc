#include "destination/files/files_options.h"

#include <utility>

#include "base/status.h"
#include "destination/azure/azure_client.h"
#include "destination/gcs/gcs_client.h"
#include "destination/objects/object_options.h"
#include "destination/option_reader.h"
#include "destination/s3/bucket_options.h"

namespace wallaby {
namespace {

void ReadPath(const OptionReader& reader, FilesOptions* out) {
  out->path = *reader.Find("path");
  while (out->path.size() > 1 && out->path.back() == '/') out->path.pop_back();
}

absl::Status ReadS3(const OptionReader& reader, FilesOptions* out) {
  ASSIGN_OR_RETURN(BucketOptions bucket, ParseBucketOptions(reader));
  RETURN_IF_ERROR(CompleteBucketOptions(reader, "", &bucket));
  out->bucket = std::move(bucket.s3);
  out->prefix = std::move(bucket.prefix);
  return absl::OkStatus();
}

absl::Status ReadAzure(const OptionReader& reader, const DestinationConfig& config, FilesOptions* out) {
  ASSIGN_OR_RETURN(AzureOptions azure, ParseAzureOptions(config));
  RETURN_IF_ERROR(AddAzureEnvironment(&azure, config));
  ASSIGN_OR_RETURN(azure.ca, ReadCertificates(reader, "tls_ca_file"));
  ASSIGN_OR_RETURN(out->prefix, ParseKeyPrefix(reader, "prefix"));
  out->bucket = std::move(azure);
  return absl::OkStatus();
}

absl::Status ReadGcs(const OptionReader& reader, const DestinationConfig& config, FilesOptions* out) {
  ASSIGN_OR_RETURN(GcsOptions gcs, ParseGcsOptions(config));
  ASSIGN_OR_RETURN(gcs.ca, ReadCertificates(reader, "tls_ca_file"));
  ASSIGN_OR_RETURN(out->prefix, ParseKeyPrefix(reader, "prefix"));
  out->bucket = std::move(gcs);
  return absl::OkStatus();
}

// Of any kind of bucket.
absl::Status ReadBucket(std::string_view type, const OptionReader& reader, const DestinationConfig& config,
                        FilesOptions* out) {
  if (type == "azure") return ReadAzure(reader, config, out);
  if (type == "gcs") return ReadGcs(reader, config, out);
  return ReadS3(reader, out);
}

}  // namespace

std::string FilesOptions::Place() const {
  if (!path.empty()) return path;
  const std::string_view key = std::string_view(prefix).substr(0, prefix.empty() ? 0 : prefix.size() - 1);
  if (const auto* azure = std::get_if<AzureOptions>(&bucket)) return AzureUrl(azure->container, key);
  if (const auto* gcs = std::get_if<GcsOptions>(&bucket)) return GcsUrl(gcs->bucket, key);
  return S3Url(std::get<S3Options>(bucket).bucket, key);
}

absl::StatusOr<FilesOptions> ParseFilesOptions(std::string_view type, const DestinationConfig& config) {
  const OptionReader reader(config);
  FilesOptions result;
  ASSIGN_OR_RETURN(result.table, ParseTableOptions(type, config));
  ASSIGN_OR_RETURN(static_cast<FileFormat&>(result), ParseFileFormat(type, config));
  result.table.write_mode = WriteMode::kAppend;
  if (reader.Find("path") != nullptr) {
    ReadPath(reader, &result);
  } else {
    RETURN_IF_ERROR(ReadBucket(type, reader, config, &result));
  }
  return result;
}

}  // namespace wallaby
