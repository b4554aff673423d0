// Durations ("200ms", "5s", "1m", "7d") and sizes ("64MiB", "512KB", "1048576") as users write them.
#ifndef WALLABY_BASE_UNITS_H_
#define WALLABY_BASE_UNITS_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace wallaby {

// A non-negative duration with a unit, or a whole number of days; "0" alone is allowed. Error names what is allowed.
absl::StatusOr<absl::Duration> ParseDuration(std::string_view text);

// Bytes: a whole number with an optional unit B, KB, MB, GB, TB (powers of 1000) or KiB, MiB, GiB, TiB.
absl::StatusOr<int64_t> ParseBytes(std::string_view text);

// The other way, for people: "512 B", "1.5 GiB", "64 MiB"; "-" where it is negative, which stands for unknown.
std::string SizeText(int64_t bytes);

// "true", "false", "1", "0", "yes", "no", "on", "off", without regard to case.
absl::StatusOr<bool> ParseBool(std::string_view text);

}  // namespace wallaby

#endif  // WALLABY_BASE_UNITS_H_
