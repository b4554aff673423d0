#include "destination/files/file_format.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "base/units.h"
#include "destination/option_reader.h"

namespace wallaby {
namespace {

absl::Status ReadFormat(std::string_view type, const OptionReader& reader, FileFormat* out) {
  const std::string* text = reader.Find("format");
  if (text == nullptr) return absl::OkStatus();
  if (type == "parquet") {
    if (*text == "parquet") return absl::OkStatus();
    return reader.Bad("format", "parquet, which type parquet writes always; types s3, azure and gcs write others");
  }
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

absl::Status ReadCompression(const OptionReader& reader, FileFormat* out) {
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

absl::Status ReadRolls(const OptionReader& reader, FileFormat* out) {
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
    if (reader.Find("path") == nullptr && *bytes > kLargest) {
      return reader.Bad("roll_bytes", "up to 16GiB in a bucket");
    }
    out->roll_bytes = *bytes;
  }
  return absl::OkStatus();
}

}  // namespace

std::string FileFormat::Extension() const {
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

bool WritesFiles(std::string_view type) {
  return type == "parquet" || type == "s3" || type == "azure" || type == "gcs";
}

absl::StatusOr<FileFormat> ParseFileFormat(std::string_view type, const DestinationConfig& config) {
  const OptionReader reader(config);
  FileFormat result;
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
