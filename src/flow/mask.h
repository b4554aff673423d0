// What stands in place of a secret in everything that is shown.
#ifndef WALLABY_FLOW_MASK_H_
#define WALLABY_FLOW_MASK_H_

#include <string_view>

namespace wallaby {
inline constexpr std::string_view kSecretMask = "******";
}  // namespace wallaby

#endif  // WALLABY_FLOW_MASK_H_
