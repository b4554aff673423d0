#include "destination/gcs/gcs_options.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "destination/option_reader.h"
#include "nlohmann/json.hpp"

namespace wallaby {
namespace {

using Json = nlohmann::json;

bool IsBucket(std::string_view text) {
  return text.size() >= 3 && text.size() <= 222 && std::all_of(text.begin(), text.end(), [](char c) {
           return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '-' || c == '_' || c == '.';
         });
}

}  // namespace

absl::StatusOr<ServiceAccount> ParseServiceAccount(std::string_view json) {
  const Json parsed = Json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (!parsed.is_object()) {
    return absl::InvalidArgumentError("it is no JSON object; allowed: the text of a service account's key file");
  }
  const auto text = [&](const char* name) {
    const auto found = parsed.find(name);
    return found != parsed.end() && found->is_string() ? found->get<std::string>() : "";
  };
  if (text("type") != "service_account") {
    return absl::InvalidArgumentError("its type is not service_account, which is the only one that is known here");
  }
  ServiceAccount account{text("client_email"), text("private_key"), text("private_key_id"), text("token_uri")};
  if (account.email.empty() || !account.key.starts_with("-----BEGIN")) {
    return absl::InvalidArgumentError("it has no client_email, or no private_key in PEM");
  }
  if (!IsServerUrl(account.token_url)) return absl::InvalidArgumentError("its token_uri is no URL");
  return account;
}

absl::StatusOr<GcsOptions> ParseGcsOptions(const DestinationConfig& config) {
  const OptionReader reader(config);
  GcsOptions result{.bucket = reader.Text("bucket"),
                    .credentials = reader.Text("credentials"),
                    .endpoint = reader.Text("endpoint"),
                    .ca = ""};
  if (!IsBucket(result.bucket)) return reader.Bad("bucket", "3 to 222 lower-case letters, digits and '-', '_' or '.'");
  if (!result.endpoint.empty() && !IsServerUrl(result.endpoint)) {
    return reader.Bad("endpoint", "a URL like https://storage.googleapis.com");
  }
  if (result.credentials.empty() || IsReferenceText(result.credentials)) return result;
  const auto account = ParseServiceAccount(result.credentials);
  if (!account.ok()) return reader.Wrong("credentials", account.status().message());
  return result;
}

}  // namespace wallaby
