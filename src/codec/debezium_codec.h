// JSON in the envelope of Debezium's PostgreSQL connector, so that its consumers read ours unchanged.
#ifndef WALLABY_CODEC_DEBEZIUM_CODEC_H_
#define WALLABY_CODEC_DEBEZIUM_CODEC_H_

#include <memory>

#include "codec/codec.h"

namespace wallaby {

absl::StatusOr<std::unique_ptr<Codec>> MakeDebeziumCodec(CodecOptions options);

}  // namespace wallaby

#endif  // WALLABY_CODEC_DEBEZIUM_CODEC_H_
