#include "spool/about.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "spool/block_cipher.h"
#include "spool/file.h"

namespace wallaby::spool {
namespace {

constexpr int kFormat = 1;

std::string Path(const std::string& folder) {
  return folder + "/about.json";
}

}  // namespace

absl::Status WriteAbout(const std::string& folder, const About& about) {
  const nlohmann::ordered_json json = {
      {"format", kFormat},
      {"system_identifier", about.name.system_identifier},
      {"slot", about.name.slot},
      {"publication", about.publication},
      {"encrypted", !about.key_fingerprint.empty()},
      {"key_fingerprint", about.key_fingerprint},
  };
  using Json = nlohmann::ordered_json;
  return WriteFile(Path(folder), json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

absl::StatusOr<About> ReadAbout(const std::string& folder) {
  ASSIGN_OR_RETURN(const std::string text, ReadFile(Path(folder)));
  const nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  const auto member = [&](const char* name) {
    const auto found = json.find(name);
    return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  if (!json.is_object() || !json.contains("format") || !json["format"].is_number_integer()) {
    return absl::DataLossError(absl::StrCat("spool: ", Path(folder), " is damaged: it is not what WALlaby wrote"));
  }
  if (json["format"] != kFormat) {
    return absl::FailedPreconditionError(absl::StrCat("spool: ", folder, " has format ", json["format"].dump(),
                                                      ", and this WALlaby reads format ", kFormat,
                                                      "; use the version that wrote it"));
  }
  return About{{member("system_identifier"), member("slot")}, member("publication"), member("key_fingerprint")};
}

absl::Status CheckKey(const std::string& folder, const About& about, const std::string& key) {
  const std::string fingerprint = key.empty() ? "" : KeyFingerprint(key);
  if (fingerprint == about.key_fingerprint) return absl::OkStatus();
  const std::string_view why = fingerprint.empty()             ? "is encrypted, and WALLABY_SPOOL_KEY is not set"
                               : about.key_fingerprint.empty() ? "is not encrypted, and WALLABY_SPOOL_KEY is set"
                                                               : "is encrypted with another key than WALLABY_SPOOL_KEY";
  return absl::FailedPreconditionError(absl::StrCat("spool: ", folder, " ", why,
                                                    "; start with the setting it was made with, or remove the spool "
                                                    "once every flow has delivered what is in it"));
}

absl::Status CheckPublication(const std::string& folder, const About& about, const std::string& publication) {
  if (about.publication == publication) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "spool: ", folder, " holds what publication '", about.publication, "' sent, not '", publication,
      "', and all flows on slot ", about.name.slot,
      " read the same; give this flow that publication or another slot, or remove the spool once every flow has "
      "delivered what is in it"));
}

}  // namespace wallaby::spool
