// Signatures of requests, by which a receiver knows who sent them and when.
//
// Source: Standard Webhooks specification (standardwebhooks.com), "Signature scheme", symmetric: v1 and HMAC-SHA256 of
// "ID.TIMESTAMP.BODY". Several keys sign side by side while one takes the place of another.
#ifndef WALLABY_DESTINATION_HTTP_WEBHOOK_SIGNATURE_H_
#define WALLABY_DESTINATION_HTTP_WEBHOOK_SIGNATURE_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace wallaby {

// The value of the header webhook-signature: "v1,BASE64" for each key, with blanks between.
std::string WebhookSignature(const std::vector<std::string>& keys, std::string_view id, int64_t unix_seconds,
                             std::string_view body);

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_HTTP_WEBHOOK_SIGNATURE_H_
