#include "destination/files/bucket_manifest.h"

#include <utility>

#include "base/status.h"
#include "destination/files/state_json.h"
#include "nlohmann/json.hpp"

namespace wallaby {
namespace {

using Json = nlohmann::json;

constexpr int kFormat = 1;

Json FileToJson(const StoredFile& file) {
  return {{"path", file.path},           {"table", file.table},      {"format", file.format},
          {"rows", file.rows},           {"bytes", file.bytes},      {"first_lsn", file.first.value},
          {"last_lsn", file.last.value}, {"snapshot", file.snapshot}};
}

StoredFile FileFromJson(const Json& json) {
  StoredFile file;
  json.at("path").get_to(file.path);
  json.at("table").get_to(file.table);
  json.at("format").get_to(file.format);
  json.at("rows").get_to(file.rows);
  json.at("bytes").get_to(file.bytes);
  json.at("first_lsn").get_to(file.first.value);
  json.at("last_lsn").get_to(file.last.value);
  json.at("snapshot").get_to(file.snapshot);
  return file;
}

}  // namespace

std::string BucketManifest::ToJson() const {
  Json json = StateToJson(state, kFormat, generation);
  json["epoch"] = epoch;
  json["version"] = version;
  json["files"] = Json::array();
  for (const StoredFile& file : files) json["files"].push_back(FileToJson(file));
  json["lists"] = Json::array();
  for (const FileList& list : lists) {
    json["lists"].push_back({{"path", list.path}, {"files", list.files}, {"merged", list.merged}});
  }
  json["removed"] = removed;
  json["replaced"] = replaced;
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

absl::StatusOr<BucketManifest> BucketManifest::FromJson(std::string_view text) {
  ASSIGN_OR_RETURN(const Json json, ParseState(text, kFormat));
  try {
    BucketManifest m;
    RETURN_IF_ERROR(StateFromJson(json, &m.state, &m.generation));
    json.at("epoch").get_to(m.epoch);
    json.at("version").get_to(m.version);
    for (const Json& file : json.at("files")) m.files.push_back(FileFromJson(file));
    for (const Json& list : json.at("lists")) {
      m.lists.push_back({.path = list.at("path").get<std::string>(),
                         .files = list.at("files").get<int64_t>(),
                         .merged = list.at("merged").get<bool>()});
    }
    json.at("removed").get_to(m.removed);
    json.at("replaced").get_to(m.replaced);
    return m;
  } catch (const Json::exception& error) {
    return absl::DataLossError(error.what());
  }
}

std::string FileLine(const StoredFile& file) {
  return FileToJson(file).dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

absl::StatusOr<StoredFile> ParseFileLine(std::string_view line) {
  const Json json = Json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return absl::DataLossError("it is not a JSON object");
  try {
    return FileFromJson(json);
  } catch (const Json::exception& error) {
    return absl::DataLossError(error.what());
  }
}

}  // namespace wallaby
