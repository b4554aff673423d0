// Source: Azure Storage REST API reference, "Common REST API error codes" and "Blob service error codes".
#include "destination/azure/azure_error.h"

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "destination/objects/object_store.h"
#include "destination/objects/xml_text.h"

namespace wallaby {
namespace {

// Its first line says what it is; an id and a time follow.
std::string Words(const HttpResponse& response) {
  const std::string text = XmlText(response.body, "Message");
  return text.substr(0, std::min<size_t>(text.find('\n'), 400));
}

// Why a signature was not taken, as far as Azure says; it holds the text that was to be signed, but no secret.
std::string Detail(const HttpResponse& response) {
  const std::string text = XmlText(response.body, "AuthenticationErrorDetail");
  return absl::StrCat(text.empty() ? "" : " (", text.substr(0, std::min<size_t>(text.find('\n'), 200)),
                      text.empty() ? "" : ")");
}

}  // namespace

std::string AzureErrorCode(const HttpResponse& response) {
  std::string code = HeaderOf(response, "x-ms-error-code");
  return code.empty() ? XmlText(response.body, "Code") : code;
}

absl::Status ExplainAzureError(const HttpResponse& response, const AzurePlace& place, std::string_view doing) {
  const std::string code = AzureErrorCode(response), words = Words(response);
  const std::string text =
      absl::StrCat(doing, " in container ", place.container, " at ", place.endpoint, ": it answers ", response.status,
                   code.empty() ? "" : " ", code, words.empty() ? "" : ": ", words);
  if (code == "ContainerNotFound") {
    return absl::FailedPreconditionError(
        absl::StrCat(text, "; make the container, or correct option container, account or endpoint"));
  }
  // Azurite calls a wrong signature AuthorizationFailure, which is Azure's word for a lack of rights.
  const bool unknown = words.starts_with("Server failed to authenticate");
  if (code == "AuthenticationFailed" || code == "InvalidAuthenticationInfo" || response.status == 401 || unknown) {
    return absl::UnauthenticatedError(absl::StrCat(
        text, Detail(response), "; check account and account_key, or give a new sas_token; this machine's clock says ",
        absl::FormatTime(absl::Now(), absl::UTCTimeZone()), ", the server's ", HeaderOf(response, "date")));
  }
  if (response.status == 403) {
    return absl::PermissionDeniedError(
        absl::StrCat(text, "; this key or token needs the permissions of docs/destinations/azure.md"));
  }
  if (response.status == 404) return absl::NotFoundError(text);
  if (response.status == 408 || response.status == 429 || response.status >= 500 || code == "ContainerBeingDeleted") {
    return absl::UnavailableError(text);
  }
  return absl::FailedPreconditionError(text);
}

}  // namespace wallaby
