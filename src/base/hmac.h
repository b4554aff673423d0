// HMAC-SHA256, RFC 2104.
#ifndef WALLABY_BASE_HMAC_H_
#define WALLABY_BASE_HMAC_H_

#include <string>
#include <string_view>

namespace wallaby {

// 32 bytes.
std::string HmacSha256(std::string_view key, std::string_view text);

}  // namespace wallaby

#endif  // WALLABY_BASE_HMAC_H_
