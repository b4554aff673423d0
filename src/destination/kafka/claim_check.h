// ClaimCheck: payloads that are too large for a message, as objects of a bucket. The message says where, and is small.
// docs/destinations/kafka.md#claim-checks is the user's page.
//
// An object is there before its message is sent, so before the transaction that shows the message commits. Its name
// tells position and content: what is sent again after a crash has the same name, and an object never changes once a
// message refers to it. Nothing here deletes: how long consumers need an object only their owner knows.
#ifndef WALLABY_DESTINATION_KAFKA_CLAIM_CHECK_H_
#define WALLABY_DESTINATION_KAFKA_CLAIM_CHECK_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "change/change_batch.h"
#include "destination/destination.h"
#include "destination/s3/bucket_options.h"
#include "destination/s3/s3_client.h"

namespace wallaby {

inline constexpr std::string_view kClaimHeader = "wallaby-claim-check";
inline constexpr std::string_view kClaimBytesHeader = "wallaby-claim-check-bytes";
inline constexpr std::string_view kClaimHashHeader = "wallaby-claim-check-sha256";

struct Claim {
  std::string key;     // of the object
  std::string url;     // "s3://bucket/key"
  size_t bytes = 0;    // of the payload
  std::string sha256;  // of the payload, in hexadecimal digits
  std::string value;   // of the message, in place of the payload: the same in JSON

  // What it adds to a message without a payload.
  size_t message_bytes() const;
};

// For one thread.
class ClaimCheck {
 public:
  // Reads the file of certificates, if there is one; connects later.
  static absl::StatusOr<std::unique_ptr<ClaimCheck>> Make(const DestinationConfig& config, BucketOptions options);

  // That the bucket takes objects, by putting one. An error says what is wrong with it for good; a bucket that cannot
  // be reached now is none, as it may be there when it is needed.
  absl::Status Check();

  // `operation`: the record's, or "batch".
  Claim Name(std::string_view topic, Position position, std::string_view operation, std::string_view payload) const;

  // On return the object is durable. UNAVAILABLE when the bucket could not be reached for some seconds.
  absl::Status Put(const Claim& claim, std::string_view payload, std::string_view content_type);

 private:
  ClaimCheck(const DestinationConfig& config, BucketOptions options);

  const std::string bucket_;
  const std::string folder_;  // of the destination's objects, with a slash at its end
  const std::function<void()> claim_checked_;
  S3Client client_;
};

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_KAFKA_CLAIM_CHECK_H_
