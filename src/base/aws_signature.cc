#include "base/aws_signature.h"

#include <openssl/evp.h>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/hmac.h"

namespace wallaby {
namespace {

std::string Hex(std::string_view bytes) {
  return std::string(absl::BytesToHexString(bytes));
}

std::string Sha256(std::string_view text) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  EVP_Digest(text.data(), text.size(), digest, &size, EVP_sha256(), nullptr);
  return {reinterpret_cast<char*>(digest), size};
}

}  // namespace

std::string AwsBodyHash(std::string_view body) {
  return Hex(Sha256(body));
}

std::vector<std::string> SignAwsRequest(const AwsRequest& request, const AwsCredentials& credentials,
                                        std::string_view region, std::string_view service, absl::Time now) {
  const std::string time = absl::FormatTime("%Y%m%dT%H%M%SZ", now, absl::UTCTimeZone());
  const std::string day = time.substr(0, 8);
  std::vector<std::string> added = {absl::StrCat("x-amz-date: ", time)};

  std::map<std::string, std::string> headers = request.headers;
  headers["host"] = request.host;
  headers["x-amz-date"] = time;
  if (!credentials.session_token.empty()) {
    headers["x-amz-security-token"] = credentials.session_token;
    added.push_back(absl::StrCat("x-amz-security-token: ", credentials.session_token));
  }
  std::string lines, names;
  for (const auto& [name, value] : headers) {
    absl::StrAppend(&lines, name, ":", value, "\n");
    absl::StrAppend(&names, names.empty() ? "" : ";", name);
  }
  const std::string canonical =
      absl::StrCat(request.method, "\n", request.path, "\n", request.query, "\n", lines, "\n", names, "\n",
                   request.body_hash.empty() ? AwsBodyHash(request.body) : request.body_hash);
  const std::string scope = absl::StrCat(day, "/", region, "/", service, "/aws4_request");
  const std::string to_sign = absl::StrCat("AWS4-HMAC-SHA256\n", time, "\n", scope, "\n", Hex(Sha256(canonical)));
  const std::string day_key = HmacSha256(absl::StrCat("AWS4", credentials.secret_key), day);
  const std::string key = HmacSha256(HmacSha256(HmacSha256(day_key, region), service), "aws4_request");
  added.push_back(absl::StrCat("Authorization: AWS4-HMAC-SHA256 Credential=", credentials.access_key, "/", scope,
                               ", SignedHeaders=", names, ", Signature=", Hex(HmacSha256(key, to_sign))));
  return added;
}

}  // namespace wallaby
