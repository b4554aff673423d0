#include "flow/kubernetes_settings.h"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <limits>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status.h"
#include "base/units.h"
#include "flow/setting_values.h"
#include "nlohmann/json.hpp"

namespace wallaby {
namespace {

using Json = nlohmann::json;
using Map = std::map<std::string, std::string>;

// Room for the flow's id, a hash, generation and attempt within the 63 characters of a Job's name.
constexpr size_t kMaxPrefix = 20;
constexpr size_t kMaxLabelValue = 63;
constexpr size_t kMaxDnsName = 253;

bool IsLowerAlnum(char c) {
  return absl::ascii_islower(c) || absl::ascii_isdigit(c);
}

// RFC 1123: lower case letters, digits and '-', and '.' where `dots`; begins and ends with a letter or digit.
bool IsDnsName(std::string_view name, size_t max, bool dots) {
  if (name.empty() || name.size() > max || !IsLowerAlnum(name.front()) || !IsLowerAlnum(name.back())) return false;
  return std::all_of(name.begin(), name.end(),
                     [&](char c) { return IsLowerAlnum(c) || c == '-' || (dots && c == '.'); });
}

bool IsLabelValue(std::string_view value) {
  if (value.empty()) return true;
  if (value.size() > kMaxLabelValue || !absl::ascii_isalnum(value.front()) || !absl::ascii_isalnum(value.back())) {
    return false;
  }
  return std::all_of(value.begin(), value.end(),
                     [](char c) { return absl::ascii_isalnum(c) || c == '-' || c == '_' || c == '.'; });
}

// "name" or "dns.prefix/name".
bool IsQualifiedName(std::string_view key) {
  const size_t slash = key.find('/');
  if (slash != std::string_view::npos && !IsDnsName(key.substr(0, slash), kMaxDnsName, true)) return false;
  const std::string_view name = slash == std::string_view::npos ? key : key.substr(slash + 1);
  return !name.empty() && IsLabelValue(name);
}

template <int64_t KubernetesSettings::*member>
absl::Status SetCount(const std::string& value, KubernetesSettings* settings) {
  int64_t count = -1;
  if (!absl::SimpleAtoi(value, &count) || count < 0 || count > std::numeric_limits<int32_t>::max()) {
    return Refuse(value, "a whole number from 0 to 2147483647");
  }
  settings->*member = count;
  return absl::OkStatus();
}

template <std::string KubernetesSettings::*member>
absl::Status SetName(const std::string& value, KubernetesSettings* settings) {
  if (!IsDnsName(value, kMaxLabelValue, false)) {
    return Refuse(value, "lower case letters, digits and '-', at most 63 characters");
  }
  settings->*member = value;
  return absl::OkStatus();
}

absl::Status SetServer(const std::string& value, KubernetesSettings* settings) {
  if (!absl::StartsWith(value, "https://") && !absl::StartsWith(value, "http://")) {
    return Refuse(value, "a URL like https://10.0.0.1:6443");
  }
  settings->api_server = value;
  return absl::OkStatus();
}

absl::Status SetPrefix(const std::string& value, KubernetesSettings* settings) {
  if (!IsDnsName(value, kMaxPrefix, false)) {
    return Refuse(value, absl::StrCat("lower case letters, digits and '-', at most ", kMaxPrefix, " characters"));
  }
  settings->job_name_prefix = value;
  return absl::OkStatus();
}

absl::Status SetPullPolicy(const std::string& value, KubernetesSettings* settings) {
  for (const std::string_view allowed : {"Always", "IfNotPresent", "Never"}) {
    if (!absl::EqualsIgnoreCase(allowed, value)) continue;
    settings->job_image_pull_policy = allowed;
    return absl::OkStatus();
  }
  return Refuse(value, "Always, IfNotPresent, Never");
}

// A JSON array of texts, or words with commas between them.
absl::StatusOr<std::vector<std::string>> ParseList(const std::string& value) {
  constexpr std::string_view kAllowed = "a,b,c or a JSON array of texts";
  if (!absl::StartsWith(value, "[")) return std::vector<std::string>(absl::StrSplit(value, ','));
  const Json json = Json::parse(value, nullptr, false);
  std::vector<std::string> list;
  if (!json.is_array()) return Refuse("[...", kAllowed);
  for (const Json& item : json) {
    if (!item.is_string()) return Refuse("[...", kAllowed);
    list.push_back(item.get<std::string>());
  }
  return list;
}

// A JSON object of texts, or name=value with commas between them. What is wrong is told without values: environments
// hold secrets.
absl::StatusOr<Map> ParseMap(const std::string& value) {
  constexpr std::string_view kAllowed = "allowed: NAME=VALUE,NAME=VALUE or a JSON object of texts";
  Map map;
  if (absl::StartsWith(value, "{")) {
    const Json json = Json::parse(value, nullptr, false);
    if (!json.is_object()) return absl::InvalidArgumentError(absl::StrCat("is not valid JSON; ", kAllowed));
    for (const auto& [name, item] : json.items()) {
      if (!item.is_string()) return absl::InvalidArgumentError(absl::StrCat("'", name, "' is no text; ", kAllowed));
      map[name] = item.get<std::string>();
    }
    return map;
  }
  for (const std::string_view part : absl::StrSplit(std::string_view(value), ',')) {
    const size_t equals = part.find('=');
    const std::string name(absl::StripAsciiWhitespace(part.substr(0, equals)));
    if (equals == std::string_view::npos || name.empty()) {
      return absl::InvalidArgumentError(absl::StrCat("a part is no NAME=VALUE; ", kAllowed));
    }
    map[name] = std::string(part.substr(equals + 1));
  }
  return map;
}

bool IsOwnKey(std::string_view key) {
  return key == "app" || absl::StartsWith(key, "wallaby/") || absl::StartsWith(key, "app.kubernetes.io/managed-by") ||
         absl::StartsWith(key, "app.kubernetes.io/instance");
}

absl::Status SetLabels(const std::string& value, KubernetesSettings* settings) {
  ASSIGN_OR_RETURN(settings->job_labels, ParseMap(value));
  for (const auto& [key, text] : settings->job_labels) {
    if (!IsQualifiedName(key)) return Refuse(key, "a valid label name, like team or example.com/team");
    if (!IsLabelValue(text)) return Refuse(text, "a valid label value: letters, digits, '-', '_', '.', at most 63");
    if (IsOwnKey(key)) return absl::InvalidArgumentError(absl::StrCat("label '", key, "' is set by WALlaby itself"));
  }
  return absl::OkStatus();
}

absl::Status SetAnnotations(const std::string& value, KubernetesSettings* settings) {
  ASSIGN_OR_RETURN(settings->job_annotations, ParseMap(value));
  for (const auto& [key, text] : settings->job_annotations) {
    if (!IsQualifiedName(key)) return Refuse(key, "a valid annotation name, like team or example.com/team");
    if (IsOwnKey(key)) return absl::InvalidArgumentError(absl::StrCat("'", key, "' is set by WALlaby itself"));
  }
  return absl::OkStatus();
}

absl::Status SetEnv(const std::string& value, KubernetesSettings* settings) {
  ASSIGN_OR_RETURN(settings->job_env, ParseMap(value));
  return absl::OkStatus();
}

template <std::vector<std::string> KubernetesSettings::*member>
absl::Status SetList(const std::string& value, KubernetesSettings* settings) {
  ASSIGN_OR_RETURN(settings->*member, ParseList(value));
  return absl::OkStatus();
}

absl::Status SetEnvFrom(const std::string& value, KubernetesSettings* settings) {
  settings->job_env_from.clear();
  for (const std::string_view part : absl::StrSplit(std::string_view(value), ',')) {
    const std::vector<std::string> words = absl::StrSplit(absl::StripAsciiWhitespace(part), ':');
    const bool valid = words.size() == 2 && (words[0] == "secret" || words[0] == "configmap") &&
                       IsDnsName(words[1], kMaxDnsName, true);
    if (!valid) return Refuse(part, "secret:NAME and configmap:NAME, with commas between them");
    settings->job_env_from.push_back({words[0] == "secret", words[1]});
  }
  return absl::OkStatus();
}

absl::Status SetVolumes(const std::string& value, KubernetesSettings* settings) {
  settings->job_volumes.clear();
  for (const std::string_view part : absl::StrSplit(std::string_view(value), ',')) {
    const std::vector<std::string> words = absl::StrSplit(absl::StripAsciiWhitespace(part), ':');
    const bool read_only = words.size() == 3 && words[2] == "ro";
    // Its name is the volume's name in the pod, too, and names a label's length.
    const bool valid = (words.size() == 2 || read_only) && IsDnsName(words[0], kMaxLabelValue, false) &&
                       words[1].size() > 1 && words[1][0] == '/';
    if (!valid) return Refuse(part, "CLAIM:/path and CLAIM:/path:ro, with commas between them");
    settings->job_volumes.push_back({words[0], words[1], read_only});
  }
  return absl::OkStatus();
}

using S = KubernetesSettings;
constexpr std::array<KubernetesSetting, 25> kTable{{
    {"k8s_enabled", SetFlag<&S::enabled>},
    {"k8s_namespace", SetName<&S::name_space>},
    {"k8s_kubeconfig", SetText<&S::kubeconfig>},
    {"k8s_context", SetText<&S::context>},
    {"k8s_api_server", SetServer},
    {"k8s_token", SetText<&S::token>},
    {"k8s_ca_file", SetText<&S::ca_file>},
    {"k8s_ca_data", SetText<&S::ca_data>},
    {"k8s_client_cert", SetText<&S::client_cert>},
    {"k8s_client_key", SetText<&S::client_key>},
    {"k8s_insecure_skip_tls", SetFlag<&S::insecure_skip_tls>},
    {"k8s_job_image", SetText<&S::job_image>},
    {"k8s_job_image_pull_policy", SetPullPolicy},
    {"k8s_job_service_account", SetName<&S::job_service_account>},
    {"k8s_job_name_prefix", SetPrefix},
    {"k8s_job_ttl_seconds", SetCount<&S::job_ttl_seconds>},
    {"k8s_job_backoff_limit", SetCount<&S::job_backoff_limit>},
    {"k8s_job_max_empty_reads", SetCount<&S::job_max_empty_reads>},
    {"k8s_job_labels", SetLabels},
    {"k8s_job_annotations", SetAnnotations},
    {"k8s_job_command", SetList<&S::job_command>},
    {"k8s_job_args", SetList<&S::job_args>},
    {"k8s_job_env", SetEnv},
    {"k8s_job_env_from", SetEnvFrom},
    {"k8s_job_volumes", SetVolumes},
}};

}  // namespace

std::span<const KubernetesSetting> KubernetesSettingTable() {
  return kTable;
}

absl::Status CheckKubernetesSettings(const KubernetesSettings& settings) {
  const auto refuse = [](std::string_view text) { return absl::InvalidArgumentError(text); };
  if (settings.job_image.empty()) {
    return refuse("WALLABY_K8S_JOB_IMAGE: is missing; it names the image with wallaby-worker, which each Job runs");
  }
  if (!settings.api_server.empty() && (!settings.kubeconfig.empty() || !settings.context.empty())) {
    return refuse(
        "WALLABY_K8S_API_SERVER: is set together with WALLABY_K8S_KUBECONFIG or WALLABY_K8S_CONTEXT; leave out one of "
        "them");
  }
  if (!settings.ca_file.empty() && !settings.ca_data.empty()) {
    return refuse("WALLABY_K8S_CA_DATA: is set together with WALLABY_K8S_CA_FILE; leave out one of them");
  }
  if (settings.insecure_skip_tls && (!settings.ca_file.empty() || !settings.ca_data.empty())) {
    return refuse("WALLABY_K8S_INSECURE_SKIP_TLS: is set together with a CA; leave it out, so that the CA is used");
  }
  if (settings.client_cert.empty() != settings.client_key.empty()) {
    return refuse("WALLABY_K8S_CLIENT_CERT and WALLABY_K8S_CLIENT_KEY: one of them is missing; they go together");
  }
  if (absl::StartsWith(settings.api_server, "http://") && !settings.token.empty()) {
    return refuse(
        "WALLABY_K8S_API_SERVER: is http://, which would show WALLABY_K8S_TOKEN to the network; use https://");
  }
  return absl::OkStatus();
}

}  // namespace wallaby
