// What a program loads for the columnar formats.
#include <utility>

#include "codec/columnar_codec.h"

extern "C" __attribute__((visibility("default"))) absl::Status wallaby_make_codec(
    const wallaby::CodecOptions& options, std::unique_ptr<wallaby::Codec>* out) {
  auto codec = wallaby::MakeColumnarCodec(options);
  if (!codec.ok()) return codec.status();
  *out = *std::move(codec);
  return absl::OkStatus();
}
