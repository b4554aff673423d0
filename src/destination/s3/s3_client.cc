#include "destination/s3/s3_client.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "base/backoff.h"
#include "base/status.h"
#include "destination/s3/s3_xml.h"

namespace wallaby {
namespace {

constexpr absl::Duration kTimeout = absl::Seconds(120);
constexpr int kTries = 7;  // about ten seconds in all

// Every byte but those that need no encoding; the slash too, unless it stands in a path.
std::string UrlEncoded(std::string_view text, bool path) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (absl::ascii_isalnum(byte) || c == '-' || c == '_' || c == '.' || c == '~' || (path && c == '/')) {
      out.push_back(c);
    } else {
      out += {'%', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  return out;
}

// std::map sorts by name, as the signature wants it.
std::string QueryText(const std::map<std::string, std::string>& query) {
  std::string text;
  for (const auto& [name, value] : query) {
    absl::StrAppend(&text, text.empty() ? "" : "&", UrlEncoded(name, false), "=", UrlEncoded(value, false));
  }
  return text;
}

std::string AwsEndpoint(const S3Options& options) {
  return absl::StrCat("https://s3", options.use_fips ? "-fips" : "", options.use_dualstack ? ".dualstack." : ".",
                      options.region, options.region.starts_with("cn-") ? ".amazonaws.com.cn" : ".amazonaws.com");
}

std::string WithScheme(const std::string& endpoint) {
  std::string url = absl::StrContains(endpoint, "://") ? endpoint : absl::StrCat("https://", endpoint);
  while (url.ends_with('/')) url.pop_back();
  return url;
}

// As curl writes the header: without the scheme's own port.
std::string HostOf(std::string_view url) {
  const bool tls = url.starts_with("https:");
  const std::string_view host = url.substr(url.find("://") + 3);
  return std::string(absl::StripSuffix(host, tls ? ":443" : ":80"));
}

std::string Etag(const HttpResponse& response) {
  const auto found = response.headers.find("etag");
  return found == response.headers.end() ? "" : found->second;
}

std::string TypeHeader(std::string_view type) {
  return absl::StrCat("Content-Type: ", type);
}

}  // namespace

std::string S3Url(std::string_view bucket, std::string_view key) {
  return absl::StrCat("s3://", bucket, key.empty() ? "" : "/", key);
}

S3Client::S3Client(S3Options options)
    : place_{options.bucket, options.endpoint.empty() ? AwsEndpoint(options) : WithScheme(options.endpoint),
             options.region},
      tls_{.ca = std::move(options.ca)},
      credentials_(std::move(options.credentials)) {
  // A name with dots fits no certificate for *.s3.amazonaws.com.
  const bool in_path = options.path_style.value_or(!options.endpoint.empty()) || absl::StrContains(place_.bucket, ".");
  base_ = place_.endpoint;
  if (!in_path) base_.insert(base_.find("://") + 3, place_.bucket + ".");
  host_ = HostOf(base_);
  root_ = in_path ? absl::StrCat("/", place_.bucket, "/") : "/";
}

absl::StatusOr<S3Client::Object> S3Client::Get(const std::string& key) {
  ASSIGN_OR_RETURN(HttpResponse response, Send({"reading", "GET", key, {}, {}, {}}));
  return Object{std::move(response.body), Etag(response)};
}

absl::Status S3Client::Put(const std::string& key, std::string content, std::string_view type) {
  return Send({"writing", "PUT", key, {}, {TypeHeader(type)}, std::move(content)}).status();
}

absl::StatusOr<std::optional<std::string>> S3Client::PutIf(const std::string& key, std::string content,
                                                           std::string_view type, const std::string& etag) {
  const std::string condition = etag.empty() ? "If-None-Match: *" : absl::StrCat("If-Match: ", etag);
  auto response = Send({"writing", "PUT", key, {}, {TypeHeader(type), condition}, std::move(content)});
  // An object with this ETag is not there when there is none.
  if (absl::IsNotFound(response.status()) && !etag.empty()) return std::nullopt;
  if (!response.ok()) return response.status();
  if (response->status == 412) return std::nullopt;
  return Etag(*response);
}

absl::Status S3Client::Delete(const std::string& key) {
  const absl::Status status = Send({"removing", "DELETE", key, {}, {}, {}}).status();
  return absl::IsNotFound(status) ? absl::OkStatus() : status;
}

absl::StatusOr<std::vector<std::string>> S3Client::List(const std::string& prefix) {
  std::vector<std::string> keys;
  Call call{"listing " + prefix, "GET", "", {{"list-type", "2"}, {"prefix", prefix}}, {}, {}};
  while (true) {
    ASSIGN_OR_RETURN(const HttpResponse response, Send(call));
    for (std::string& key : XmlTexts(response.body, "Key")) keys.push_back(std::move(key));
    const std::string next = XmlText(response.body, "NextContinuationToken");
    if (XmlText(response.body, "IsTruncated") != "true" || next.empty()) return keys;
    call.query["continuation-token"] = next;
  }
}

absl::StatusOr<std::string> S3Client::BeginUpload(const std::string& key, std::string_view type) {
  ASSIGN_OR_RETURN(const HttpResponse response,
                   Send({"beginning to write", "POST", key, {{"uploads", ""}}, {TypeHeader(type)}, {}}));
  std::string id = XmlText(response.body, "UploadId");
  if (id.empty()) {
    return absl::UnavailableError(
        absl::StrCat("beginning to write ", key, " at ", place_.endpoint, ": there is no UploadId in its answer"));
  }
  return id;
}

absl::StatusOr<std::string> S3Client::PutPart(const Upload& upload, int number, std::string content) {
  ASSIGN_OR_RETURN(const HttpResponse response, Send({"writing a part of",
                                                      "PUT",
                                                      upload.key,
                                                      {{"partNumber", absl::StrCat(number)}, {"uploadId", upload.id}},
                                                      {},
                                                      std::move(content)}));
  return Etag(response);
}

absl::Status S3Client::CompleteUpload(const Upload& upload, const std::vector<std::string>& etags) {
  std::string body = "<CompleteMultipartUpload>";
  for (size_t i = 0; i < etags.size(); ++i) {
    absl::StrAppend(&body, "<Part><PartNumber>", i + 1, "</PartNumber><ETag>", XmlEscape(etags[i]), "</ETag></Part>");
  }
  body += "</CompleteMultipartUpload>";
  const auto response = Send(
      {"completing", "POST", upload.key, {{"uploadId", upload.id}}, {TypeHeader("application/xml")}, std::move(body)});
  if (response.ok()) return absl::OkStatus();
  if (!absl::IsNotFound(response.status())) return response.status();
  // There is no such upload: an answer was lost, and it is complete already, or it was called off.
  ASSIGN_OR_RETURN(const std::vector<std::string> keys, List(upload.key));
  for (const std::string& key : keys) {
    if (key == upload.key) return absl::OkStatus();
  }
  return absl::UnavailableError(response.status().message());
}

absl::Status S3Client::AbortUpload(const Upload& upload) {
  const absl::Status status = Send({"calling off", "DELETE", upload.key, {{"uploadId", upload.id}}, {}, {}}).status();
  return absl::IsNotFound(status) ? absl::OkStatus() : status;
}

absl::StatusOr<std::vector<S3Client::Upload>> S3Client::ListUploads(const std::string& prefix) {
  std::vector<Upload> uploads;
  Call call{"listing uploads of " + prefix, "GET", "", {{"uploads", ""}, {"prefix", prefix}}, {}, {}};
  while (true) {
    ASSIGN_OR_RETURN(const HttpResponse response, Send(call));
    std::vector<std::string> keys = XmlTexts(response.body, "Key"), ids = XmlTexts(response.body, "UploadId");
    for (size_t i = 0; i < keys.size() && i < ids.size(); ++i)
      uploads.push_back({std::move(keys[i]), std::move(ids[i])});
    const std::string next = XmlText(response.body, "NextKeyMarker");
    if (XmlText(response.body, "IsTruncated") != "true" || next.empty()) return uploads;
    call.query["key-marker"] = next;
    call.query["upload-id-marker"] = XmlText(response.body, "NextUploadIdMarker");
  }
}

absl::StatusOr<HttpResponse> S3Client::Send(Call call) {
  const std::string what = absl::StrCat(call.method, " ", call.key.empty() ? "?" : call.key);
  if (!call.key.empty()) absl::StrAppend(&call.doing, " ", call.key);
  if (probe_) RETURN_IF_ERROR(probe_(absl::StrCat("sent ", what)));
  HttpRequest request{.method = call.method, .body = std::move(call.body), .timeout = kTimeout};
  auto response = SendRepeatedly(call, std::move(request));
  if (probe_) RETURN_IF_ERROR(probe_(absl::StrCat("answered ", what)));
  return response;
}

absl::StatusOr<HttpResponse> S3Client::SendRepeatedly(const Call& call, HttpRequest request) {
  const std::string body_hash = AwsBodyHash(request.body);
  Backoff backoff(absl::Milliseconds(200), absl::Seconds(4));
  bool mended = false;
  while (true) {
    absl::StatusOr<HttpResponse> response = SendOnce(call, body_hash, &request);
    absl::Status status =
        Annotate(response.status(), absl::StrCat(call.doing, " in bucket ", place_.bucket, " at ", place_.endpoint));
    if (response.ok()) {
      // Complete answers 200 before it knows how it went, and says the error in the body.
      const bool failed_late = call.method == "POST" && absl::StrContains(response->body, "<Error>");
      if ((response->status / 100 == 2 && !failed_late) || response->status == 412) return response;
      if (!mended && Mend(*response)) {
        mended = true;
        continue;
      }
      status = ExplainS3Error(*response, place_, call.doing);
      if (failed_late && response->status == 200 && S3ErrorCode(*response) == "InternalError") {
        status = absl::UnavailableError(status.message());
      }
    }
    const bool again = absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status);
    if (!again || backoff.tries() + 1 >= kTries) return status;
    never_.Wait(backoff.Next());
  }
}

absl::StatusOr<HttpResponse> S3Client::SendOnce(const Call& call, const std::string& body_hash, HttpRequest* request) {
  ASSIGN_OR_RETURN(const AwsCredentials credentials, credentials_.Get());
  AwsRequest to_sign{.method = call.method,
                     .host = host_,
                     .path = root_ + UrlEncoded(call.key, true),
                     .query = QueryText(call.query),
                     .headers = {{"x-amz-content-sha256", body_hash}},
                     .body_hash = body_hash};
  request->url = absl::StrCat(base_, to_sign.path, to_sign.query.empty() ? "" : "?", to_sign.query);
  request->headers = SignAwsRequest(to_sign, credentials, place_.region, "s3", absl::Now() + clock_offset_);
  request->headers.push_back(absl::StrCat("x-amz-content-sha256: ", body_hash));
  for (const std::string& header : call.headers) request->headers.push_back(header);
  if (request->body.empty() && call.method != "GET") request->headers.push_back("Content-Length: 0");
  return http_.Send(*request, tls_, never_);
}

// True where the same request may go well now.
bool S3Client::Mend(const HttpResponse& response) {
  const std::string code = S3ErrorCode(response);
  if (code == "ExpiredToken" || code == "TokenRefreshRequired") return credentials_.Renew();
  if (code != "RequestTimeTooSkewed") return false;
  const auto date = response.headers.find("date");
  absl::Time theirs;
  std::string error;
  if (date == response.headers.end() || !absl::ParseTime("%a, %d %b %Y %H:%M:%S GMT", date->second, &theirs, &error)) {
    return false;
  }
  clock_offset_ = theirs - absl::Now();
  return true;
}

}  // namespace wallaby
