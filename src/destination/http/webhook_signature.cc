#include "destination/http/webhook_signature.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace wallaby {

std::string WebhookSignature(const std::vector<std::string>& keys, std::string_view id, int64_t unix_seconds,
                             std::string_view body) {
  const std::string signed_text = absl::StrCat(id, ".", unix_seconds, ".", body);
  std::string value;
  for (const std::string& key : keys) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
         reinterpret_cast<const unsigned char*>(signed_text.data()), signed_text.size(), digest, &size);
    absl::StrAppend(&value, value.empty() ? "v1," : " v1,",
                    std::string(absl::Base64Escape({reinterpret_cast<const char*>(digest), size})));
  }
  return value;
}

}  // namespace wallaby
