// AwsCredentialSource: the keys for requests to AWS, from where AWS's own tools look for them.
//
// Without keys that were given, in this order:
//   AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN in the environment;
//   AWS_WEB_IDENTITY_TOKEN_FILE with AWS_ROLE_ARN (Kubernetes service accounts): AssumeRoleWithWebIdentity at STS;
//   profile AWS_PROFILE ("default") of AWS_SHARED_CREDENTIALS_FILE (~/.aws/credentials);
//   AWS_CONTAINER_CREDENTIALS_FULL_URI or _RELATIVE_URI (ECS, EKS pod identity);
//   the instance's role by its metadata service (IMDSv2), unless AWS_EC2_METADATA_DISABLED is true.
// A place that has half of what belongs together ends the search with an error.
// Source: AWS SDKs and Tools Reference Guide, "Standardized credential providers".
#ifndef WALLABY_BASE_AWS_CREDENTIALS_H_
#define WALLABY_BASE_AWS_CREDENTIALS_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/aws_signature.h"
#include "base/event.h"
#include "base/http_client.h"

namespace wallaby {

// For one thread at a time.
class AwsCredentialSource {
 public:
  // With an access key, `given` is what Get() gives for ever.
  explicit AwsCredentialSource(AwsCredentials given = {});

  // Looks for keys at first, and again five minutes before they end. UNAUTHENTICATED lists where was looked,
  // UNAVAILABLE when a service that has keys does not answer.
  absl::StatusOr<AwsCredentials> Get();
  // The server takes them no longer: the next Get() looks again. False where that cannot help.
  bool Renew();

 private:
  absl::Status Find();
  absl::Status FromEnvironmentKeys();
  absl::Status FromWebIdentity();
  absl::Status FromProfile();
  absl::Status FromContainer();
  absl::Status FromInstance();
  absl::Status FromJson(const std::string& body, const std::string& place);
  absl::StatusOr<std::string> Ask(HttpRequest request, const std::string& place);

  const bool given_;
  AwsCredentials credentials_;
  absl::Time until_ = absl::InfinitePast();
  HttpClient http_;
  const Event never_;  // nobody calls a request off: each has its limit
};

}  // namespace wallaby

#endif  // WALLABY_BASE_AWS_CREDENTIALS_H_
