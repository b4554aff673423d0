// GcsTokenSource: access tokens for requests to Google Cloud, from where Google's own tools look for them.
//
//   a service account's key that was given, or that GOOGLE_APPLICATION_CREDENTIALS names a file of: its owner says so
//   to the token server in a signed word (JWT, RS256); the metadata server of Google's machines, at GCE_METADATA_HOST
//   or metadata.google.internal.
//
// Source: Google Identity, "Using OAuth 2.0 for Server to Server Applications" (HTTP/REST); RFC 7515 and 7523; Compute
// Engine, "Authenticate workloads using service accounts".
#ifndef WALLABY_DESTINATION_GCS_GCS_TOKEN_H_
#define WALLABY_DESTINATION_GCS_GCS_TOKEN_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/event.h"
#include "base/http_client.h"
#include "destination/gcs/gcs_options.h"

namespace wallaby {

// For one thread at a time.
class GcsTokenSource {
 public:
  // `key`: a ServiceAccount's JSON; empty: it is looked for.
  explicit GcsTokenSource(std::string key) : given_(std::move(key)) {}

  // Asks for a token at first, and again five minutes before it ends. UNAUTHENTICATED says what was not taken, or where
  // was looked; UNAVAILABLE when who gives tokens does not answer.
  absl::StatusOr<std::string> Get();
  // The server takes it no longer: the next Get() asks again.
  void Renew() { until_ = absl::InfinitePast(); }

 private:
  absl::Status Find();
  absl::Status FromKey(const std::string& json, std::string_view place);
  absl::Status FromMachine();
  absl::Status Ask(const HttpRequest& request, const std::string& place);

  const std::string given_;
  std::string token_;
  absl::Time until_ = absl::InfinitePast();
  HttpClient http_;
  const Event never_;  // nobody calls a request off: each has its limit
};

// The signed word of a service account that asks for a token: base64 of header, claims and signature with dots between.
// INVALID_ARGUMENT when its key is no private key of RSA.
absl::StatusOr<std::string> SignedAssertion(const ServiceAccount& account, absl::Time now);

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_GCS_GCS_TOKEN_H_
