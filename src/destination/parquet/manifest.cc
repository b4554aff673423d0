#include "destination/parquet/manifest.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "nlohmann/json.hpp"

namespace wallaby {
namespace {

using Json = nlohmann::json;

constexpr int kFormat = 1;

}  // namespace

std::string Manifest::ToJson() const {
  Json json = {
      {"format", kFormat},
      {"id", id},
      {"generation", generation},
      {"next_file", next_file},
      {"commit_lsn", progress.commit.ToString()},
      {"end_lsn", progress.end.ToString()},
      {"snapshot_parts", progress.snapshot_parts},
      {"files", Json::array()},
      {"removed", removed},
  };
  for (const PublishedFile& file : files) {
    json["files"].push_back({{"staged", file.staged}, {"path", file.path}, {"rows", file.rows}});
  }
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

absl::StatusOr<Manifest> Manifest::FromJson(std::string_view text) {
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded() || !json.is_object()) return absl::DataLossError("it is not a JSON object");
  try {
    if (json.at("format").get<int>() > kFormat) {
      return absl::FailedPreconditionError("it was written by a later version of WALlaby; use that version");
    }
    Manifest m;
    json.at("id").get_to(m.id);
    json.at("generation").get_to(m.generation);
    json.at("next_file").get_to(m.next_file);
    ASSIGN_OR_RETURN(m.progress.commit, Lsn::Parse(json.at("commit_lsn").get<std::string>()));
    ASSIGN_OR_RETURN(m.progress.end, Lsn::Parse(json.at("end_lsn").get<std::string>()));
    json.at("snapshot_parts").get_to(m.progress.snapshot_parts);
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
