#include "destination/files/manifest.h"

#include <utility>

#include "base/status.h"
#include "destination/files/state_json.h"
#include "nlohmann/json.hpp"

namespace wallaby {
namespace {

using Json = nlohmann::json;

constexpr int kFormat = 1;

}  // namespace

std::string Manifest::ToJson() const {
  Json json = StateToJson(state, kFormat, generation);
  json["files"] = Json::array();
  json["removed"] = removed;
  for (const PublishedFile& file : files) {
    json["files"].push_back({{"staged", file.staged}, {"path", file.path}, {"rows", file.rows}});
  }
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

absl::StatusOr<Manifest> Manifest::FromJson(std::string_view text) {
  ASSIGN_OR_RETURN(const Json json, ParseState(text, kFormat));
  try {
    Manifest m;
    RETURN_IF_ERROR(StateFromJson(json, &m.state, &m.generation));
    for (const Json& file : json.at("files")) {
      m.files.push_back({.staged = file.at("staged").get<std::string>(),
                         .path = file.at("path").get<std::string>(),
                         .rows = file.at("rows").get<int64_t>()});
    }
    json.at("removed").get_to(m.removed);
    return m;
  } catch (const Json::exception& error) {
    return absl::DataLossError(error.what());
  }
}

}  // namespace wallaby
