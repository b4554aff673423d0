// Where objects go and as whom, as a destination's options say it: bucket, prefix, region, endpoint, keys. For
// destinations of files, and for what others put beside their data.
#ifndef WALLABY_DESTINATION_S3_BUCKET_OPTIONS_H_
#define WALLABY_DESTINATION_S3_BUCKET_OPTIONS_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "destination/option_reader.h"
#include "destination/s3/s3_client.h"

namespace wallaby {

struct BucketOptions {
  S3Options s3;
  std::string prefix;  // of keys; "" or with a slash at its end
};

// The options' names, without what stands before them.
inline constexpr const char* kBucketOptionNames[] = {"bucket",     "prefix",        "region",        "endpoint",
                                                     "access_key", "secret_key",    "session_token", "force_path_style",
                                                     "use_fips",   "use_dualstack", "tls_ca_file"};

// Reads those whose names are `before` and one of kBucketOptionNames. Looks at nothing else, so that a flow is checked
// when it is created. INVALID_ARGUMENT names the option and what is allowed; keys are never shown.
absl::StatusOr<BucketOptions> ParseBucketOptions(const OptionReader& reader, const std::string& before = "");

// Adds what the machine of the worker knows: the region, where the environment has one and the options have none, and
// the text of the file of certificates. INVALID_ARGUMENT when that cannot be read.
absl::Status CompleteBucketOptions(const OptionReader& reader, const std::string& before, BucketOptions* options);

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_S3_BUCKET_OPTIONS_H_
