// Keys as people write them into a setting.
#ifndef WALLABY_BASE_KEY_TEXT_H_
#define WALLABY_BASE_KEY_TEXT_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace wallaby {

// 32 bytes as 64 hexadecimal digits or as base64 (standard or URL alphabet). The error never shows the key, nor says
// where it came from.
absl::StatusOr<std::string> ParseKeyText(std::string_view text);

}  // namespace wallaby

#endif  // WALLABY_BASE_KEY_TEXT_H_
