// What stands in place of a secret in everything that is shown.
#ifndef WALLABY_BASE_MASK_H_
#define WALLABY_BASE_MASK_H_

#include <string_view>

namespace wallaby {
inline constexpr std::string_view kSecretMask = "******";
}  // namespace wallaby

#endif  // WALLABY_BASE_MASK_H_
