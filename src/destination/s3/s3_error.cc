// Source: Amazon S3 API Reference, "Error responses".
#include "destination/s3/s3_error.h"

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "destination/objects/object_store.h"
#include "destination/objects/xml_text.h"

namespace wallaby {
namespace {

// What an error of this name needs from a person; nothing for those without an entry.
absl::Status ExplainKeys(std::string_view code, const std::string& text, const HttpResponse& response) {
  if (code == "RequestTimeTooSkewed") {
    return absl::UnauthenticatedError(absl::StrCat(text, "; this machine's clock says ",
                                                   absl::FormatTime(absl::Now(), absl::UTCTimeZone()),
                                                   ", the server's ", HeaderOf(response, "date"), ": set the clock"));
  }
  if (code == "ExpiredToken" || code == "TokenRefreshRequired") {
    return absl::UnauthenticatedError(
        absl::StrCat(text,
                     "; give a new session_token with its keys, or leave keys out so that the worker gets new ones "
                     "from its role by itself"));
  }
  if (code == "InvalidAccessKeyId" || code == "SignatureDoesNotMatch" || code == "InvalidToken" ||
      code == "InvalidClientTokenId") {
    return absl::UnauthenticatedError(absl::StrCat(text, "; check access_key, secret_key and session_token"));
  }
  return absl::OkStatus();
}

}  // namespace

std::string S3ErrorCode(const HttpResponse& response) {
  return XmlText(response.body, "Code");
}

absl::Status ExplainS3Error(const HttpResponse& response, const S3Place& place, std::string_view doing) {
  const std::string code = S3ErrorCode(response), words = XmlText(response.body, "Message").substr(0, 400);
  const std::string text =
      absl::StrCat(doing, " in bucket ", place.bucket, " at ", place.endpoint, ": it answers ", response.status,
                   code.empty() ? "" : " ", code, words.empty() ? "" : ": ", words);
  std::string region = XmlText(response.body, "Region");
  if (region.empty()) region = HeaderOf(response, "x-amz-bucket-region");
  const bool elsewhere = code == "PermanentRedirect" || code == "TemporaryRedirect" ||
                         code == "IllegalLocationConstraintException" || code == "AuthorizationHeaderMalformed" ||
                         response.status / 100 == 3;
  if (elsewhere) {
    std::string target = XmlText(response.body, "Endpoint");
    return absl::FailedPreconditionError(absl::StrCat(text, "; the bucket is in another region than ", place.region,
                                                      ": ",
                                                      !region.empty()   ? absl::StrCat("set option region to ", region)
                                                      : !target.empty() ? absl::StrCat("it is reached at ", target)
                                                                        : "set option region to the bucket's"));
  }
  if (code == "NoSuchBucket") {
    return absl::FailedPreconditionError(absl::StrCat(text, "; make the bucket, or correct option bucket or endpoint"));
  }
  if (absl::Status status = ExplainKeys(code, text, response); !status.ok()) return status;
  if (response.status == 403) {
    return absl::PermissionDeniedError(absl::StrCat(
        text, "; these keys need the permissions of docs/destinations/s3.md, under the option prefix at least"));
  }
  if (response.status == 404) return absl::NotFoundError(text);
  if (response.status == 401) return absl::UnauthenticatedError(text);
  if (response.status == 429 || response.status >= 500 || code == "RequestTimeout" || code == "SlowDown" ||
      code == "ConditionalRequestConflict" || code == "OperationAborted") {
    return absl::UnavailableError(text);
  }
  return absl::FailedPreconditionError(text);
}

}  // namespace wallaby
