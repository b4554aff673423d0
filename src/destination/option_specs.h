// Which options a destination type has: one table a type, for validation, for hiding secrets and for errors.
#ifndef WALLABY_DESTINATION_OPTION_SPECS_H_
#define WALLABY_DESTINATION_OPTION_SPECS_H_

#include <span>
#include <string_view>

#include "absl/status/statusor.h"

namespace wallaby {

// One option of a destination type. `allowed` is text for people ("target or append", "a duration").
struct OptionSpec {
  std::string_view name;
  bool required = false;
  std::string_view allowed;
  bool secret = false;  // never shown; a DSN is shown without its password
  // It decides to whom the secrets of the type's other options are sent, or how sure that is: an address, what is
  // trusted. When it changes, masked secrets do not come back (flow/flow.h RestoreSecrets).
  bool server = false;
  bool reference = false;  // may be a reference though it is no secret (flow/secret_reference.h)
};

// Every option of `type` (those of docs/destinations). NOT_FOUND for a type that does not exist, UNIMPLEMENTED for one
// of the contract that this build cannot write to.
absl::StatusOr<std::span<const OptionSpec>> DestinationOptions(std::string_view type);

// True for a type that writes through a codec, whose options (codec/codec_options.h) are in its table then.
bool SendsPayloads(std::string_view type);

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_OPTION_SPECS_H_
