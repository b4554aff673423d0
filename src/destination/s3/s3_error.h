// What an answer of S3 that is no success means, in words.
#ifndef WALLABY_DESTINATION_S3_S3_ERROR_H_
#define WALLABY_DESTINATION_S3_S3_ERROR_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "base/http_client.h"

namespace wallaby {

struct S3Place {
  std::string bucket;
  std::string endpoint;  // URL
  std::string region;
};

// S3's own name of the error, such as "SlowDown"; "" where the answer has none.
std::string S3ErrorCode(const HttpResponse& response);

// `doing`: "putting a/b.parquet".
//   UNAVAILABLE         worth another try: 429, 5xx, a conflict of two conditional writes
//   NOT_FOUND           no object or upload of that name
//   FAILED_PRECONDITION the bucket is missing or in another region
//   PERMISSION_DENIED   these keys may not do that
//   UNAUTHENTICATED     the keys are not taken, or have expired
absl::Status ExplainS3Error(const HttpResponse& response, const S3Place& place, std::string_view doing);

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_S3_S3_ERROR_H_
