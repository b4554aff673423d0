// Protobuf: the messages Batch and Record of proto/wallaby/v1/types.proto. Written byte by byte, without the generated
// classes: a module that carried them too would register them twice with the one protobuf library of the process.
#ifndef WALLABY_CODEC_PROTO_CODEC_H_
#define WALLABY_CODEC_PROTO_CODEC_H_

#include <memory>
#include <string_view>

#include "codec/codec.h"

namespace wallaby {

absl::StatusOr<std::unique_ptr<Codec>> MakeProtoCodec(CodecOptions options);

// What a registry is told: a .proto file with these messages alone. A test holds it against types.proto.
std::string_view RecordProtoFile();

}  // namespace wallaby

#endif  // WALLABY_CODEC_PROTO_CODEC_H_
