#include "destination/files/files_options.h"

#include <fstream>
#include <sstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "base/units.h"
#include "destination/azure/azure_client.h"
#include "destination/gcs/gcs_client.h"
#include "destination/option_reader.h"

namespace wallaby {
namespace {

class Reader : public OptionReader {
 public:
  using OptionReader::OptionReader;

  bool IsTrue(const std::string& name) const {
    const std::string* text = Find(name);
    return text != nullptr && ParseBool(*text).value_or(false);
  }
};

absl::Status ReadPath(const Reader& reader, FilesOptions* out) {
  const std::string* path = reader.Find("path");
  if (path->find("://") != path->npos) {
    return reader.Wrong("path", "it is a local folder; for an object store give bucket and prefix");
  }
  for (const char* name : {"prefix", "region", "endpoint", "access_key", "secret_key", "session_token",
                           "force_path_style", "use_fips", "use_dualstack", "tls_ca_file"}) {
    if (reader.Find(name) != nullptr) return reader.Wrong(name, "it goes with bucket, and path is given");
  }
  out->path = *path;
  while (out->path.size() > 1 && out->path.back() == '/') out->path.pop_back();
  return absl::OkStatus();
}

// Between slashes, as some stores and most readers take "a//b" and "./b" for other names than they look.
bool IsGoodPrefix(std::string_view prefix) {
  return !prefix.starts_with('/') && prefix.find("//") == prefix.npos && prefix.find("./") == prefix.npos;
}

absl::Status ReadS3(const Reader& reader, FilesOptions* out) {
  S3Options s3;
  s3.bucket = reader.Text("bucket");
  if (s3.bucket.find('/') != std::string::npos) {
    return reader.Bad("bucket", "the bucket's name alone; what comes behind it is option prefix");
  }
  s3.endpoint = reader.Text("endpoint");
  for (const std::string& region :
       {reader.Text("region"), FromEnvironment("AWS_REGION"), FromEnvironment("AWS_DEFAULT_REGION")}) {
    if (region.empty()) continue;
    s3.region = region;
    break;
  }
  s3.credentials = {reader.Text("access_key"), reader.Text("secret_key"), reader.Text("session_token")};
  if (s3.credentials.access_key.empty() != s3.credentials.secret_key.empty()) {
    return reader.Wrong(s3.credentials.access_key.empty() ? "access_key" : "secret_key",
                        "is missing; give access_key and secret_key together, or neither");
  }
  if (reader.Find("force_path_style") != nullptr) s3.path_style = reader.IsTrue("force_path_style");
  s3.use_fips = reader.IsTrue("use_fips");
  s3.use_dualstack = reader.IsTrue("use_dualstack");
  for (const char* name : {"use_fips", "use_dualstack"}) {
    if (!s3.endpoint.empty() && reader.IsTrue(name)) return reader.Wrong(name, "endpoint says which host it is");
  }
  out->bucket = std::move(s3);
  return absl::OkStatus();
}

absl::Status ReadAzure(const DestinationConfig& config, FilesOptions* out) {
  ASSIGN_OR_RETURN(AzureOptions azure, ParseAzureOptions(config));
  RETURN_IF_ERROR(AddAzureEnvironment(&azure, config));
  out->bucket = std::move(azure);
  return absl::OkStatus();
}

absl::Status ReadGcs(const DestinationConfig& config, FilesOptions* out) {
  ASSIGN_OR_RETURN(out->bucket, ParseGcsOptions(config));
  return absl::OkStatus();
}

// Of any kind of bucket.
absl::Status ReadBucket(std::string_view type, const Reader& reader, const DestinationConfig& config,
                        FilesOptions* out) {
  RETURN_IF_ERROR(type == "azure" ? ReadAzure(config, out)
                  : type == "gcs" ? ReadGcs(config, out)
                                  : ReadS3(reader, out));
  out->prefix = reader.Text("prefix");
  if (!IsGoodPrefix(out->prefix)) return reader.Bad("prefix", "names with a slash between them, like lake/orders");
  if (!out->prefix.empty() && !out->prefix.ends_with('/')) out->prefix += '/';
  const std::string* ca = reader.Find("tls_ca_file");
  if (ca == nullptr) return absl::OkStatus();
  std::ifstream file(*ca);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file) return reader.Bad("tls_ca_file", "a file of PEM certificates; this one cannot be read");
  std::visit([&](auto& bucket) { bucket.ca = std::move(text).str(); }, out->bucket);
  return absl::OkStatus();
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
  const Reader reader(config);
  FilesOptions result;
  ASSIGN_OR_RETURN(result.table, ParseTableOptions(type, config));
  ASSIGN_OR_RETURN(static_cast<FileFormat&>(result), ParseFileFormat(type, config));
  if (const std::string* mode = reader.Find("write_mode"); mode != nullptr && *mode != "append") {
    return reader.Wrong(
        "write_mode", absl::StrCat("got '", *mode,
                                   "'; allowed: append. Files are never changed, so a folder of them holds the history "
                                   "of a table; a view over it shows the current rows (docs/destinations/parquet.md)"));
  }
  result.table.write_mode = WriteMode::kAppend;
  RETURN_IF_ERROR(reader.Find("path") != nullptr ? ReadPath(reader, &result)
                                                 : ReadBucket(type, reader, config, &result));
  return result;
}

}  // namespace wallaby
