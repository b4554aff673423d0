// Names that a flow's destination has in whatever store it writes to.
#ifndef WALLABY_DESTINATION_FILES_STORE_NAMES_H_
#define WALLABY_DESTINATION_FILES_STORE_NAMES_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "destination/destination.h"

namespace wallaby {

// "_wallaby/<flow>-<destination>": what is kept beside the data files, below the store's place.
std::string StoreFolder(const DestinationConfig& config);

// Eight digits for the flow and destination.
std::string StoreIdPrefix(const DestinationConfig& config);
// The prefix, then four digits at random: a manifest that was lost and made anew does not give names that exist.
std::string NewStoreId(std::string_view prefix);

// FAILED_PRECONDITION "fenced" when the stored generation is above `own`.
absl::Status CheckGeneration(int64_t stored, int64_t own, std::string_view place);

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_FILES_STORE_NAMES_H_
