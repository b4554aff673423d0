#include "destination/http/webhook_signature.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/hmac.h"

namespace wallaby {

std::string WebhookSignature(const std::vector<std::string>& keys, std::string_view id, int64_t unix_seconds,
                             std::string_view body) {
  const std::string signed_text = absl::StrCat(id, ".", unix_seconds, ".", body);
  std::string value;
  for (const std::string& key : keys) {
    absl::StrAppend(&value, value.empty() ? "v1," : " v1,", absl::Base64Escape(HmacSha256(key, signed_text)));
  }
  return value;
}

}  // namespace wallaby
