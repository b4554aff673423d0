#include "codec/registry_http.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "codec/json_text.h"

namespace wallaby {
namespace {

using Json = nlohmann::json;

constexpr size_t kMostWords = 600;

// The registry's own words: Confluent's "message", Apicurio's "title" with its causes; else the body's beginning.
std::string WordsOf(const std::string& body) {
  const Json json = Json::parse(body, nullptr, /*allow_exceptions=*/false);
  std::string words;
  if (json.is_object()) {
    for (const char* name : {"message", "detail", "title"}) {
      if (const auto found = json.find(name); found != json.end() && found->is_string()) {
        words = found->get<std::string>();
        break;
      }
    }
  }
  if (words.empty()) words = body;
  if (words.size() > kMostWords) words = words.substr(0, kMostWords) + "...";
  for (char& c : words) {
    if (absl::ascii_iscntrl(static_cast<unsigned char>(c))) c = ' ';
  }
  return words.empty() ? "it does not say why" : words;
}

}  // namespace

absl::StatusOr<int64_t> NumberInAnswer(const std::string& body, std::string_view pointer) {
  const Json json = Json::parse(body, nullptr, /*allow_exceptions=*/false);
  const Json* at = &json;
  while (!pointer.empty() && at->is_structured()) {
    const std::string part(pointer.substr(0, pointer.find('/')));
    pointer.remove_prefix(std::min(pointer.size(), part.size() + 1));
    if (at->is_array()) {
      at = at->empty() ? nullptr : &at->front();
    } else {
      const auto found = at->find(part);
      at = found == at->end() ? nullptr : &*found;
    }
    if (at == nullptr) break;
  }
  if (at != nullptr && pointer.empty()) {
    int64_t number = 0;
    if (at->is_number_integer()) {
      number = at->get<int64_t>();
    } else if (at->is_string()) {  // Apicurio's versions are text
      const auto& text = at->get_ref<const std::string&>();
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
      if (error != std::errc() || end != text.data() + text.size()) number = 0;
    }
    if (number > 0 && number <= std::numeric_limits<int32_t>::max()) return number;
  }
  return absl::InternalError(
      absl::StrCat("the schema registry's answer is not as expected: ", absl::CEscape(body.substr(0, 200))));
}

std::string JsonQuoted(std::string_view text) {
  std::string out;
  if (!AppendJsonString(text, &out)) out = "\"\"";
  return out;
}

RegistryHttp::RegistryHttp(const RegistryOptions& options, std::string base, std::string content_type)
    : base_(std::move(base)) {
  headers_ = {absl::StrCat("Content-Type: ", content_type),
              "Accept: application/json, application/vnd.schemaregistry.v1+json"};
  if (!options.token.empty()) {
    headers_.push_back(absl::StrCat("Authorization: Bearer ", options.token));
  } else if (!options.username.empty()) {
    headers_.push_back(absl::StrCat("Authorization: Basic ", std::string(absl::Base64Escape(absl::StrCat(
                                                                 options.username, ":", options.password)))));
  }
}

absl::StatusOr<std::string> RegistryHttp::Post(const std::string& path, const std::string& body) {
  HttpRequest request{.method = "POST", .url = base_ + path, .headers = headers_, .body = body};
  absl::MutexLock lock(&mutex_);
  absl::StatusOr<HttpResponse> response = client_.Send(request, {}, never_);
  if (!response.ok()) return Annotate(response.status(), absl::StrCat("schema registry ", base_));
  if (response->status / 100 == 2) return std::move(response->body);
  return Explain(*response);
}

absl::Status RegistryHttp::Explain(const HttpResponse& response) const {
  const std::string text =
      absl::StrCat("schema registry ", base_, " answers ", response.status, ": ", WordsOf(response.body));
  switch (response.status) {
    case 400:
    case 422:
      return absl::InvalidArgumentError(text);
    case 401:
      return absl::UnauthenticatedError(
          absl::StrCat(text, "; check schema_registry_username and _password, or schema_registry_token"));
    case 403:
      return absl::PermissionDeniedError(text);
    case 404:
      return absl::NotFoundError(text);
    case 409:
      return absl::FailedPreconditionError(text);
    default:
      if (response.status == 429 || response.status >= 500) return absl::UnavailableError(text);
      return absl::InternalError(text);
  }
}

}  // namespace wallaby
