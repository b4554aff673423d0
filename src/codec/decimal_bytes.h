// Decimals as Kafka Connect and Avro write them: the unscaled number in two's complement, big-endian, as few bytes as
// hold it.
#ifndef WALLABY_CODEC_DECIMAL_BYTES_H_
#define WALLABY_CODEC_DECIMAL_BYTES_H_

#include <string>
#include <string_view>

#include "absl/numeric/int128.h"

namespace wallaby {

// Appends them; 1 to 16 bytes.
void AppendDecimalBytes(absl::int128 unscaled, std::string* out);

// The same for a number of any length as PostgreSQL prints it ("-12.50"), and how many digits stand behind its point.
// False, and nothing appended, for what is no number (NaN, infinity).
bool AppendDecimalBytes(std::string_view text, int* scale, std::string* out);

}  // namespace wallaby

#endif  // WALLABY_CODEC_DECIMAL_BYTES_H_
