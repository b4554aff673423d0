#include "dispatch/kubernetes/kube_client.h"

#include <algorithm>
#include <optional>
#include <random>

#include "absl/strings/ascii.h"
#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status.h"

namespace wallaby {
namespace {

constexpr int kTries = 3;
// A shorter wait is waited out within the call, a longer one is the caller's.
constexpr absl::Duration kMaxWait = absl::Seconds(2);
constexpr size_t kMaxEvent = 16 << 20;
constexpr char kRetryAfter[] = "wallaby/retry-after-ms";

// Letters, digits and "-_.~" as they are.
std::string QueryEscape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (absl::ascii_isalnum(c) || c == '-' || c == '_' || c == '.' || c == '~') {
      out += c;
    } else {
      constexpr char kHex[] = "0123456789ABCDEF";
      out += '%';
      out += kHex[static_cast<unsigned char>(c) >> 4];
      out += kHex[static_cast<unsigned char>(c) & 15];
    }
  }
  return out;
}

// How long the server asks to be left alone; a second where it does not say.
absl::Duration Pause(const HttpResponse& busy) {
  return std::clamp(ParseRetryAfter(busy.retry_after, absl::Now()), absl::Seconds(1), absl::Hours(1));
}

bool IsBusy(long status) {
  return status == 429 || status == 503;
}

// Hands on whole lines of a stream. False ends it.
class Lines {
 public:
  explicit Lines(std::function<bool(const Json&)> on_event) : on_event_(std::move(on_event)) {}
  bool Take(std::string_view data) {
    rest_.append(data);
    if (rest_.size() > kMaxEvent) return false;
    size_t begin = 0;
    for (size_t end; (end = rest_.find('\n', begin)) != std::string::npos; begin = end + 1) {
      const Json event = Json::parse(rest_.begin() + static_cast<std::ptrdiff_t>(begin),
                                     rest_.begin() + static_cast<std::ptrdiff_t>(end), nullptr, false);
      if (event.is_discarded() || !on_event_(event)) return false;
    }
    rest_.erase(0, begin);
    return true;
  }

 private:
  std::function<bool(const Json&)> on_event_;
  std::string rest_;
};

absl::Duration WatchLength() {
  // Not all watches of all servers at the same time.
  static thread_local std::mt19937 random{std::random_device{}()};
  return absl::Seconds(std::uniform_int_distribution<int>(180, 300)(random));
}

}  // namespace

bool IsOutcomeUnknown(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status);
}

absl::Duration RetryAfter(const absl::Status& status) {
  const auto payload = status.GetPayload(kRetryAfter);
  int64_t ms = 0;
  return payload && absl::SimpleAtoi(std::string(*payload), &ms) ? absl::Milliseconds(ms) : absl::ZeroDuration();
}

absl::StatusOr<Json> KubeClient::Create(const KubeResource& resource, const Json& object) {
  Call call{.verb = "create", .method = "POST", .resource = &resource, .path = "", .body = object.dump()};
  ASSIGN_OR_RETURN(const HttpResponse response, Send(call));
  return Json::parse(response.body, nullptr, false);
}

absl::Status KubeClient::Delete(const KubeResource& resource, const std::string& name, const std::string& uid) {
  const Json options = {{"apiVersion", "v1"},
                        {"kind", "DeleteOptions"},
                        {"propagationPolicy", "Foreground"},
                        {"preconditions", {{"uid", uid}}}};
  Call call{.verb = "delete", .method = "DELETE", .resource = &resource, .path = "/" + name, .body = options.dump()};
  const absl::Status status = Send(call).status();
  // Another object has the name now.
  return absl::IsAborted(status) ? absl::NotFoundError(status.message()) : status;
}

absl::StatusOr<Json> KubeClient::List(const KubeResource& resource, const std::string& label_selector) {
  Call call{
      .verb = "list", .method = "GET", .resource = &resource, .path = "?labelSelector=" + QueryEscape(label_selector)};
  ASSIGN_OR_RETURN(const HttpResponse response, Send(call));
  Json list = Json::parse(response.body, nullptr, false);
  if (!Field(list, "items").is_array()) {
    return absl::UnavailableError(
        absl::StrCat("the Kubernetes API server at ", access_->server(), " answered a list with something else"));
  }
  return list;
}

absl::Status KubeClient::Watch(const KubeResource& resource, const std::string& label_selector,
                               const std::string& version, const std::function<bool(const Json&)>& on_event) {
  const absl::Duration length = WatchLength();
  Lines lines(on_event);
  Call call{
      .verb = "watch",
      .method = "GET",
      .resource = &resource,
      .path = absl::StrCat("?watch=true&allowWatchBookmarks=true&labelSelector=", QueryEscape(label_selector),
                           "&resourceVersion=", QueryEscape(version), "&timeoutSeconds=", absl::ToInt64Seconds(length)),
      .body = "",
      .timeout = length + absl::Seconds(15),
      .on_data = [&lines](std::string_view data) { return lines.Take(data); }};
  return Send(call).status();
}

absl::StatusOr<HttpResponse> KubeClient::Send(const Call& call) {
  bool refreshed = false;
  for (int tries = 1;; ++tries) {
    ASSIGN_OR_RETURN(HttpResponse response, SendOnce(call));
    if (response.status / 100 == 2) return response;
    if (response.status == 401 && !refreshed) {
      refreshed = true;
      access_->Refresh();
      continue;
    }
    const absl::Duration wait = Pause(response);
    if (!IsBusy(response.status) || tries >= kTries || wait > kMaxWait) return ToStatus(call, response);
    if (end_->Wait(wait)) return absl::CancelledError("called off");
  }
}

absl::StatusOr<HttpResponse> KubeClient::SendOnce(const Call& call) {
  ASSIGN_OR_RETURN(const ClusterAccess::Credentials credentials, access_->Get());
  HttpRequest request;
  request.method = std::string(call.method);
  request.url = absl::StrCat(access_->server(), call.resource->api, "/namespaces/", access_->name_space(), "/",
                             call.resource->name, call.path);
  request.headers = {"Accept: application/json"};
  if (!call.body.empty()) request.headers.emplace_back("Content-Type: application/json");
  if (!credentials.token.empty()) request.headers.push_back("Authorization: Bearer " + credentials.token);
  request.body = call.body;
  request.proxy = access_->proxy();
  request.timeout = call.timeout;
  request.on_data = call.on_data;
  absl::StatusOr<HttpResponse> response = http_.Send(request, credentials.tls, *end_);
  if (response.ok() || absl::IsCancelled(response.status())) return response;
  return Annotate(response.status(), absl::StrCat("the Kubernetes API server at ", access_->server(), " (",
                                                  access_->origin(), ") cannot be reached"));
}

absl::Status KubeClient::ToStatus(const Call& call, const HttpResponse& response) const {
  const Json body = Json::parse(response.body, nullptr, false);
  const std::string message = TextField(body, "message");
  const std::string reason = TextField(body, "reason");
  const std::string asked = absl::StrCat(call.verb, " ", call.resource->name, " in namespace ", access_->name_space());
  const std::string said = absl::StrCat("the Kubernetes API server at ", access_->server(), " answered ", asked,
                                        " with ", response.status, message.empty() ? "" : ": ", message);
  switch (response.status) {
    case 401:
      return absl::UnauthenticatedError(absl::StrCat(said, "; the credentials of ", access_->origin(),
                                                     " are not accepted, nor were they after reading them again"));
    case 403:
      return absl::PermissionDeniedError(absl::StrCat(said, "; the Role needs the verb `", call.verb,
                                                      "` on the resource `", call.resource->name,
                                                      "` (deploy/kubernetes/rbac.yaml)"));
    case 404:
      return absl::NotFoundError(said);
    case 409:
      return reason == "AlreadyExists" ? absl::AlreadyExistsError(said) : absl::AbortedError(said);
    case 410:
      return absl::OutOfRangeError(said);
    case 429:
    case 503: {
      absl::Status busy = response.status == 429 ? absl::ResourceExhaustedError(said) : absl::UnavailableError(said);
      if (!response.retry_after.empty()) {
        busy.SetPayload(kRetryAfter, absl::Cord(absl::StrCat(absl::ToInt64Milliseconds(Pause(response)))));
      }
      return busy;
    }
    default:
      return response.status >= 500 ? absl::UnavailableError(said) : absl::InvalidArgumentError(said);
  }
}

}  // namespace wallaby
