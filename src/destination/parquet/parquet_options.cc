#include "destination/parquet/parquet_options.h"

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
  std::string Title(std::string_view name) const {
    return absl::StrCat("option ", name, " of destination '", config_.name, "'");
  }
  absl::Status Bad(const std::string& name, std::string_view allowed) const {
    return absl::InvalidArgumentError(absl::StrCat(Title(name), ": got '", *Find(name), "'; allowed: ", allowed));
  }

 private:
  const DestinationConfig& config_;
};

absl::Status RefuseObjectStores(const Reader& reader) {
  for (const char* name : {"bucket", "prefix", "region", "endpoint", "access_key", "secret_key", "session_token",
                           "force_path_style", "use_fips", "use_dualstack"}) {
    if (reader.Find(name) == nullptr) continue;
    return absl::UnimplementedError(
        absl::StrCat(reader.Title(name), ": object stores are not implemented yet; give path, a local folder"));
  }
  return absl::OkStatus();
}

absl::StatusOr<ParquetCompression> ParseCompression(const Reader& reader) {
  const std::string* text = reader.Find("compression");
  if (text == nullptr) return ParquetCompression::kZstd;
  if (const auto compression = ParseParquetCompression(*text)) return *compression;
  return reader.Bad("compression", kParquetCompressionsAllowed);
}

}  // namespace

absl::StatusOr<ParquetOptions> ParseParquetOptions(const DestinationConfig& config) {
  const Reader reader(config);
  ParquetOptions result;
  // This type's own two that the shared table need not know.
  DestinationConfig shared = config;
  shared.options.erase("roll_interval");
  shared.options.erase("roll_bytes");
  RETURN_IF_ERROR(RefuseObjectStores(reader));
  ASSIGN_OR_RETURN(result.table, ParseTableOptions("parquet", shared));

  if (const std::string* mode = reader.Find("write_mode"); mode != nullptr && *mode != "append") {
    return absl::InvalidArgumentError(
        absl::StrCat(reader.Title("write_mode"), ": got '", *mode,
                     "'; allowed: append. Files are never changed, so a folder of them holds the history of a "
                     "table; a view over it shows the current rows (docs/destinations/parquet.md)"));
  }
  result.table.write_mode = WriteMode::kAppend;

  const std::string* path = reader.Find("path");
  if (path == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat(reader.Title("path"), " is missing; it must be a folder"));
  }
  result.path = *path;
  while (result.path.size() > 1 && result.path.back() == '/') result.path.pop_back();
  if (path->find("://") != path->npos) {
    return absl::UnimplementedError(
        absl::StrCat(reader.Title("path"), ": object stores are not implemented yet; give a local folder"));
  }

  ASSIGN_OR_RETURN(result.compression, ParseCompression(reader));
  if (const std::string* text = reader.Find("partition_by")) {
    auto fields = ParsePartitionBy(*text);
    if (!fields.ok()) return Annotate(fields.status(), reader.Title("partition_by"));
    result.partition_by = *std::move(fields);
  }
  if (const std::string* text = reader.Find("roll_interval")) {
    auto interval = ParseDuration(*text);
    if (!interval.ok() || *interval > absl::Hours(24)) {
      return reader.Bad("roll_interval", "a duration up to 24h, like 10s");
    }
    result.roll_interval = *interval;
  }
  if (const std::string* text = reader.Find("roll_bytes")) {
    auto bytes = ParseBytes(*text);
    if (!bytes.ok() || *bytes < (1 << 20)) {
      return reader.Bad("roll_bytes", "a size of at least 1MiB, like 128MiB");
    }
    result.roll_bytes = *bytes;
  }
  return result;
}

}  // namespace wallaby
