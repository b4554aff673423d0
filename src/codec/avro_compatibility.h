// Whether data written with one Avro schema can be read with another.
//
// Source: Apache Avro 1.11 specification, "Schema Resolution", without its aliases.
#ifndef WALLABY_CODEC_AVRO_COMPATIBILITY_H_
#define WALLABY_CODEC_AVRO_COMPATIBILITY_H_

#include <string>

#include "absl/status/status.h"

namespace wallaby {

// FAILED_PRECONDITION names the first place where a reader with `reader` fails on what `writer` wrote; INVALID_ARGUMENT
// for what is no Avro schema.
absl::Status AvroCanRead(const std::string& reader, const std::string& writer);

}  // namespace wallaby

#endif  // WALLABY_CODEC_AVRO_COMPATIBILITY_H_
