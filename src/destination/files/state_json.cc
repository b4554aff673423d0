#include "destination/files/state_json.h"

#include <string>

#include "base/status.h"

namespace wallaby {

using Json = nlohmann::json;

Json StateToJson(const StoreState& state, int format, int64_t generation) {
  return {{"format", format},
          {"id", state.id},
          {"generation", generation},
          {"next_file", state.next_file},
          {"commit_lsn", state.progress.commit.ToString()},
          {"end_lsn", state.progress.end.ToString()},
          {"snapshot_parts", state.progress.snapshot_parts}};
}

absl::StatusOr<Json> ParseState(std::string_view text, int format) {
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded() || !json.is_object()) return absl::DataLossError("it is not a JSON object");
  const auto found = json.find("format");
  if (found == json.end() || !found->is_number_integer()) return absl::DataLossError("it has no format");
  if (found->get<int>() <= format) return json;
  return absl::FailedPreconditionError("it was written by a later version of WALlaby; use that version");
}

absl::Status StateFromJson(const Json& json, StoreState* state, int64_t* generation) {
  json.at("id").get_to(state->id);
  json.at("generation").get_to(*generation);
  json.at("next_file").get_to(state->next_file);
  ASSIGN_OR_RETURN(state->progress.commit, Lsn::Parse(json.at("commit_lsn").get<std::string>()));
  ASSIGN_OR_RETURN(state->progress.end, Lsn::Parse(json.at("end_lsn").get<std::string>()));
  json.at("snapshot_parts").get_to(state->progress.snapshot_parts);
  return absl::OkStatus();
}

}  // namespace wallaby
