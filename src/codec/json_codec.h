// JSON in WALlaby's own envelope: a batch is one record a line.
#ifndef WALLABY_CODEC_JSON_CODEC_H_
#define WALLABY_CODEC_JSON_CODEC_H_

#include <memory>

#include "codec/codec.h"

namespace wallaby {

absl::StatusOr<std::unique_ptr<Codec>> MakeJsonCodec(CodecOptions options);

}  // namespace wallaby

#endif  // WALLABY_CODEC_JSON_CODEC_H_
