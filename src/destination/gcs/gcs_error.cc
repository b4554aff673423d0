// Source: Cloud Storage JSON API, "HTTP status and error codes for JSON".
#include "destination/gcs/gcs_error.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"

namespace wallaby {
namespace {

using Json = nlohmann::json;

struct Said {
  std::string reason;  // such as "rateLimitExceeded"
  std::string words;
};

// Requests for an object's content are answered in plain text.
Said WhatItSays(const HttpResponse& response) {
  const Json json = Json::parse(response.body, nullptr, /*allow_exceptions=*/false);
  const auto error = json.is_object() ? json.find("error") : json.end();
  if (!json.is_object() || error == json.end() || !error->is_object()) return {"", response.body.substr(0, 400)};
  const auto text = [](const Json& object, const char* name) {
    const auto found = object.is_object() ? object.find(name) : object.end();
    return object.is_object() && found != object.end() && found->is_string() ? found->get<std::string>() : "";
  };
  const auto errors = error->find("errors");
  const bool has_reason = errors != error->end() && errors->is_array() && !errors->empty();
  return {has_reason ? text(errors->front(), "reason") : "", text(*error, "message").substr(0, 400)};
}

}  // namespace

absl::Status ExplainGcsError(const HttpResponse& response, const GcsPlace& place, std::string_view doing) {
  const Said said = WhatItSays(response);
  const std::string text =
      absl::StrCat(doing, " in bucket ", place.bucket, " at ", place.endpoint, ": it answers ", response.status,
                   said.reason.empty() ? "" : " ", said.reason, said.words.empty() ? "" : ": ", said.words);
  if (response.status == 404 && absl::StrContains(said.words, "bucket does not exist")) {
    return absl::FailedPreconditionError(absl::StrCat(text, "; make the bucket, or correct option bucket or endpoint"));
  }
  if (response.status == 408 || response.status == 429 || response.status >= 500 ||
      absl::StrContains(said.reason, "ateLimitExceeded")) {
    return absl::UnavailableError(text);
  }
  if (response.status == 401) {
    return absl::UnauthenticatedError(
        absl::StrCat(text, "; check option credentials, or the machine's service account"));
  }
  if (response.status == 403) {
    return absl::PermissionDeniedError(
        absl::StrCat(text, "; this account needs the permissions of docs/destinations/gcs.md"));
  }
  if (response.status == 404 || response.status == 410) return absl::NotFoundError(text);
  return absl::FailedPreconditionError(text);
}

}  // namespace wallaby
