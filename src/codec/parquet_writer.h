// How Parquet files are written, by the codec and by the destination alike. For .cc files that know Arrow.
#ifndef WALLABY_CODEC_PARQUET_WRITER_H_
#define WALLABY_CODEC_PARQUET_WRITER_H_

#include <memory>

#include "arrow/result.h"
#include "codec/parquet_compression.h"

namespace arrow {
class Schema;
namespace io {
class OutputStream;
}
}  // namespace arrow
namespace parquet::arrow {
class FileWriter;
}

namespace wallaby {

// The schema's metadata becomes the file's.
arrow::Result<std::unique_ptr<parquet::arrow::FileWriter>> OpenParquetWriter(
    const arrow::Schema& schema, std::shared_ptr<arrow::io::OutputStream> sink, ParquetCompression compression);

}  // namespace wallaby

#endif  // WALLABY_CODEC_PARQUET_WRITER_H_
