#include "base/aws_signature.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace wallaby {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const AwsCredentials kExample = {"AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", ""};
const absl::Time kTime = absl::FromUnixSeconds(1440938160);  // 2015-08-30 12:36:00 UTC

// Cases of AWS's own test suite for the signature: get-vanilla and post-vanilla.
TEST(AwsSignatureTest, CasesOfAws) {
  AwsRequest request{.method = "GET", .host = "example.amazonaws.com"};
  EXPECT_THAT(
      SignAwsRequest(request, kExample, "us-east-1", "service", kTime),
      ElementsAre("x-amz-date: 20150830T123600Z",
                  "Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
                  "SignedHeaders=host;x-amz-date, "
                  "Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"));
  request.method = "POST";
  EXPECT_THAT(SignAwsRequest(request, kExample, "us-east-1", "service", kTime).back(),
              HasSubstr("Signature=5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"));
}

TEST(AwsSignatureTest, ASessionTokenIsSigned) {
  AwsCredentials credentials = kExample;
  credentials.session_token = "token";
  const auto headers = SignAwsRequest({.host = "h"}, credentials, "r", "s", kTime);
  ASSERT_EQ(headers.size(), 3u);
  EXPECT_EQ(headers[1], "x-amz-security-token: token");
  EXPECT_THAT(headers[2], HasSubstr("SignedHeaders=host;x-amz-date;x-amz-security-token,"));
}

}  // namespace
}  // namespace wallaby
