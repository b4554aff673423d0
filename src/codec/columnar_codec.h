// Arrow IPC streams and Parquet files: the columns of append mode (change/append_rows.h), one payload for a slice.
//
// Part of the module columnar.so, which carries Arrow; make_codec.cc loads it.
#ifndef WALLABY_CODEC_COLUMNAR_CODEC_H_
#define WALLABY_CODEC_COLUMNAR_CODEC_H_

#include <memory>

#include "codec/codec.h"

namespace wallaby {

// options.format is kArrow or kParquet.
absl::StatusOr<std::unique_ptr<Codec>> MakeColumnarCodec(CodecOptions options);

// What the module exports under the name `wallaby_make_codec`. On failure returns the status and leaves `out`.
using MakeCodecFn = absl::Status (*)(const CodecOptions& options, std::unique_ptr<Codec>* out);

}  // namespace wallaby

#endif  // WALLABY_CODEC_COLUMNAR_CODEC_H_
