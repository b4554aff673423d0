// Compressions of Parquet files, by the names of option compression.
#ifndef WALLABY_CODEC_PARQUET_COMPRESSION_H_
#define WALLABY_CODEC_PARQUET_COMPRESSION_H_

#include <optional>
#include <string_view>
#include <utility>

namespace wallaby {

enum class ParquetCompression { kNone, kSnappy, kGzip, kZstd, kLz4 };

inline constexpr std::string_view kParquetCompressionsAllowed = "none, snappy, gzip, zstd or lz4";

constexpr std::optional<ParquetCompression> ParseParquetCompression(std::string_view name) {
  constexpr std::pair<std::string_view, ParquetCompression> kNames[] = {{"none", ParquetCompression::kNone},
                                                                        {"snappy", ParquetCompression::kSnappy},
                                                                        {"gzip", ParquetCompression::kGzip},
                                                                        {"zstd", ParquetCompression::kZstd},
                                                                        {"lz4", ParquetCompression::kLz4}};
  for (const auto& [text, value] : kNames) {
    if (text == name) return value;
  }
  return std::nullopt;
}

}  // namespace wallaby

#endif  // WALLABY_CODEC_PARQUET_COMPRESSION_H_
