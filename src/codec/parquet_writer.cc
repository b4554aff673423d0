#include "codec/parquet_writer.h"

#include <utility>

#include "arrow/io/interfaces.h"
#include "arrow/type.h"
#include "parquet/arrow/writer.h"
#include "parquet/properties.h"

namespace wallaby {
namespace {

arrow::Compression::type ArrowCompression(ParquetCompression compression) {
  switch (compression) {
    case ParquetCompression::kNone:
      return arrow::Compression::UNCOMPRESSED;
    case ParquetCompression::kSnappy:
      return arrow::Compression::SNAPPY;
    case ParquetCompression::kGzip:
      return arrow::Compression::GZIP;
    case ParquetCompression::kZstd:
      return arrow::Compression::ZSTD;
    case ParquetCompression::kLz4:
      return arrow::Compression::LZ4;
  }
  return arrow::Compression::ZSTD;
}

}  // namespace

arrow::Result<std::unique_ptr<parquet::arrow::FileWriter>> OpenParquetWriter(
    const arrow::Schema& schema, std::shared_ptr<arrow::io::OutputStream> sink, ParquetCompression compression) {
  const auto properties = parquet::WriterProperties::Builder()
                              .compression(ArrowCompression(compression))
                              ->version(parquet::ParquetVersion::PARQUET_2_6)
                              ->build();
  const auto arrow_properties = parquet::ArrowWriterProperties::Builder().store_schema()->build();
  return parquet::arrow::FileWriter::Open(schema, arrow::default_memory_pool(), std::move(sink), properties,
                                          arrow_properties);
}

}  // namespace wallaby
