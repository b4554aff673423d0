// What a flow may say about a destination of type azure, parsed and checked; part of the room's own library, so that a
// flow file is refused when it is created. No HTTP here.
//
// Source: Azure Storage documentation, "Configure Azure Storage connection strings".
#ifndef WALLABY_DESTINATION_AZURE_AZURE_OPTIONS_H_
#define WALLABY_DESTINATION_AZURE_AZURE_OPTIONS_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "destination/destination.h"

namespace wallaby {

struct AzureOptions {
  std::string container;
  std::string account;
  std::string key;       // the account's, as Azure shows it: base64
  std::string sas;       // in its place: a token, without a leading '?'
  std::string endpoint;  // URL of the account's Blob service; empty: Azure's own
  std::string ca;        // PEM text; empty: the system's authorities
};

// Account, key or token, and endpoint out of a connection string, into what is empty there. INVALID_ARGUMENT says what
// is wrong with it, and never shows it.
absl::Status AddConnectionString(std::string_view text, AzureOptions* out);

// All but `ca`. References to secrets pass as they are, so that options can be checked before they are followed; those
// that the environment may give can be missing (AddAzureEnvironment). INVALID_ARGUMENT names the option and what is
// allowed. Does no I/O.
absl::StatusOr<AzureOptions> ParseAzureOptions(const DestinationConfig& config);

// What is missing, from where Azure's own tools look for it: AZURE_STORAGE_CONNECTION_STRING, AZURE_STORAGE_ACCOUNT,
// AZURE_STORAGE_KEY, AZURE_STORAGE_SAS_TOKEN. INVALID_ARGUMENT when there is no account, or neither key nor token.
absl::Status AddAzureEnvironment(AzureOptions* options, const DestinationConfig& config);

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_AZURE_AZURE_OPTIONS_H_
