// A key of 32 bytes as people write it into a setting.
#ifndef WALLABY_BASE_KEY_TEXT_H_
#define WALLABY_BASE_KEY_TEXT_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace wallaby {

// The 32 bytes out of 64 hexadecimal digits or base64 (standard or URL alphabet). INVALID_ARGUMENT never
// shows the key.
absl::StatusOr<std::string> ParseKeyText(std::string_view text);

}  // namespace wallaby

#endif  // WALLABY_BASE_KEY_TEXT_H_
