#include "destination/http/webhook_signature.h"

#include <gtest/gtest.h>

#include "absl/strings/escaping.h"

namespace wallaby {
namespace {

// The example of the Standard Webhooks specification's own libraries.
TEST(WebhookSignature, IsThatOfTheSpecification) {
  std::string key;
  ASSERT_TRUE(absl::Base64Unescape("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", &key));
  EXPECT_EQ(WebhookSignature({key}, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, R"({"test": 2432232314})"),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

TEST(WebhookSignature, EachKeySigns) {
  const std::string a = WebhookSignature({"a"}, "id", 1, "body"), b = WebhookSignature({"b"}, "id", 1, "body");
  EXPECT_EQ(WebhookSignature({"a", "b"}, "id", 1, "body"), a + " " + b);
}

}  // namespace
}  // namespace wallaby
