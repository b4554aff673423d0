#include "destination/s3/bucket_options.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/environment.h"
#include "base/status.h"
#include "destination/objects/object_options.h"

namespace wallaby {
namespace {

bool HasBlank(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](unsigned char c) { return absl::ascii_isspace(c); });
}

// "http://host:9000" or "host:9000", with nothing behind it.
bool IsEndpoint(std::string_view text) {
  const size_t scheme = text.find("://");
  if (scheme != text.npos) {
    if (text.substr(0, scheme) != "http" && text.substr(0, scheme) != "https") return false;
    text.remove_prefix(scheme + 3);
  }
  while (text.ends_with('/')) text.remove_suffix(1);
  return !text.empty() && text.find_first_of("/?#@") == text.npos && !HasBlank(text);
}

// Keys that are given stand alone: half of them is a mistake, and nothing that the worker's machine has completes them.
absl::Status ReadKeys(const OptionReader& reader, const std::string& before, AwsCredentials* out) {
  const std::string access = before + "access_key", secret = before + "secret_key", token = before + "session_token";
  *out = {reader.Text(access), reader.Text(secret), reader.Text(token)};
  if (out->access_key.empty() != out->secret_key.empty()) {
    return reader.Wrong(out->access_key.empty() ? access : secret,
                        absl::StrCat("is missing; give ", access, " and ", secret, " together, or neither"));
  }
  if (out->access_key.empty() && !out->session_token.empty()) {
    return reader.Wrong(token, absl::StrCat("it belongs to keys that end; give ", access, " and ", secret, " with it"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<BucketOptions> ParseBucketOptions(const OptionReader& reader, const std::string& before) {
  BucketOptions out;
  S3Options& s3 = out.s3;
  s3.bucket = reader.Text(before + "bucket");
  if (s3.bucket.find('/') != std::string::npos || HasBlank(s3.bucket)) {
    return reader.Bad(before + "bucket",
                      absl::StrCat("the bucket's name alone; what comes behind it is option ", before, "prefix"));
  }
  ASSIGN_OR_RETURN(out.prefix, ParseKeyPrefix(reader, before + "prefix"));
  s3.endpoint = reader.Text(before + "endpoint");
  if (!s3.endpoint.empty() && !IsEndpoint(s3.endpoint)) {
    return reader.Bad(before + "endpoint", "a server's URL without a path, like http://minio:9000");
  }
  if (const std::string* region = reader.Find(before + "region")) s3.region = *region;
  RETURN_IF_ERROR(ReadKeys(reader, before, &s3.credentials));
  if (reader.Find(before + "force_path_style") != nullptr) {
    RETURN_IF_ERROR(reader.Flag(before + "force_path_style", &s3.path_style.emplace()));
  }
  RETURN_IF_ERROR(reader.Flag(before + "use_fips", &s3.use_fips));
  RETURN_IF_ERROR(reader.Flag(before + "use_dualstack", &s3.use_dualstack));
  for (const auto& [name, is_set] :
       {std::pair("use_fips", s3.use_fips), std::pair("use_dualstack", s3.use_dualstack)}) {
    if (is_set && !s3.endpoint.empty()) return reader.Wrong(before + name, "endpoint says which host it is");
  }
  return out;
}

absl::Status CompleteBucketOptions(const OptionReader& reader, const std::string& before, BucketOptions* options) {
  if (reader.Find(before + "region") == nullptr) {
    for (const char* variable : {"AWS_REGION", "AWS_DEFAULT_REGION"}) {
      const std::string region = FromEnvironment(variable);
      if (region.empty()) continue;
      options->s3.region = region;
      break;
    }
  }
  ASSIGN_OR_RETURN(options->s3.ca, ReadCertificates(reader, before + "tls_ca_file"));
  return absl::OkStatus();
}

}  // namespace wallaby
