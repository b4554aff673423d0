#include "destination/gcs/gcs_client.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "base/url_encode.h"
#include "nlohmann/json.hpp"

namespace wallaby {
namespace {

using Json = nlohmann::json;

constexpr absl::Duration kTimeout = absl::Seconds(120);
constexpr char kGoogle[] = "https://storage.googleapis.com";

std::string TextOf(const Json& json, const char* name) {
  const auto found = json.is_object() ? json.find(name) : json.end();
  return json.is_object() && found != json.end() && found->is_string() ? found->get<std::string>() : "";
}

Json Parsed(const HttpResponse& response) {
  return Json::parse(response.body, nullptr, /*allow_exceptions=*/false);
}

// How many bytes of an upload there are: "Range: bytes=0-41" is 42. Without that header it has none.
int64_t BytesTaken(const HttpResponse& response) {
  const std::string range = HeaderOf(response, "range");
  int64_t last = -1;
  static_cast<void>(absl::SimpleAtoi(std::string_view(range).substr(range.rfind('-') + 1), &last));
  return last + 1;
}

// Text that separates the parts of a body, and is not in the content.
std::string Boundary(const std::string& content) {
  std::string boundary = "wallaby";
  for (int i = 0; content.find(boundary) != content.npos; ++i) boundary = absl::StrCat("wallaby-", i);
  return boundary;
}

}  // namespace

std::string GcsUrl(std::string_view bucket, std::string_view key) {
  return absl::StrCat("gs://", bucket, key.empty() ? "" : "/", key);
}

GcsClient::GcsClient(GcsOptions options)
    : ObjectStore(std::move(options.ca)),
      place_{options.bucket, options.endpoint.empty() ? kGoogle : WithScheme(options.endpoint)},
      anonymous_(options.credentials.empty() && place_.endpoint.starts_with("http://")),
      tokens_(std::move(options.credentials)) {}

std::string GcsClient::ObjectPath(const std::string& key) const {
  return absl::StrCat("/storage/v1/b/", place_.bucket, "/o", key.empty() ? "" : "/", UrlEncode(key));
}

std::string GcsClient::UploadPath() const {
  return absl::StrCat("/upload/storage/v1/b/", place_.bucket, "/o");
}

absl::StatusOr<ObjectStore::Object> GcsClient::Get(const std::string& key) {
  ASSIGN_OR_RETURN(HttpResponse response, Send({"reading", "GET", key, ObjectPath(key), {{"alt", "media"}}, {}, {}}));
  return Object{std::move(response.body), HeaderOf(response, "x-goog-generation")};
}

GcsClient::Call GcsClient::WholeObject(const std::string& key, const std::string& content, std::string_view type,
                                       const std::string& generation) const {
  const std::string boundary = Boundary(content);
  const Json about = {{"name", key}, {"contentType", type}};
  Call call{"writing",
            "POST",
            key,
            UploadPath(),
            {{"uploadType", "multipart"}},
            {absl::StrCat("Content-Type: multipart/related; boundary=", boundary)},
            absl::StrCat("--", boundary, "\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n",
                         about.dump(-1, ' ', false, Json::error_handler_t::replace), "\r\n--", boundary,
                         "\r\nContent-Type: ", type, "\r\n\r\n", content, "\r\n--", boundary, "--\r\n")};
  if (!generation.empty()) call.query["ifGenerationMatch"] = generation;
  return call;
}

absl::Status GcsClient::Put(const std::string& key, std::string content, std::string_view type) {
  return Send(WholeObject(key, content, type, "")).status();
}

absl::StatusOr<std::optional<std::string>> GcsClient::PutIf(const std::string& key, std::string content,
                                                            std::string_view type, const std::string& etag) {
  // Generation 0 is that of an object which is not there.
  ASSIGN_OR_RETURN(const HttpResponse response, Send(WholeObject(key, content, type, etag.empty() ? "0" : etag)));
  if (response.status == 412) return std::nullopt;
  std::string generation = TextOf(Parsed(response), "generation");
  if (!generation.empty()) return generation;
  return absl::UnavailableError(
      absl::StrCat("writing ", key, " at ", place_.endpoint, ": there is no generation in its answer"));
}

absl::Status GcsClient::Delete(const std::string& key) {
  const absl::Status status = Send({"removing", "DELETE", key, ObjectPath(key), {}, {}, {}}).status();
  return absl::IsNotFound(status) ? absl::OkStatus() : status;
}

absl::StatusOr<std::vector<std::string>> GcsClient::List(const std::string& prefix) {
  std::vector<std::string> keys;
  Call call{"listing " + prefix, "GET", "", ObjectPath(""), {{"prefix", prefix}}, {}, {}};
  while (true) {
    ASSIGN_OR_RETURN(const HttpResponse response, Send(call));
    const Json json = Parsed(response);
    const auto items = json.is_object() ? json.find("items") : json.end();
    if (json.is_object() && items != json.end() && items->is_array()) {
      for (const Json& item : *items) keys.push_back(TextOf(item, "name"));
    }
    const std::string next = TextOf(json, "nextPageToken");
    if (next.empty()) return keys;
    call.query["pageToken"] = next;
  }
}

absl::StatusOr<ObjectStore::Upload> GcsClient::BeginUpload(const std::string& key, std::string_view type) {
  const Json about = {{"name", key}, {"contentType", type}};
  ASSIGN_OR_RETURN(const HttpResponse response,
                   Send({"beginning to write",
                         "POST",
                         key,
                         UploadPath(),
                         {{"name", key}, {"uploadType", "resumable"}},
                         {"Content-Type: application/json", absl::StrCat("X-Upload-Content-Type: ", type)},
                         about.dump(-1, ' ', false, Json::error_handler_t::replace)}));
  Upload upload{.key = key, .id = HeaderOf(response, "location")};
  if (!upload.id.empty()) return upload;
  return absl::UnavailableError(
      absl::StrCat("beginning to write ", key, " at ", place_.endpoint, ": there is no Location in its answer"));
}

absl::Status GcsClient::PutPart(Upload* upload, std::string content) {
  const auto size = static_cast<int64_t>(content.size());
  RETURN_IF_ERROR(SendBytes(*upload, std::move(content), /*ends=*/false));
  upload->bytes += size;
  return absl::OkStatus();
}

absl::Status GcsClient::CompleteUpload(Upload upload, std::string last) {
  const absl::Status status = SendBytes(upload, std::move(last), /*ends=*/true);
  if (!absl::IsNotFound(status)) return status;
  // There is no such upload: an answer was lost, and it is complete already, or Google has forgotten it.
  ASSIGN_OR_RETURN(const std::vector<std::string> keys, List(upload.key));
  for (const std::string& key : keys) {
    if (key == upload.key) return absl::OkStatus();
  }
  return absl::UnavailableError(status.message());
}

absl::Status GcsClient::SendBytes(const Upload& upload, std::string content, bool ends) {
  int64_t from = upload.bytes;
  const int64_t end = from + static_cast<int64_t>(content.size());
  const std::string doing = absl::StrCat(ends ? "completing " : "writing a part of ", upload.key);
  HttpRequest request{.method = "PUT", .url = upload.id, .body = std::move(content), .timeout = kTimeout};
  return SendRepeatedly(
             absl::StrCat("PUT ", upload.key),
             [&]() -> Answer {
               const std::string total = ends ? absl::StrCat(end) : "*";
               const std::string range = from == end ? "*" : absl::StrCat(from, "-", end - 1);
               request.headers = {absl::StrCat("Content-Range: bytes ", range, "/", total)};
               if (request.body.empty()) request.headers.push_back("Content-Length: 0");
               Answer answer = SendOnce(request);
               if (!answer.ok()) {
                 return Annotate(answer.status(),
                                 absl::StrCat(doing, " in bucket ", place_.bucket, " at ", place_.endpoint));
               }
               if (answer->status / 100 == 2) return answer;
               if (answer->status != 308) return ExplainGcsError(*answer, place_, doing);
               const int64_t taken = BytesTaken(*answer);
               if (taken == end && !ends) return answer;
               if (taken > from && taken <= end) {
                 request.body.erase(0, static_cast<size_t>(taken - from));
                 from = taken;
               }
               return absl::UnavailableError(absl::StrCat(doing, " in bucket ", place_.bucket, " at ", place_.endpoint,
                                                          ": it has taken ", taken, " of ", end, " bytes"));
             })
      .status();
}

ObjectStore::Answer GcsClient::Send(Call call) {
  // Writing is PUT for the probe, as with the other stores.
  const std::string what =
      absl::StrCat(call.method == "POST" ? "PUT" : call.method, " ", call.key.empty() ? "?" : call.key);
  if (!call.key.empty()) absl::StrAppend(&call.doing, " ", call.key);
  HttpRequest request{
      .method = call.method, .url = place_.endpoint + call.path, .body = std::move(call.body), .timeout = kTimeout};
  std::string mark = "?";
  for (const auto& [name, value] : call.query) {
    absl::StrAppend(&request.url, mark, UrlEncode(name), "=", UrlEncode(value));
    mark = "&";
  }
  bool renewed = false;
  return SendRepeatedly(what, [&]() -> Answer {
    Answer answer = SendWithToken(&request, call.headers);
    // A token may be called back before its time.
    if (answer.ok() && answer->status == 401 && !renewed) {
      renewed = true;
      tokens_.Renew();
      answer = SendWithToken(&request, call.headers);
    }
    if (!answer.ok()) {
      return Annotate(answer.status(), absl::StrCat(call.doing, " in bucket ", place_.bucket, " at ", place_.endpoint));
    }
    if (answer->status / 100 == 2 || answer->status == 412) return answer;
    const absl::Status status = ExplainGcsError(*answer, place_, call.doing);
    // Nothing but the bucket can be missing where an object is made.
    const bool no_bucket = absl::IsNotFound(status) && call.method == "POST";
    return no_bucket ? absl::FailedPreconditionError(status.message()) : status;
  });
}

ObjectStore::Answer GcsClient::SendWithToken(HttpRequest* request, const std::vector<std::string>& headers) {
  request->headers = headers;
  if (anonymous_) return SendOnce(*request);
  ASSIGN_OR_RETURN(const std::string token, tokens_.Get());
  request->headers.push_back(absl::StrCat("Authorization: Bearer ", token));
  return SendOnce(*request);
}

}  // namespace wallaby
