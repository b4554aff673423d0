#include "destination/gcs/gcs_token.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <fstream>
#include <memory>
#include <sstream>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/environment.h"
#include "base/freer.h"
#include "base/status.h"
#include "base/url_encode.h"
#include "nlohmann/json.hpp"

namespace wallaby {
namespace {

using Json = nlohmann::json;

constexpr absl::Duration kRenewBefore = absl::Minutes(5);
constexpr absl::Duration kMetadataTimeout = absl::Seconds(5);
constexpr char kScope[] = "https://www.googleapis.com/auth/devstorage.read_write";
constexpr char kGrant[] = "urn:ietf:params:oauth:grant-type:jwt-bearer";

// RS256; empty when it cannot be done with this key.
std::string Signature(const std::string& pem, const std::string& text) {
  const std::unique_ptr<BIO, Freer<BIO_free_all>> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  const std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>> key(
      PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, const_cast<char*>("")));  // never asks for a password
  const std::unique_ptr<EVP_MD_CTX, Freer<EVP_MD_CTX_free>> context(EVP_MD_CTX_new());
  if (!key || EVP_PKEY_base_id(key.get()) != EVP_PKEY_RSA) return "";
  if (EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, key.get()) != 1) return "";
  size_t size = 0;
  const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
  if (EVP_DigestSign(context.get(), nullptr, &size, bytes, text.size()) != 1) return "";
  std::string signature(size, '\0');
  if (EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &size, bytes, text.size()) != 1)
    return "";
  signature.resize(size);
  return signature;
}

}  // namespace

absl::StatusOr<std::string> SignedAssertion(const ServiceAccount& account, absl::Time now) {
  Json header = {{"alg", "RS256"}, {"typ", "JWT"}};
  if (!account.key_id.empty()) header["kid"] = account.key_id;
  const int64_t from = absl::ToUnixSeconds(now);
  const Json claims = {
      {"iss", account.email}, {"scope", kScope}, {"aud", account.token_url}, {"iat", from}, {"exp", from + 3600}};
  // What is not UTF-8 in a name is replaced, not thrown about.
  const auto part = [](const Json& json) {
    return absl::WebSafeBase64Escape(json.dump(-1, ' ', false, Json::error_handler_t::replace));
  };
  std::string text = absl::StrCat(part(header), ".", part(claims));
  const std::string signature = Signature(account.key, text);
  if (signature.empty()) return absl::InvalidArgumentError("its private_key is no private key of RSA in PEM");
  absl::StrAppend(&text, ".", absl::WebSafeBase64Escape(signature));
  return text;
}

absl::StatusOr<std::string> GcsTokenSource::Get() {
  if (absl::Now() + kRenewBefore >= until_) RETURN_IF_ERROR(Find());
  return token_;
}

absl::Status GcsTokenSource::Find() {
  if (!given_.empty()) return FromKey(given_, "option credentials");
  const std::string path = FromEnvironment("GOOGLE_APPLICATION_CREDENTIALS");
  if (path.empty()) return FromMachine();
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  const std::string place = absl::StrCat("GOOGLE_APPLICATION_CREDENTIALS: ", path);
  if (!file) return absl::UnauthenticatedError(absl::StrCat(place, " cannot be read"));
  return FromKey(text.str(), place);
}

absl::Status GcsTokenSource::FromKey(const std::string& json, std::string_view place) {
  const auto account = ParseServiceAccount(json);
  if (!account.ok()) return absl::UnauthenticatedError(absl::StrCat(place, ": ", account.status().message()));
  const auto assertion = SignedAssertion(*account, absl::Now());
  if (!assertion.ok()) return absl::UnauthenticatedError(absl::StrCat(place, ": ", assertion.status().message()));
  return Ask({.method = "POST",
              .url = account->token_url,
              .headers = {"Content-Type: application/x-www-form-urlencoded"},
              .body = absl::StrCat("grant_type=", UrlEncode(kGrant), "&assertion=", *assertion)},
             absl::StrCat("a token for ", account->email, " from ", account->token_url));
}

absl::Status GcsTokenSource::FromMachine() {
  std::string host = FromEnvironment("GCE_METADATA_HOST");
  if (host.empty()) host = "metadata.google.internal";
  absl::Status status =
      Ask({.url = absl::StrCat("http://", host, "/computeMetadata/v1/instance/service-accounts/default/token"),
           .headers = {"Metadata-Flavor: Google"},
           .timeout = kMetadataTimeout},
          absl::StrCat("a token from the metadata server ", host));
  // One that has answered before will do so again.
  if (!token_.empty() || !(absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status))) return status;
  return absl::UnauthenticatedError(
      absl::StrCat("there are no credentials: give option credentials, or set GOOGLE_APPLICATION_CREDENTIALS for the "
                   "worker, or let it run on a machine of Google's with a service account (",
                   status.message(), ")"));
}

absl::Status GcsTokenSource::Ask(const HttpRequest& request, const std::string& place) {
  const absl::StatusOr<HttpResponse> response = http_.Send(request, {}, never_);
  if (!response.ok()) return Annotate(response.status(), place);
  const Json json = Json::parse(response->body, nullptr, /*allow_exceptions=*/false);
  const auto text = [&](const char* name) {
    const auto found = json.is_object() ? json.find(name) : json.end();
    return json.is_object() && found != json.end() && found->is_string() ? found->get<std::string>() : "";
  };
  if (response->status / 100 != 2) {
    const std::string words = absl::StrCat(place, ": it answers ", response->status, " ", text("error").substr(0, 100),
                                           ": ", text("error_description").substr(0, 400));
    return response->status >= 500 || response->status == 429
               ? absl::UnavailableError(words)
               : absl::UnauthenticatedError(absl::StrCat(words,
                                                         "; give another key of the service account, and check "
                                                         "this machine's clock"));
  }
  const auto seconds = json.is_object() ? json.find("expires_in") : json.end();
  if (text("access_token").empty() || seconds == json.end() || !seconds->is_number_integer()) {
    return absl::UnavailableError(absl::StrCat(place, ": there is no token in its answer"));
  }
  token_ = text("access_token");
  until_ = absl::Now() + absl::Seconds(seconds->get<int64_t>());
  return absl::OkStatus();
}

}  // namespace wallaby
