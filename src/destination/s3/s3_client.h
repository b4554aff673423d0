// S3Client: an ObjectStore by the REST API that S3 has and many others speak.
//
// Requests are signed with Signature Version 4, bodies' hashes included. What can be tried again is, a few times with
// growing waits (503 SlowDown, other 5xx, cut connections); a clock that is off is corrected from the server's; keys
// that have expired are looked for again. What remains is told in words (s3_error.h).
//
// Source: Amazon S3 API Reference; for conditions "How to prevent object overwrites with conditional writes".
#ifndef WALLABY_DESTINATION_S3_S3_CLIENT_H_
#define WALLABY_DESTINATION_S3_S3_CLIENT_H_

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/aws_credentials.h"
#include "destination/objects/object_store.h"
#include "destination/s3/s3_error.h"

namespace wallaby {

struct S3Options {
  std::string bucket;
  std::string region = "us-east-1";
  std::string endpoint;            // URL without a path; empty: AWS's for the region
  AwsCredentials credentials;      // empty: AwsCredentialSource looks for them
  std::optional<bool> path_style;  // the bucket in the path, not in the host's name; default: with an endpoint
  bool use_fips = false;
  bool use_dualstack = false;
  std::string ca;  // PEM text; empty: the system's authorities
};

class S3Client : public ObjectStore {
 public:
  explicit S3Client(S3Options options);

  absl::StatusOr<Object> Get(const std::string& key) override;
  absl::Status Put(const std::string& key, std::string content, std::string_view type) override;
  absl::StatusOr<std::optional<std::string>> PutIf(const std::string& key, std::string content, std::string_view type,
                                                   const std::string& etag) override;
  absl::Status Delete(const std::string& key) override;
  absl::StatusOr<std::vector<std::string>> List(const std::string& prefix) override;
  absl::StatusOr<Upload> BeginUpload(const std::string& key, std::string_view type) override;
  absl::Status PutPart(Upload* upload, std::string content) override;
  absl::Status CompleteUpload(Upload upload, std::string last) override;
  absl::StatusOr<std::vector<Upload>> ListUploads(const std::string& prefix) override;
  absl::Status AbortUpload(const Upload& upload) override;
  std::string endpoint() const override { return place_.endpoint; }
  std::string_view page() const override { return "docs/destinations/s3.md"; }

 private:
  struct Call {
    std::string doing;  // for errors
    std::string method;
    std::string key;
    std::map<std::string, std::string> query;
    std::vector<std::string> headers;
    std::string body;
  };

  // A 2xx answer, or 412 where a condition did not hold.
  Answer Send(Call call);
  // Signs and sends once.
  Answer SendSigned(const Call& call, const std::string& body_hash, HttpRequest* request);
  // What is a success, or the error in words.
  Answer Judged(const Call& call, Answer answer) const;
  bool Mend(const HttpResponse& response);

  S3Place place_;
  std::string base_;  // URL in front of the path
  std::string host_;
  std::string root_;  // of paths: "/" or "/bucket/"
  AwsCredentialSource credentials_;
  absl::Duration clock_offset_;  // the server's clock less this machine's
};

// "s3://bucket/prefix" for people and for readers' queries.
std::string S3Url(std::string_view bucket, std::string_view key);

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_S3_S3_CLIENT_H_
