// Pieces of JSON at the end of a buffer: strings, and the values of rows, straight from their bytes. Without an
// allocation beyond the buffer's growth. docs/codecs.md has the form of each type.
#ifndef WALLABY_CODEC_JSON_TEXT_H_
#define WALLABY_CODEC_JSON_TEXT_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "change/tuple.h"
#include "change/type.h"

namespace wallaby {

// With its quotes. False, and nothing appended, when the text is not UTF-8: JSON has no other.
bool AppendJsonString(std::string_view text, std::string* out);

// A number of any kind as digits.
void AppendNumber(int64_t value, std::string* out);
void AppendNumber(uint64_t value, std::string* out);

// RFC 4648, with padding, without quotes.
void AppendBase64(std::string_view bytes, std::string* out);

// "2024-05-01T12:34:56.789+00:00" with its quotes.
void AppendJsonTime(int64_t micros_since_1970, std::string* out);

// True for a number as JSON writes it.
bool IsJsonNumber(std::string_view text);

// The value of a field that is there. INVALID_ARGUMENT or OUT_OF_RANGE says which value is none of its type; `out` may
// hold a part of it then. `scratch` is for values that have to be decoded.
absl::Status AppendJsonValue(const Field& field, const PgType& type, std::string* scratch, std::string* out);

}  // namespace wallaby

#endif  // WALLABY_CODEC_JSON_TEXT_H_
