#include "destination/files/files_options.h"

#include <algorithm>
#include <fstream>
#include <sstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "base/units.h"

namespace wallaby {
namespace {

class Reader {
 public:
  explicit Reader(const DestinationConfig& config) : config_(config) {}

  // Null when absent or empty.
  const std::string* Find(const std::string& name) const {
    auto it = config_.options.find(name);
    return it == config_.options.end() || it->second.empty() ? nullptr : &it->second;
  }
  std::string Text(const std::string& name) const {
    const std::string* text = Find(name);
    return text == nullptr ? "" : *text;
  }
  std::string Title(std::string_view name) const {
    return absl::StrCat("option ", name, " of destination '", config_.name, "'");
  }
  absl::Status Wrong(std::string_view name, std::string_view why) const {
    return absl::InvalidArgumentError(absl::StrCat(Title(name), ": ", why));
  }
  absl::Status Bad(const std::string& name, std::string_view allowed) const {
    return Wrong(name, absl::StrCat("got '", *Find(name), "'; allowed: ", allowed));
  }
  bool IsTrue(const std::string& name) const {
    const std::string* text = Find(name);
    return text != nullptr && ParseBool(*text).value_or(false);
  }

 private:
  const DestinationConfig& config_;
};

absl::Status ReadFormat(std::string_view type, const Reader& reader, FilesOptions* out) {
  const std::string* text = type == "s3" ? reader.Find("format") : nullptr;
  if (text == nullptr) return absl::OkStatus();
  const auto format = ParseWireFormat(*text);
  if (!format || *format == WireFormat::kProto) return reader.Bad("format", "parquet, arrow, avro or json");
  out->format = *format;
  return absl::OkStatus();
}

// The compressions of a format; the first is the default.
struct FormatCompressions {
  WireFormat format;
  std::vector<FileCompression> choices;
  std::string_view allowed;
};

absl::Status ReadCompression(const Reader& reader, FilesOptions* out) {
  using C = FileCompression;
  static const FormatCompressions kFormats[] = {
      {WireFormat::kParquet, {C::kZstd, C::kNone, C::kSnappy, C::kGzip, C::kLz4}, kParquetCompressionsAllowed},
      {WireFormat::kArrow, {C::kZstd, C::kNone, C::kLz4}, "none, zstd or lz4 for format arrow"},
      {WireFormat::kJson, {C::kGzip, C::kNone, C::kZstd}, "none, gzip or zstd for format json"},
      {WireFormat::kAvro, {C::kNone}, "none for format avro"}};
  const auto& known =
      *std::find_if(std::begin(kFormats), std::end(kFormats), [&](const auto& f) { return f.format == out->format; });
  out->compression = known.choices.front();
  const std::string* text = reader.Find("compression");
  if (text == nullptr) return absl::OkStatus();
  const auto compression = ParseParquetCompression(*text);
  if (!compression || std::find(known.choices.begin(), known.choices.end(), *compression) == known.choices.end()) {
    return reader.Bad("compression", known.allowed);
  }
  out->compression = *compression;
  return absl::OkStatus();
}

absl::Status ReadRolls(const Reader& reader, FilesOptions* out) {
  if (const std::string* text = reader.Find("roll_interval")) {
    auto interval = ParseDuration(*text);
    if (!interval.ok() || *interval > absl::Hours(24)) {
      return reader.Bad("roll_interval", "a duration up to 24h, like 10s");
    }
    out->roll_interval = *interval;
  }
  if (const std::string* text = reader.Find("roll_bytes")) {
    auto bytes = ParseBytes(*text);
    if (!bytes.ok() || *bytes < (1 << 20)) return reader.Bad("roll_bytes", "a size of at least 1MiB, like 128MiB");
    constexpr int64_t kLargest = int64_t{16} << 30;  // of parts of 8 MiB, an object may have 10,000
    if (!out->s3.bucket.empty() && *bytes > kLargest) return reader.Bad("roll_bytes", "up to 16GiB in a bucket");
    out->roll_bytes = *bytes;
  }
  return absl::OkStatus();
}

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

absl::Status ReadBucket(const Reader& reader, FilesOptions* out) {
  S3Options& s3 = out->s3;
  s3.bucket = reader.Text("bucket");
  if (s3.bucket.find('/') != std::string::npos) {
    return reader.Bad("bucket", "the bucket's name alone; what comes behind it is option prefix");
  }
  out->prefix = reader.Text("prefix");
  if (!IsGoodPrefix(out->prefix)) return reader.Bad("prefix", "names with a slash between them, like lake/orders");
  if (!out->prefix.empty() && !out->prefix.ends_with('/')) out->prefix += '/';
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
  if (const std::string* ca = reader.Find("tls_ca_file")) {
    std::ifstream file(*ca);
    std::ostringstream text;
    text << file.rdbuf();
    if (!file) return reader.Bad("tls_ca_file", "a file of PEM certificates; this one cannot be read");
    s3.ca = std::move(text).str();
  }
  return absl::OkStatus();
}

}  // namespace

std::string FilesOptions::Place() const {
  if (!path.empty()) return path;
  return S3Url(s3.bucket, std::string_view(prefix).substr(0, prefix.empty() ? 0 : prefix.size() - 1));
}

std::string FilesOptions::Extension() const {
  const std::string_view packed = compression == FileCompression::kGzip   ? ".gz"
                                  : compression == FileCompression::kZstd ? ".zst"
                                                                          : "";
  switch (format) {
    case WireFormat::kArrow:
      return "arrows";
    case WireFormat::kAvro:
      return "avro";
    case WireFormat::kJson:
      return absl::StrCat("jsonl", packed);
    default:
      return "parquet";
  }
}

absl::StatusOr<FilesOptions> ParseFilesOptions(std::string_view type, const DestinationConfig& config) {
  const Reader reader(config);
  FilesOptions result;
  ASSIGN_OR_RETURN(result.table, ParseTableOptions(type, config));
  if (const std::string* mode = reader.Find("write_mode"); mode != nullptr && *mode != "append") {
    return reader.Wrong(
        "write_mode", absl::StrCat("got '", *mode,
                                   "'; allowed: append. Files are never changed, so a folder of them holds the history "
                                   "of a table; a view over it shows the current rows (docs/destinations/parquet.md)"));
  }
  result.table.write_mode = WriteMode::kAppend;
  RETURN_IF_ERROR(reader.Find("path") != nullptr ? ReadPath(reader, &result) : ReadBucket(reader, &result));
  RETURN_IF_ERROR(ReadFormat(type, reader, &result));
  RETURN_IF_ERROR(ReadCompression(reader, &result));
  RETURN_IF_ERROR(ReadRolls(reader, &result));
  if (const std::string* text = reader.Find("partition_by")) {
    auto fields = ParsePartitionBy(*text);
    if (!fields.ok()) return Annotate(fields.status(), reader.Title("partition_by"));
    result.partition_by = *std::move(fields);
  }
  return result;
}

}  // namespace wallaby
