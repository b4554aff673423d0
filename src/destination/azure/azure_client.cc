#include "destination/azure/azure_client.h"

#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "base/status.h"
#include "base/url_encode.h"
#include "destination/azure/shared_key.h"
#include "destination/objects/xml_text.h"

namespace wallaby {
namespace {

constexpr absl::Duration kTimeout = absl::Seconds(120);
constexpr char kVersion[] = "2021-12-02";  // of the API
constexpr char kBytes[] = "application/octet-stream";

std::string BlobService(const AzureOptions& options) {
  if (!options.endpoint.empty()) return WithScheme(options.endpoint);
  return absl::StrCat("https://", options.account, ".blob.core.windows.net");
}

// What stands behind the host.
std::string PathOf(std::string_view url) {
  const size_t slash = url.find('/', url.find("://") + 3);
  return slash == url.npos ? "" : std::string(url.substr(slash));
}

std::string KeyBytes(const std::string& base64) {
  std::string bytes;
  static_cast<void>(absl::Base64Unescape(base64, &bytes));  // one that is none is not taken by the server
  return bytes;
}

// Blocks of one blob have ids of one length.
std::string BlockId(size_t number) {
  return absl::Base64Escape(absl::StrFormat("%06d", number));
}

// Leases are answered with 412, too: that is an error.
bool ConditionFailed(const HttpResponse& response) {
  const std::string code = response.status == 412 || response.status == 409 ? AzureErrorCode(response) : "";
  return code == "ConditionNotMet" || code == "BlobAlreadyExists";
}

}  // namespace

std::string AzureUrl(std::string_view container, std::string_view key) {
  return absl::StrCat("az://", container, key.empty() ? "" : "/", key);
}

AzureClient::AzureClient(AzureOptions options)
    : ObjectStore(std::move(options.ca)),
      place_{options.container, BlobService(options)},
      root_(absl::StrCat(PathOf(place_.endpoint), "/", options.container)),
      account_(options.account),
      key_(KeyBytes(options.key)),
      sas_(options.sas) {}

absl::StatusOr<ObjectStore::Object> AzureClient::Get(const std::string& key) {
  ASSIGN_OR_RETURN(HttpResponse response, Send({"reading", "GET", key, {}, {}, {}}));
  return Object{std::move(response.body), HeaderOf(response, "etag")};
}

absl::Status AzureClient::Put(const std::string& key, std::string content, std::string_view type) {
  return Send({"writing",
               "PUT",
               key,
               {},
               {{"content-type", std::string(type)}, {"x-ms-blob-type", "BlockBlob"}},
               std::move(content)})
      .status();
}

absl::StatusOr<std::optional<std::string>> AzureClient::PutIf(const std::string& key, std::string content,
                                                              std::string_view type, const std::string& etag) {
  Call call{"writing",         "PUT", key, {}, {{"content-type", std::string(type)}, {"x-ms-blob-type", "BlockBlob"}},
            std::move(content)};
  call.headers.emplace(etag.empty() ? "if-none-match" : "if-match", etag.empty() ? "*" : etag);
  const auto response = Send(std::move(call));
  // A blob with this ETag is not there when there is none.
  if (absl::IsNotFound(response.status()) && !etag.empty()) return std::nullopt;
  if (!response.ok()) return response.status();
  if (ConditionFailed(*response)) return std::nullopt;
  return HeaderOf(*response, "etag");
}

absl::Status AzureClient::Delete(const std::string& key) {
  const absl::Status status = Send({"removing", "DELETE", key, {}, {}, {}}).status();
  return absl::IsNotFound(status) ? absl::OkStatus() : status;
}

absl::StatusOr<std::vector<std::string>> AzureClient::List(const std::string& prefix) {
  std::vector<std::string> keys;
  Call call{"listing " + prefix, "GET", "", {{"comp", "list"}, {"prefix", prefix}, {"restype", "container"}}, {}, {}};
  while (true) {
    ASSIGN_OR_RETURN(const HttpResponse response, Send(call));
    for (std::string& key : XmlTexts(response.body, "Name")) keys.push_back(std::move(key));
    const std::string next = XmlText(response.body, "NextMarker");
    if (next.empty()) return keys;
    call.query["marker"] = next;
  }
}

absl::StatusOr<ObjectStore::Upload> AzureClient::BeginUpload(const std::string& key, std::string_view /*type*/) {
  return Upload{.key = key};
}

absl::Status AzureClient::PutPart(Upload* upload, std::string content) {
  const auto size = static_cast<int64_t>(content.size());
  std::string id = BlockId(upload->parts.size());
  RETURN_IF_ERROR(Send({"writing a part of",
                        "PUT",
                        upload->key,
                        {{"blockid", id}, {"comp", "block"}},
                        {{"content-type", kBytes}},
                        std::move(content)})
                      .status());
  upload->parts.push_back(std::move(id));
  upload->bytes += size;
  return absl::OkStatus();
}

absl::Status AzureClient::CompleteUpload(Upload upload, std::string last) {
  if (!last.empty()) RETURN_IF_ERROR(PutPart(&upload, std::move(last)));
  // "Latest" also finds blocks that are committed already, so that it does no harm to ask twice.
  std::string body = "<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>";
  for (const std::string& id : upload.parts) absl::StrAppend(&body, "<Latest>", id, "</Latest>");
  body += "</BlockList>";
  return Send({"completing",
               "PUT",
               upload.key,
               {{"comp", "blocklist"}},
               {{"content-type", "application/xml"}, {"x-ms-blob-content-type", kBytes}},
               std::move(body)})
      .status();
}

ObjectStore::Answer AzureClient::Send(Call call) {
  const std::string what = absl::StrCat(call.method, " ", call.key.empty() ? "?" : call.key);
  if (!call.key.empty()) absl::StrAppend(&call.doing, " ", call.key);
  HttpRequest request{.method = call.method, .body = std::move(call.body), .timeout = kTimeout};
  return SendRepeatedly(what, [&]() -> Answer {
    Authorize(call, &request);
    Answer answer = SendOnce(request);
    if (!answer.ok()) {
      return Annotate(answer.status(),
                      absl::StrCat(call.doing, " in container ", place_.container, " at ", place_.endpoint));
    }
    if (answer->status / 100 == 2 || ConditionFailed(*answer)) return answer;
    return ExplainAzureError(*answer, place_, call.doing);
  });
}

void AzureClient::Authorize(const Call& call, HttpRequest* request) const {
  AzureRequest parts{.method = call.method,
                     .path = absl::StrCat(root_, call.key.empty() ? "" : "/", UrlPath(call.key)),
                     .query = call.query,
                     .headers = call.headers,
                     .body_size = request->body.size()};
  parts.headers["x-ms-version"] = kVersion;
  parts.headers["x-ms-date"] = absl::FormatTime("%a, %d %b %Y %H:%M:%S GMT", absl::Now(), absl::UTCTimeZone());
  if (sas_.empty()) parts.headers["authorization"] = SharedKeyAuthorization(parts, account_, key_);
  request->url = absl::StrCat(place_.endpoint, parts.path.substr(PathOf(place_.endpoint).size()));
  std::string mark = "?";
  for (const auto& [name, value] : parts.query) {
    absl::StrAppend(&request->url, mark, UrlEncode(name), "=", UrlEncode(value));
    mark = "&";
  }
  if (!sas_.empty()) absl::StrAppend(&request->url, mark, sas_);
  request->headers.clear();
  for (const auto& [name, value] : parts.headers) request->headers.push_back(absl::StrCat(name, ": ", value));
  if (request->body.empty() && call.method != "GET") request->headers.push_back("content-length: 0");
}

}  // namespace wallaby
