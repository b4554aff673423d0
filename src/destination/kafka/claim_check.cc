#include "destination/kafka/claim_check.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/aws_signature.h"
#include "base/status.h"
#include "destination/files/partition.h"
#include "destination/kafka/kafka_options.h"
#include "destination/option_reader.h"

namespace wallaby {
namespace {

// Which options an error of the bucket is about.
constexpr char kWhat[] = "the bucket of claim checks (options claim_check_...)";
// Of a header beside its name and value.
constexpr size_t kHeaderFrame = 4;

// A flow whose tables wait for a schema change writes for them under "FLOW/LSN" (pipeline/table_holds.h).
std::string FlowOf(const std::string& identity) {
  return identity.substr(0, identity.find('/'));
}

}  // namespace

size_t Claim::message_bytes() const {
  const std::string number = absl::StrCat(bytes);
  size_t size = value.size();
  for (const auto& [name, text] : {std::pair<std::string_view, std::string_view>(kClaimHeader, url),
                                   {kClaimBytesHeader, number},
                                   {kClaimHashHeader, sha256}}) {
    size += name.size() + text.size() + kHeaderFrame;
  }
  return size;
}

absl::StatusOr<std::unique_ptr<ClaimCheck>> ClaimCheck::Make(const DestinationConfig& config, BucketOptions options) {
  RETURN_IF_ERROR(CompleteBucketOptions(OptionReader(config), kClaimCheckPrefix, &options));
  return std::unique_ptr<ClaimCheck>(new ClaimCheck(config, std::move(options)));
}

ClaimCheck::ClaimCheck(const DestinationConfig& config, BucketOptions options)
    : bucket_(options.s3.bucket),
      folder_(absl::StrCat(options.prefix, EncodePathComponent(FlowOf(config.flow_id)), "-",
                           EncodePathComponent(config.name), "/")),
      claim_checked_(config.claim_checked),
      client_(std::move(options.s3)) {}

absl::Status ClaimCheck::Check() {
  const absl::Status status = client_.Put(folder_ + "check", "This bucket takes objects.\n", "text/plain");
  return IsTransient(status) ? absl::OkStatus() : Annotate(status, kWhat);
}

Claim ClaimCheck::Name(std::string_view topic, Position position, std::string_view operation,
                       std::string_view payload) const {
  Claim claim;
  claim.bytes = payload.size();
  claim.sha256 = AwsBodyHash(payload);
  claim.key = absl::StrCat(folder_, topic, "/", absl::StrFormat("%016X-%010d-", position.commit.value, position.seq),
                           operation, "-", std::string_view(claim.sha256).substr(0, 32));
  claim.url = S3Url(bucket_, claim.key);
  const nlohmann::ordered_json value = {{"claim_check", claim.url}, {"bytes", claim.bytes}, {"sha256", claim.sha256}};
  claim.value = value.dump(-1, ' ', /*ensure_ascii=*/false, nlohmann::ordered_json::error_handler_t::replace);
  return claim;
}

absl::Status ClaimCheck::Put(const Claim& claim, std::string_view payload, std::string_view content_type) {
  RETURN_IF_ERROR(Annotate(client_.Put(claim.key, std::string(payload), content_type), kWhat));
  if (claim_checked_) claim_checked_();
  return absl::OkStatus();
}

}  // namespace wallaby
