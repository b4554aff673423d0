// What an answer of Google Cloud Storage that is no success means, in words.
#ifndef WALLABY_DESTINATION_GCS_GCS_ERROR_H_
#define WALLABY_DESTINATION_GCS_GCS_ERROR_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "base/http_client.h"

namespace wallaby {

struct GcsPlace {
  std::string bucket;
  std::string endpoint;  // URL
};

// `doing`: "putting a/b.parquet".
//   UNAVAILABLE         worth another try: 408, 429, 5xx, too many requests
//   NOT_FOUND           no object or upload of that name
//   FAILED_PRECONDITION the bucket is missing, and others that only a person mends
//   PERMISSION_DENIED   this account may not do that
//   UNAUTHENTICATED     the token is not taken
absl::Status ExplainGcsError(const HttpResponse& response, const GcsPlace& place, std::string_view doing);

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_GCS_GCS_ERROR_H_
