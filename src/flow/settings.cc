#include "flow/settings.h"

#include <array>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <optional>
#include <string_view>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/key_text.h"
#include "base/status.h"
#include "base/units.h"
#include "flow/setting_values.h"
#include "yaml-cpp/yaml.h"

namespace wallaby {
namespace {

constexpr int64_t kMinMemory = 16 << 20;
constexpr int64_t kMinSpool = 16 << 20;
constexpr size_t kMaxFile = 1 << 20;

// One setting: its name in the file (in the environment WALLABY_ and upper case) and what a value does. The status of
// `set` says only what is wrong with the value; the caller adds which setting it was.
struct Setting {
  std::string_view name;
  absl::Status (*set)(const std::string& value, Settings* settings);
};

template <std::optional<bool> DdlPolicy::*member>
absl::Status SetDdl(const std::string& value, Settings* settings) {
  ASSIGN_OR_RETURN(settings->ddl.*member, ParseBool(value));
  return absl::OkStatus();
}

absl::Status OneOf(const std::string& value, std::initializer_list<std::string_view> allowed, std::string* out) {
  const std::string lower = absl::AsciiStrToLower(value);
  std::string names;
  for (const std::string_view name : allowed) {
    if (name == lower) {
      *out = lower;
      return absl::OkStatus();
    }
    absl::StrAppend(&names, names.empty() ? "" : ", ", name);
  }
  return Refuse(value, names);
}

template <std::string Settings::*member>
absl::Status SetListen(const std::string& value, Settings* settings) {
  const size_t colon = value.rfind(':');
  int port = -1;
  if (colon == std::string::npos || !absl::SimpleAtoi(value.substr(colon + 1), &port) || port < 0 || port > 65535) {
    return Refuse(value, "host:port, or :port for all interfaces");
  }
  settings->*member = value;
  return absl::OkStatus();
}

absl::Status SetMemory(const std::string& value, Settings* settings) {
  ASSIGN_OR_RETURN(settings->memory_limit, ParseBytes(value));
  if (settings->memory_limit >= kMinMemory) return absl::OkStatus();
  return Refuse(value, "16MiB or more");
}

absl::Status SetOtelInterval(const std::string& value, Settings* settings) {
  const auto interval = ParseDuration(value);
  if (interval.ok() && *interval >= absl::Milliseconds(100) && *interval <= absl::Hours(1)) {
    settings->otel_metrics_interval = *interval;
    return absl::OkStatus();
  }
  return Refuse(value, "from 100ms to 1h, like 15s");
}

absl::Status SetDbosRetries(const std::string& value, Settings* settings) {
  if (absl::SimpleAtoi(value, &settings->dbos_max_retries) && settings->dbos_max_retries >= 0) {
    return absl::OkStatus();
  }
  return Refuse(value, "a whole number, 0 for no limit");
}

// A port alone is for this machine: the endpoints ask for no password.
absl::Status SetDbosAdminPort(const std::string& value, Settings* settings) {
  int port = -1;
  if (absl::SimpleAtoi(value, &port)) {
    return SetListen<&Settings::dbos_admin_listen>(absl::StrCat("127.0.0.1:", value), settings);
  }
  return SetListen<&Settings::dbos_admin_listen>(value, settings);
}

absl::Status SetBackend(const std::string& value, Settings* settings) {
  return OneOf(value, {"postgres", "sqlite"}, &settings->checkpoint_backend);
}

absl::Status SetWireFormat(const std::string& value, Settings* settings) {
  if (!ParseWireFormat(value)) return Refuse(value, kWireFormatsAllowed);
  settings->wire_format = value;
  return absl::OkStatus();
}

absl::Status SetSpoolDir(const std::string& value, Settings* settings) {
  // Workers, and the server when it is started again, may run elsewhere in the tree.
  if (!value.starts_with('/')) return Refuse(value, "an absolute path");
  settings->spool_dir = value;
  return absl::OkStatus();
}

absl::Status SetSpoolLimit(const std::string& value, Settings* settings) {
  ASSIGN_OR_RETURN(settings->spool_limit, ParseBytes(value));
  if (settings->spool_limit >= kMinSpool) return absl::OkStatus();
  return Refuse(value, "16MiB or more");
}

absl::Status SetSpoolPolicy(const std::string& value, Settings* settings) {
  std::string policy;
  RETURN_IF_ERROR(OneOf(value, {"hold", "fail"}, &policy));
  settings->spool_policy = policy == "fail" ? SpoolPolicy::kFail : SpoolPolicy::kHold;
  return absl::OkStatus();
}

absl::Status SetSpoolKey(const std::string& value, Settings* settings) {
  ASSIGN_OR_RETURN(settings->spool_key, ParseKeyText(value));
  return absl::OkStatus();
}

// Read from the environment where it is needed (store/secret_box.h).
absl::Status Ignore(const std::string&, Settings*) {
  return absl::OkStatus();
}
absl::Status RefuseInFile(std::string_view name) {
  if (name == "secret_key" || name == "spool_key") {
    return absl::InvalidArgumentError(absl::StrCat("is read from the environment only (WALLABY_",
                                                   absl::AsciiStrToUpper(name), "), never from a file"));
  }
  if (name != "tokens") return absl::OkStatus();
  return absl::InvalidArgumentError(
      "is read from the environment only (WALLABY_TOKENS); tokens_file names a file of their own");
}

constexpr std::array<Setting, 29> kSettings{{
    {"postgres_dsn", SetText<&Settings::postgres_dsn>},
    {"data_dir", SetText<&Settings::data_dir>},
    {"grpc_listen", SetListen<&Settings::grpc_listen>},
    {"grpc_reflection", SetFlag<&Settings::grpc_reflection>},
    {"checkpoint_backend", SetBackend},
    {"checkpoint_path", SetText<&Settings::checkpoint_path>},
    {"checkpoint_dsn", SetText<&Settings::checkpoint_dsn>},
    {"wire_format", SetWireFormat},
    {"wire_enforce", SetFlag<&Settings::wire_enforce>},
    {"memory_limit", SetMemory},
    {"metrics_listen", SetListen<&Settings::metrics_listen>},
    {"admin_listen", SetListen<&Settings::admin_listen>},
    {"trace_path", SetText<&Settings::trace_path>},
    {"otel_metrics_interval", SetOtelInterval},
    {"ddl_gate", SetDdl<&DdlPolicy::gate>},
    {"ddl_auto_approve", SetDdl<&DdlPolicy::auto_approve>},
    {"ddl_auto_apply", SetDdl<&DdlPolicy::auto_apply>},
    {"dbos_enabled", SetFlag<&Settings::dbos_enabled>},
    {"dbos_app", SetText<&Settings::dbos_app>},
    {"dbos_queue", SetText<&Settings::dbos_queue>},
    {"dbos_schedule", SetText<&Settings::dbos_schedule>},
    {"dbos_max_retries", SetDbosRetries},
    {"dbos_admin_port", SetDbosAdminPort},
    {"spool_dir", SetSpoolDir},
    {"spool_limit", SetSpoolLimit},
    {"spool_policy", SetSpoolPolicy},
    {"spool_key", SetSpoolKey},
    {"secret_key", Ignore},
    {"secret_key_lost", SetFlag<&Settings::secret_key_lost>},
}};

template <typename AnySetting, typename Target>
absl::Status Apply(const AnySetting& setting, const std::string& value, std::string_view shown_name, Target* settings) {
  if (value.find('\0') != std::string::npos) {
    return absl::InvalidArgumentError(absl::StrCat("setting ", shown_name, ": holds a zero byte"));
  }
  return Annotate(setting.set(value, settings), absl::StrCat("setting ", shown_name));
}

std::string KnownNames() {
  std::string names;
  for (const Setting& setting : kSettings) {
    if (!RefuseInFile(setting.name).ok()) continue;
    absl::StrAppend(&names, names.empty() ? "" : ", ", setting.name);
  }
  for (const AccessSetting& setting : AccessSettingTable()) {
    if (RefuseInFile(setting.name).ok()) absl::StrAppend(&names, ", ", setting.name);
  }
  for (const KubernetesSetting& setting : KubernetesSettingTable()) absl::StrAppend(&names, ", ", setting.name);
  return names;
}

absl::Status ApplyFileEntry(const std::string& file, const YAML::Node& key, const YAML::Node& value,
                            Settings* settings) {
  const std::string at = absl::StrCat(file, ", line ", key.Mark().line + 1);
  if (!key.IsScalar()) return absl::InvalidArgumentError(absl::StrCat(at, ": a setting's name must be plain text"));
  std::string_view name = key.Scalar();
  if (name.starts_with("wallaby_")) name.remove_prefix(8);
  if (value.IsNull()) return absl::OkStatus();
  if (!value.IsScalar()) {
    return absl::InvalidArgumentError(absl::StrCat(at, ": setting ", key.Scalar(), ": must be a single value"));
  }
  const auto apply = [&](const auto& table, auto* target) -> std::optional<absl::Status> {
    for (const auto& setting : table) {
      if (setting.name != name) continue;
      if (value.Scalar().empty()) return absl::OkStatus();
      absl::Status status = Annotate(RefuseInFile(name), absl::StrCat("setting ", key.Scalar()));
      if (status.ok()) status = Apply(setting, value.Scalar(), key.Scalar(), target);
      return Annotate(status, at);
    }
    return std::nullopt;
  };
  if (const auto status = apply(kSettings, settings)) return *status;
  if (const auto status = apply(AccessSettingTable(), &settings->access)) return *status;
  if (const auto status = apply(KubernetesSettingTable(), &settings->kubernetes)) return *status;
  return absl::InvalidArgumentError(absl::StrCat(at, ": unknown setting '", key.Scalar(), "'; known: ", KnownNames()));
}

absl::Status LoadFile(const std::string& file, Settings* settings) {
  std::ifstream in(file, std::ios::binary);
  if (!in) return absl::NotFoundError(absl::StrCat("settings file ", file, ": cannot be opened"));
  const std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  if (in.bad()) return absl::UnavailableError(absl::StrCat("settings file ", file, ": cannot be read"));
  if (text.size() > kMaxFile) return absl::InvalidArgumentError(absl::StrCat(file, ": larger than 1 MiB"));
  try {
    const YAML::Node root = YAML::Load(text);
    if (root.IsNull()) return absl::OkStatus();
    if (!root.IsMap()) {
      return absl::InvalidArgumentError(absl::StrCat(file, ": must be a YAML map of settings and values"));
    }
    for (const auto& entry : root) RETURN_IF_ERROR(ApplyFileEntry(file, entry.first, entry.second, settings));
  } catch (const YAML::Exception& error) {
    return absl::InvalidArgumentError(
        absl::StrCat(file, ": not valid YAML at line ", error.mark.line + 1, ": ", error.msg));
  }
  return absl::OkStatus();
}

template <typename AnySetting, typename Target>
absl::Status ApplyFromEnvironment(const AnySetting& setting, Target* settings) {
  const std::string name = absl::StrCat("WALLABY_", absl::AsciiStrToUpper(setting.name));
  const char* value = std::getenv(name.c_str());
  // Charts and compose files write an empty value for "not set".
  if (value == nullptr || *value == '\0') return absl::OkStatus();
  return Apply(setting, value, name, settings);
}

absl::Status LoadEnvironment(Settings* settings) {
  for (const Setting& setting : kSettings) {
    RETURN_IF_ERROR(ApplyFromEnvironment(setting, settings));
  }
  for (const AccessSetting& setting : AccessSettingTable()) {
    RETURN_IF_ERROR(ApplyFromEnvironment(setting, &settings->access));
  }
  for (const KubernetesSetting& setting : KubernetesSettingTable()) {
    RETURN_IF_ERROR(ApplyFromEnvironment(setting, &settings->kubernetes));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Settings> LoadSettings(const std::string& config_file) {
  Settings settings;
  settings.config_file = config_file;
  if (!config_file.empty()) RETURN_IF_ERROR(LoadFile(config_file, &settings));
  RETURN_IF_ERROR(LoadEnvironment(&settings));
  RETURN_IF_ERROR(CheckAccessSettings(settings.access));
  return settings;
}

}  // namespace wallaby
