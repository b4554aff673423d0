#include "destination/azure/azure_options.h"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/environment.h"
#include "base/status.h"
#include "destination/option_reader.h"

namespace wallaby {
namespace {

constexpr std::string_view kContainer = "3 to 63 lower-case letters, digits and '-'";
constexpr std::string_view kAccount = "3 to 24 lower-case letters and digits";

bool IsName(std::string_view text, size_t longest, std::string_view others) {
  return text.size() >= 3 && text.size() <= longest && std::all_of(text.begin(), text.end(), [&](char c) {
           return absl::ascii_islower(c) || absl::ascii_isdigit(c) || others.find(c) != others.npos;
         });
}

bool IsKey(std::string_view text) {
  std::string bytes;
  return absl::Base64Unescape(text, &bytes) && !bytes.empty();
}

std::string TokenOf(std::string_view text) {
  return std::string(text.starts_with('?') ? text.substr(1) : text);
}

// Text that is the same whether it was given or not.
absl::Status CheckNames(const OptionReader& reader, const AzureOptions& options) {
  if (!IsName(options.container, 63, "-$")) return reader.Bad("container", kContainer);
  if (!options.account.empty() && !IsName(options.account, 24, "")) return reader.Bad("account", kAccount);
  if (!options.endpoint.empty() && !IsServerUrl(options.endpoint)) {
    return reader.Bad("endpoint", "a URL like https://account.blob.core.windows.net");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status AddConnectionString(std::string_view text, AzureOptions* out) {
  std::map<std::string, std::string> fields;
  for (const std::string_view field : absl::StrSplit(absl::StripAsciiWhitespace(text), ';', absl::SkipEmpty())) {
    const std::pair<std::string, std::string> parts = absl::StrSplit(field, absl::MaxSplits('=', 1));
    fields[absl::AsciiStrToLower(parts.first)] = parts.second;
  }
  if (fields["accountname"].empty() && fields["blobendpoint"].empty()) {
    return absl::InvalidArgumentError(
        "it has neither AccountName nor BlobEndpoint; allowed: a text like "
        "AccountName=...;AccountKey=...;EndpointSuffix=core.windows.net, as Azure shows it");
  }
  if (!fields["accountkey"].empty() && !IsKey(fields["accountkey"])) {
    return absl::InvalidArgumentError("its AccountKey is no base64 text");
  }
  std::string endpoint = fields["blobendpoint"];
  if (endpoint.empty()) {
    const std::string& scheme = fields["defaultendpointsprotocol"];
    const std::string& suffix = fields["endpointsuffix"];
    endpoint = absl::StrCat(scheme.empty() ? "https" : scheme, "://", fields["accountname"], ".blob.",
                            suffix.empty() ? "core.windows.net" : suffix);
  }
  if (!IsServerUrl(endpoint)) return absl::InvalidArgumentError("its BlobEndpoint is no URL");
  if (out->account.empty()) out->account = fields["accountname"];
  if (out->endpoint.empty()) out->endpoint = std::move(endpoint);
  if (!out->key.empty() || !out->sas.empty()) return absl::OkStatus();
  out->sas = TokenOf(fields["sharedaccesssignature"]);
  if (out->sas.empty()) out->key = fields["accountkey"];
  return absl::OkStatus();
}

absl::StatusOr<AzureOptions> ParseAzureOptions(const DestinationConfig& config) {
  const OptionReader reader(config);
  AzureOptions result{.container = reader.Text("container"),
                      .account = reader.Text("account"),
                      .key = reader.Text("account_key"),
                      .sas = TokenOf(reader.Text("sas_token")),
                      .endpoint = reader.Text("endpoint"),
                      .ca = ""};
  RETURN_IF_ERROR(CheckNames(reader, result));
  if (!result.key.empty() && !IsReferenceText(result.key) && !IsKey(result.key)) {
    return reader.Wrong("account_key", "it is no base64 text; Azure shows it under the account's access keys");
  }
  if (!result.key.empty() && !result.sas.empty()) {
    return reader.Wrong("sas_token", "account_key is given, too; give one of them");
  }
  const std::string* connection = reader.Find("connection_string");
  if (connection == nullptr) return result;
  for (const char* name : {"account", "account_key", "sas_token", "endpoint"}) {
    if (reader.Find(name) != nullptr) return reader.Wrong(name, "connection_string says it; give one of them");
  }
  if (IsReferenceText(*connection)) return result;
  const absl::Status status = AddConnectionString(*connection, &result);
  if (!status.ok()) return reader.Wrong("connection_string", status.message());
  return result;
}

absl::Status AddAzureEnvironment(AzureOptions* options, const DestinationConfig& config) {
  const OptionReader reader(config);
  const bool unsaid = options->key.empty() && options->sas.empty();
  if (const std::string text = FromEnvironment("AZURE_STORAGE_CONNECTION_STRING"); unsaid && !text.empty()) {
    constexpr char kPlace[] = "AZURE_STORAGE_CONNECTION_STRING in the environment";
    AzureOptions found;
    const absl::Status status = AddConnectionString(text, &found);
    if (!status.ok()) return Annotate(status, kPlace);
    if (!options->account.empty() && !found.account.empty() && found.account != options->account) {
      return reader.Wrong("account", absl::StrCat("got '", options->account, "', and ", kPlace, " is of account '",
                                                  found.account, "'; give account_key or sas_token, too"));
    }
    RETURN_IF_ERROR(AddConnectionString(text, options));
  }
  if (options->account.empty()) options->account = FromEnvironment("AZURE_STORAGE_ACCOUNT");
  if (options->key.empty() && options->sas.empty()) options->sas = TokenOf(FromEnvironment("AZURE_STORAGE_SAS_TOKEN"));
  if (options->key.empty() && options->sas.empty()) options->key = FromEnvironment("AZURE_STORAGE_KEY");
  // A token stands by itself; a key is the account's.
  if (options->account.empty() && (options->endpoint.empty() || !options->key.empty())) {
    return reader.Wrong("account",
                        "is missing; give account, or connection_string, or set AZURE_STORAGE_ACCOUNT for the worker");
  }
  if (options->key.empty() && options->sas.empty()) {
    return reader.Wrong("account_key",
                        "is missing; give account_key, sas_token or connection_string, or set AZURE_STORAGE_KEY or "
                        "AZURE_STORAGE_SAS_TOKEN for the worker");
  }
  return absl::OkStatus();
}

}  // namespace wallaby
