// What every manifest says in the same way. For .cc files that know nlohmann's JSON.
#ifndef WALLABY_DESTINATION_FILES_STATE_JSON_H_
#define WALLABY_DESTINATION_FILES_STATE_JSON_H_

#include <cstdint>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "destination/files/file_store.h"
#include "nlohmann/json.hpp"

namespace wallaby {

nlohmann::json StateToJson(const StoreState& state, int format, int64_t generation);

// The object in a manifest's text. DATA_LOSS when it is none, FAILED_PRECONDITION when it is of a later format.
absl::StatusOr<nlohmann::json> ParseState(std::string_view text, int format);
// Throws nlohmann::json::exception where something is missing.
absl::Status StateFromJson(const nlohmann::json& json, StoreState* state, int64_t* generation);

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_FILES_STATE_JSON_H_
