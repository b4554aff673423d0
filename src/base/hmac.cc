#include "base/hmac.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/check.h"

namespace wallaby {

std::string HmacSha256(std::string_view key, std::string_view text) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  const bool done = HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
                         reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest, &size) != nullptr;
  WALLABY_CHECK(done && size == 32, "SHA-256 is in every OpenSSL");
  return {reinterpret_cast<char*>(digest), size};
}

}  // namespace wallaby
