// S3Client: the objects of one bucket, by the REST API that S3 has and many others speak.
//
// Requests are signed with Signature Version 4, bodies' hashes included. What can be tried again is, a few times with
// growing waits (503 SlowDown, other 5xx, cut connections); a clock that is off is corrected from the server's; keys
// that have expired are looked for again. What remains is told in words (s3_error.h).
//
// Source: Amazon S3 API Reference; for conditions "How to prevent object overwrites with conditional writes".
#ifndef WALLABY_DESTINATION_S3_S3_CLIENT_H_
#define WALLABY_DESTINATION_S3_S3_CLIENT_H_

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/aws_credentials.h"
#include "base/event.h"
#include "base/http_client.h"
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

// For one thread at a time.
class S3Client {
 public:
  // A part of an upload but the last has at least this many bytes, an upload at most kMaxParts.
  static constexpr int64_t kMinPart = 5 << 20;
  static constexpr int64_t kMaxParts = 10'000;

  struct Object {
    std::string content;
    std::string etag;
  };
  struct Upload {
    std::string key;
    std::string id;
  };

  explicit S3Client(S3Options options);

  // NOT_FOUND when there is none.
  absl::StatusOr<Object> Get(const std::string& key);
  absl::Status Put(const std::string& key, std::string content, std::string_view type);
  // Only where the object that is there has this ETag; empty: where there is none. The new ETag, or nothing where that
  // does not hold. After an error it may still have happened, as after "nothing" when an answer was lost: read it.
  absl::StatusOr<std::optional<std::string>> PutIf(const std::string& key, std::string content, std::string_view type,
                                                   const std::string& etag);
  // OK also when there is none.
  absl::Status Delete(const std::string& key);
  absl::StatusOr<std::vector<std::string>> List(const std::string& prefix);

  // A large object in parts. It is there when CompleteUpload() returns, as a whole.
  absl::StatusOr<std::string> BeginUpload(const std::string& key, std::string_view type);
  // Numbers from 1. The part's ETag.
  absl::StatusOr<std::string> PutPart(const Upload& upload, int number, std::string content);
  absl::Status CompleteUpload(const Upload& upload, const std::vector<std::string>& etags);
  // OK also when there is none.
  absl::Status AbortUpload(const Upload& upload);
  absl::StatusOr<std::vector<Upload>> ListUploads(const std::string& prefix);

  const S3Place& place() const { return place_; }

  // Tests: hears of every request before it is sent and after its answer ("sent PUT a/b", "answered PUT a/b"); what it
  // returns instead of OK is the call's result.
  void set_probe(std::function<absl::Status(std::string_view step)> probe) { probe_ = std::move(probe); }

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
  absl::StatusOr<HttpResponse> Send(Call call);
  absl::StatusOr<HttpResponse> SendRepeatedly(const Call& call, HttpRequest request);
  // Signs and sends once.
  absl::StatusOr<HttpResponse> SendOnce(const Call& call, const std::string& body_hash, HttpRequest* request);
  bool Mend(const HttpResponse& response);

  S3Place place_;
  std::string base_;  // URL in front of the path
  std::string host_;
  std::string root_;  // of paths: "/" or "/bucket/"
  TlsIdentity tls_;
  AwsCredentialSource credentials_;
  absl::Duration clock_offset_;  // the server's clock less this machine's
  HttpClient http_;
  const Event never_;  // nobody calls a request off: each has its limit
  std::function<absl::Status(std::string_view)> probe_;
};

// "s3://bucket/prefix" for people and for readers' queries.
std::string S3Url(std::string_view bucket, std::string_view key);

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_S3_S3_CLIENT_H_
