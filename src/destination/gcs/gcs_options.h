// What a flow may say about a destination of type gcs, parsed and checked; part of the room's own library, so that a
// flow file is refused when it is created. No HTTP here.
#ifndef WALLABY_DESTINATION_GCS_GCS_OPTIONS_H_
#define WALLABY_DESTINATION_GCS_GCS_OPTIONS_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "destination/destination.h"

namespace wallaby {

// The key of a service account, as Google gives it: a file of JSON.
struct ServiceAccount {
  std::string email;
  std::string key;        // PEM text
  std::string key_id;     // may be empty
  std::string token_url;  // where a token is had for it
};

// INVALID_ARGUMENT says what is wrong with the text, and never shows it.
absl::StatusOr<ServiceAccount> ParseServiceAccount(std::string_view json);

struct GcsOptions {
  std::string bucket;
  std::string credentials;  // JSON of a ServiceAccount; empty: GcsTokenSource looks for what there is
  std::string endpoint;     // URL; empty: Google's own
  std::string ca;           // PEM text; empty: the system's authorities
};

// All but `ca`. References to secrets pass as they are, so that options can be checked before they are followed.
// INVALID_ARGUMENT names the option and what is allowed. Does no I/O.
absl::StatusOr<GcsOptions> ParseGcsOptions(const DestinationConfig& config);

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_GCS_GCS_OPTIONS_H_
