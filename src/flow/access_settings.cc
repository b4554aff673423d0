#include "flow/access_settings.h"

#include <array>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status.h"
#include "base/units.h"
#include "flow/setting_values.h"

namespace wallaby {
namespace {

constexpr int64_t kKiB = 1 << 10;
constexpr int64_t kMiB = 1 << 20;

template <int64_t AccessSettings::*member, int64_t least, int64_t most>
absl::Status SetNumber(const std::string& value, AccessSettings* settings) {
  if (absl::SimpleAtoi(value, &(settings->*member)) && settings->*member >= least && settings->*member <= most) {
    return absl::OkStatus();
  }
  return Refuse(value, absl::StrCat("a whole number from ", least, " to ", most));
}

template <int64_t AccessSettings::*member, int64_t least, int64_t most>
absl::Status SetSize(const std::string& value, AccessSettings* settings) {
  const auto bytes = ParseBytes(value);
  if (!bytes.ok() || *bytes < least || *bytes > most) {
    return Refuse(value, absl::StrCat("a size from ", least / kKiB, "KiB to ", most / kMiB, "MiB"));
  }
  settings->*member = *bytes;
  return absl::OkStatus();
}

absl::Status SetHttpTimeout(const std::string& value, AccessSettings* settings) {
  const auto timeout = ParseDuration(value);
  if (!timeout.ok() || *timeout < absl::Seconds(1) || *timeout > absl::Minutes(5)) {
    return Refuse(value, "a duration from 1s to 5m");
  }
  settings->http_timeout = *timeout;
  return absl::OkStatus();
}

absl::Status SetPullWait(const std::string& value, AccessSettings* settings) {
  const auto wait = ParseDuration(value);
  if (!wait.ok() || *wait > absl::Minutes(5)) return Refuse(value, "a duration from 0 to 5m");
  settings->pull_wait = *wait;
  return absl::OkStatus();
}

absl::Status SetAudit(const std::string& value, AccessSettings* settings) {
  const std::string lower = absl::AsciiStrToLower(value);
  if (lower != "all" && lower != "changes") return Refuse(value, "changes or all");
  settings->audit_all = lower == "all";
  return absl::OkStatus();
}

absl::Status SetClientRoles(const std::string& value, AccessSettings* settings) {
  settings->tls_client_roles.clear();
  for (std::string_view entry : absl::StrSplit(value, ',')) {
    entry = absl::StripAsciiWhitespace(entry);
    if (entry.empty()) continue;
    const size_t equals = entry.rfind('=');
    Role role = Role::kNone;
    if (equals == entry.npos || equals == 0 || !ParseRole(entry.substr(equals + 1), &role).ok()) {
      return Refuse(entry, "NAME=ROLE,NAME=ROLE, where a role is viewer, operator or admin");
    }
    settings->tls_client_roles[std::string(entry.substr(0, equals))] = role;
  }
  return absl::OkStatus();
}

constexpr std::array<AccessSetting, 16> kTable{{
    {"tls_cert_file", SetText<&AccessSettings::tls_cert_file>},
    {"tls_key_file", SetText<&AccessSettings::tls_key_file>},
    {"tls_client_ca_file", SetText<&AccessSettings::tls_client_ca_file>},
    {"tls_client_roles", SetClientRoles},
    {"tokens_file", SetText<&AccessSettings::tokens_file>},
    {"tokens", SetText<&AccessSettings::tokens>},
    {"allow_insecure_listen", SetFlag<&AccessSettings::allow_insecure_listen>},
    {"metrics_open", SetFlag<&AccessSettings::metrics_open>},
    {"audit", SetAudit},
    {"max_message", SetSize<&AccessSettings::max_message, 64 * kKiB, 256 * kMiB>},
    {"max_calls", SetNumber<&AccessSettings::max_calls, 1, 10000>},
    {"max_pulls", SetNumber<&AccessSettings::max_pulls, 1, 10000>},
    {"pull_wait", SetPullWait},
    {"max_page", SetNumber<&AccessSettings::max_page, 1, 1000>},
    {"http_max_body", SetSize<&AccessSettings::http_max_body, kKiB, 64 * kMiB>},
    {"http_timeout", SetHttpTimeout},
}};

}  // namespace

std::string_view RoleName(Role role) {
  switch (role) {
    case Role::kViewer:
      return "viewer";
    case Role::kOperator:
      return "operator";
    case Role::kAdmin:
      return "admin";
    case Role::kNone:
      break;
  }
  return "none";
}

absl::Status ParseRole(std::string_view name, Role* role) {
  for (const Role known : {Role::kViewer, Role::kOperator, Role::kAdmin}) {
    if (name == RoleName(known)) {
      *role = known;
      return absl::OkStatus();
    }
  }
  return absl::InvalidArgumentError("the role must be viewer, operator or admin");
}

std::span<const AccessSetting> AccessSettingTable() {
  return kTable;
}

absl::Status CheckAccessSettings(const AccessSettings& settings) {
  if (settings.tls_cert_file.empty() != settings.tls_key_file.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(settings.tls_cert_file.empty() ? "WALLABY_TLS_CERT_FILE" : "WALLABY_TLS_KEY_FILE",
                     ": is missing; TLS needs WALLABY_TLS_CERT_FILE and WALLABY_TLS_KEY_FILE"));
  }
  if (!settings.tls_client_ca_file.empty() && settings.tls_cert_file.empty()) {
    return absl::InvalidArgumentError(
        "WALLABY_TLS_CLIENT_CA_FILE: needs TLS: set WALLABY_TLS_CERT_FILE and WALLABY_TLS_KEY_FILE too");
  }
  if (!settings.tls_client_roles.empty() && settings.tls_client_ca_file.empty()) {
    return absl::InvalidArgumentError(
        "WALLABY_TLS_CLIENT_ROLES: needs client certificates: set WALLABY_TLS_CLIENT_CA_FILE too");
  }
  if (!settings.tokens_file.empty() && !settings.tokens.empty()) {
    return absl::InvalidArgumentError("WALLABY_TOKENS and WALLABY_TOKENS_FILE are both set; set one of them");
  }
  return absl::OkStatus();
}

}  // namespace wallaby
