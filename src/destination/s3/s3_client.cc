#include "destination/s3/s3_client.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "base/status.h"
#include "base/url_encode.h"
#include "destination/objects/xml_text.h"

namespace wallaby {
namespace {

constexpr absl::Duration kTimeout = absl::Seconds(120);

// std::map sorts by name, as the signature wants it.
std::string QueryText(const std::map<std::string, std::string>& query) {
  std::string text;
  for (const auto& [name, value] : query) {
    absl::StrAppend(&text, text.empty() ? "" : "&", UrlEncode(name), "=", UrlEncode(value));
  }
  return text;
}

std::string AwsEndpoint(const S3Options& options) {
  return absl::StrCat("https://s3", options.use_fips ? "-fips" : "", options.use_dualstack ? ".dualstack." : ".",
                      options.region, options.region.starts_with("cn-") ? ".amazonaws.com.cn" : ".amazonaws.com");
}

// As curl writes the header: without the scheme's own port.
std::string HostOf(std::string_view url) {
  const bool tls = url.starts_with("https:");
  const std::string_view host = url.substr(url.find("://") + 3);
  return std::string(absl::StripSuffix(host, tls ? ":443" : ":80"));
}

std::string Etag(const HttpResponse& response) {
  return HeaderOf(response, "etag");
}

std::string TypeHeader(std::string_view type) {
  return absl::StrCat("Content-Type: ", type);
}

}  // namespace

std::string S3Url(std::string_view bucket, std::string_view key) {
  return absl::StrCat("s3://", bucket, key.empty() ? "" : "/", key);
}

S3Client::S3Client(S3Options options)
    : ObjectStore(std::move(options.ca)),
      place_{options.bucket, options.endpoint.empty() ? AwsEndpoint(options) : WithScheme(options.endpoint),
             options.region},
      credentials_(std::move(options.credentials)) {
  // A name with dots fits no certificate for *.s3.amazonaws.com.
  const bool in_path = options.path_style.value_or(!options.endpoint.empty()) || absl::StrContains(place_.bucket, ".");
  base_ = place_.endpoint;
  if (!in_path) base_.insert(base_.find("://") + 3, place_.bucket + ".");
  host_ = HostOf(base_);
  root_ = in_path ? absl::StrCat("/", place_.bucket, "/") : "/";
}

absl::StatusOr<ObjectStore::Object> S3Client::Get(const std::string& key) {
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

absl::StatusOr<ObjectStore::Upload> S3Client::BeginUpload(const std::string& key, std::string_view type) {
  ASSIGN_OR_RETURN(const HttpResponse response,
                   Send({"beginning to write", "POST", key, {{"uploads", ""}}, {TypeHeader(type)}, {}}));
  std::string id = XmlText(response.body, "UploadId");
  if (id.empty()) {
    return absl::UnavailableError(
        absl::StrCat("beginning to write ", key, " at ", place_.endpoint, ": there is no UploadId in its answer"));
  }
  return Upload{.key = key, .id = std::move(id)};
}

absl::Status S3Client::PutPart(Upload* upload, std::string content) {
  const auto size = static_cast<int64_t>(content.size());
  const std::string number = absl::StrCat(upload->parts.size() + 1);
  ASSIGN_OR_RETURN(const HttpResponse response, Send({"writing a part of",
                                                      "PUT",
                                                      upload->key,
                                                      {{"partNumber", number}, {"uploadId", upload->id}},
                                                      {},
                                                      std::move(content)}));
  upload->parts.push_back(Etag(response));
  upload->bytes += size;
  return absl::OkStatus();
}

absl::Status S3Client::CompleteUpload(Upload upload, std::string last) {
  if (!last.empty()) RETURN_IF_ERROR(PutPart(&upload, std::move(last)));
  std::string body = "<CompleteMultipartUpload>";
  for (size_t i = 0; i < upload.parts.size(); ++i) {
    absl::StrAppend(&body, "<Part><PartNumber>", i + 1, "</PartNumber><ETag>", XmlEscape(upload.parts[i]),
                    "</ETag></Part>");
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

absl::StatusOr<std::vector<ObjectStore::Upload>> S3Client::ListUploads(const std::string& prefix) {
  std::vector<Upload> uploads;
  Call call{"listing uploads of " + prefix, "GET", "", {{"uploads", ""}, {"prefix", prefix}}, {}, {}};
  while (true) {
    ASSIGN_OR_RETURN(const HttpResponse response, Send(call));
    std::vector<std::string> keys = XmlTexts(response.body, "Key"), ids = XmlTexts(response.body, "UploadId");
    for (size_t i = 0; i < keys.size() && i < ids.size(); ++i) {
      uploads.push_back({.key = std::move(keys[i]), .id = std::move(ids[i])});
    }
    const std::string next = XmlText(response.body, "NextKeyMarker");
    if (XmlText(response.body, "IsTruncated") != "true" || next.empty()) return uploads;
    call.query["key-marker"] = next;
    call.query["upload-id-marker"] = XmlText(response.body, "NextUploadIdMarker");
  }
}

ObjectStore::Answer S3Client::Send(Call call) {
  const std::string what = absl::StrCat(call.method, " ", call.key.empty() ? "?" : call.key);
  if (!call.key.empty()) absl::StrAppend(&call.doing, " ", call.key);
  HttpRequest request{.method = call.method, .body = std::move(call.body), .timeout = kTimeout};
  const std::string body_hash = AwsBodyHash(request.body);
  bool mended = false;
  return SendRepeatedly(what, [&] {
    Answer answer = SendSigned(call, body_hash, &request);
    if (answer.ok() && !mended && Mend(*answer)) {
      mended = true;
      answer = SendSigned(call, body_hash, &request);
    }
    return Judged(call, std::move(answer));
  });
}

ObjectStore::Answer S3Client::Judged(const Call& call, Answer answer) const {
  if (!answer.ok()) {
    return Annotate(answer.status(), absl::StrCat(call.doing, " in bucket ", place_.bucket, " at ", place_.endpoint));
  }
  // Complete answers 200 before it knows how it went, and says the error in the body.
  const bool failed_late = call.method == "POST" && absl::StrContains(answer->body, "<Error>");
  if ((answer->status / 100 == 2 && !failed_late) || answer->status == 412) return answer;
  const absl::Status status = ExplainS3Error(*answer, place_, call.doing);
  const bool again = failed_late && answer->status == 200 && S3ErrorCode(*answer) == "InternalError";
  return again ? absl::UnavailableError(status.message()) : status;
}

ObjectStore::Answer S3Client::SendSigned(const Call& call, const std::string& body_hash, HttpRequest* request) {
  ASSIGN_OR_RETURN(const AwsCredentials credentials, credentials_.Get());
  AwsRequest to_sign{.method = call.method,
                     .host = host_,
                     .path = root_ + UrlPath(call.key),
                     .query = QueryText(call.query),
                     .headers = {{"x-amz-content-sha256", body_hash}},
                     .body_hash = body_hash};
  request->url = absl::StrCat(base_, to_sign.path, to_sign.query.empty() ? "" : "?", to_sign.query);
  request->headers = SignAwsRequest(to_sign, credentials, place_.region, "s3", absl::Now() + clock_offset_);
  request->headers.push_back(absl::StrCat("x-amz-content-sha256: ", body_hash));
  for (const std::string& header : call.headers) request->headers.push_back(header);
  if (request->body.empty() && call.method != "GET") request->headers.push_back("Content-Length: 0");
  return SendOnce(*request);
}

// True where the same request may go well now.
bool S3Client::Mend(const HttpResponse& response) {
  if (response.status / 100 == 2) return false;
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
