// Avro: a batch is an object container file, a record a datum behind its schema's id (or its fingerprint).
#ifndef WALLABY_CODEC_AVRO_CODEC_H_
#define WALLABY_CODEC_AVRO_CODEC_H_

#include <memory>

#include "codec/codec.h"

namespace wallaby {

absl::StatusOr<std::unique_ptr<Codec>> MakeAvroCodec(CodecOptions options);

}  // namespace wallaby

#endif  // WALLABY_CODEC_AVRO_CODEC_H_
