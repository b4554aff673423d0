// Values as Avro writes them: the schema's union of null and the type, straight from a row's bytes.
#ifndef WALLABY_CODEC_AVRO_VALUE_H_
#define WALLABY_CODEC_AVRO_VALUE_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "change/tuple.h"
#include "change/type.h"

namespace wallaby {

// Zig-zag, then seven bits a byte, lowest first.
void AppendAvroLong(int64_t value, std::string* out);
// Length and bytes: strings and bytes.
void AppendAvroBytes(std::string_view bytes, std::string* out);

// A field as ["null", type]; what is absent is null. Errors as AppendJsonValue; `out` may hold a part then.
absl::Status AppendAvroField(const Field& field, const PgType& type, std::string* scratch, std::string* out);

}  // namespace wallaby

#endif  // WALLABY_CODEC_AVRO_VALUE_H_
