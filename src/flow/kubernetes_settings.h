// Settings of Kubernetes dispatch, WALLABY_K8S_* (docs/dispatch.md).
#ifndef WALLABY_FLOW_KUBERNETES_SETTINGS_H_
#define WALLABY_FLOW_KUBERNETES_SETTINGS_H_

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace wallaby {

struct KubernetesSettings {
  bool enabled = false;
  // Which API server, and as whom. Empty: see docs/dispatch.md for what is taken instead.
  std::string name_space;
  std::string kubeconfig;
  std::string context;
  std::string api_server;
  std::string token;
  std::string ca_file;
  std::string ca_data;      // PEM, or base64 of it
  std::string client_cert;  // file, or PEM
  std::string client_key;   // file, or PEM
  bool insecure_skip_tls = false;
  // The Job.
  std::string job_image;
  std::string job_image_pull_policy;  // Always, IfNotPresent, Never; empty: Kubernetes' own choice
  std::string job_service_account;
  std::string job_name_prefix = "wallaby";
  int64_t job_ttl_seconds = 3600;
  int64_t job_backoff_limit = 3;
  int64_t job_max_empty_reads = 0;
  std::map<std::string, std::string> job_labels;
  std::map<std::string, std::string> job_annotations;
  std::vector<std::string> job_command;
  std::vector<std::string> job_args;
  std::map<std::string, std::string> job_env;
  struct EnvSource {
    bool secret = false;  // else a ConfigMap
    std::string name;

    friend bool operator==(const EnvSource&, const EnvSource&) = default;
  };
  std::vector<EnvSource> job_env_from;
  struct Volume {
    std::string claim;  // a PersistentVolumeClaim
    std::string path;   // where it is mounted
    bool read_only = false;

    friend bool operator==(const Volume&, const Volume&) = default;
  };
  std::vector<Volume> job_volumes;
};

// One of them: its name in the file ("k8s_namespace"), and what a value does. The status says only what is wrong with
// the value; the caller adds which setting it was.
struct KubernetesSetting {
  std::string_view name;
  absl::Status (*set)(const std::string& value, KubernetesSettings* settings);
};
std::span<const KubernetesSetting> KubernetesSettingTable();

// What a server with `enabled` needs of them together. INVALID_ARGUMENT names the setting.
absl::Status CheckKubernetesSettings(const KubernetesSettings& settings);

}  // namespace wallaby

#endif  // WALLABY_FLOW_KUBERNETES_SETTINGS_H_
