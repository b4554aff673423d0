#include "destination/objects/object_store.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/backoff.h"
#include "base/status.h"
#include "base/url_encode.h"

namespace wallaby {
namespace {

constexpr int kTries = 7;  // about ten seconds in all

}  // namespace

ObjectStore::Answer ObjectStore::SendRepeatedly(std::string_view what, const std::function<Answer()>& attempt) {
  if (probe_) RETURN_IF_ERROR(probe_(absl::StrCat("sent ", what)));
  Backoff backoff(absl::Milliseconds(200), absl::Seconds(4));
  while (true) {
    Answer answer = attempt();
    const bool again = absl::IsUnavailable(answer.status()) || absl::IsDeadlineExceeded(answer.status());
    if (!again || backoff.tries() + 1 >= kTries) {
      if (probe_) RETURN_IF_ERROR(probe_(absl::StrCat("answered ", what)));
      return answer;
    }
    never_.Wait(backoff.Next());
  }
}

std::string HeaderOf(const HttpResponse& response, const std::string& name) {
  const auto found = response.headers.find(name);
  return found == response.headers.end() ? "" : found->second;
}

std::string UrlPath(std::string_view key) {
  return absl::StrJoin(absl::StrSplit(key, '/'), "/",
                       [](std::string* out, std::string_view name) { out->append(UrlEncode(name)); });
}

std::string WithScheme(std::string_view endpoint) {
  std::string url = absl::StrCat(endpoint.find("://") == endpoint.npos ? "https://" : "", endpoint);
  while (url.ends_with('/')) url.pop_back();
  return url;
}

}  // namespace wallaby
