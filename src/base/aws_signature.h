// AWS Signature Version 4.
//
// Source: AWS documentation, "Signature Version 4 for API requests".
#ifndef WALLABY_BASE_AWS_SIGNATURE_H_
#define WALLABY_BASE_AWS_SIGNATURE_H_

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"

namespace wallaby {

struct AwsCredentials {
  std::string access_key;
  std::string secret_key;
  std::string session_token;  // empty: none

  friend bool operator==(const AwsCredentials&, const AwsCredentials&) = default;
};

struct AwsRequest {
  std::string method = "POST";
  std::string host;                            // with the port, where it is not the scheme's own
  std::string path = "/";                      // encoded
  std::string query;                           // encoded and sorted
  std::map<std::string, std::string> headers;  // to be signed beside host and date; names in lower case
  std::string body;
  std::string body_hash;  // AwsBodyHash() of the body where it is known; `body` does not count then
};

// SHA-256 of a request's body in hexadecimal digits: S3 wants it in the signed header x-amz-content-sha256, too.
std::string AwsBodyHash(std::string_view body);

// The headers that make it a signed request, "Name: value": x-amz-date, authorization, and x-amz-security-token.
std::vector<std::string> SignAwsRequest(const AwsRequest& request, const AwsCredentials& credentials,
                                        std::string_view region, std::string_view service, absl::Time now);

}  // namespace wallaby

#endif  // WALLABY_BASE_AWS_SIGNATURE_H_
