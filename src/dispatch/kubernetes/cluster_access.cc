#include "dispatch/kubernetes/cluster_access.h"

#include <unistd.h>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "base/environment.h"
#include "base/status.h"
#include "dispatch/kubernetes/kubeconfig.h"

namespace wallaby {
namespace {

// Tokens of service accounts are renewed long before they expire; their file is looked at this often.
constexpr absl::Duration kReadTokenAgain = absl::Seconds(30);
// A plugin is run again this long before its credential expires.
constexpr absl::Duration kBeforeExpiry = absl::Seconds(60);

bool Exists(const std::string& path) {
  return access(path.c_str(), R_OK) == 0;
}

// PEM as it is, or a file that holds it.
absl::StatusOr<std::string> PemOrFile(const std::string& value, std::string_view setting) {
  if (absl::StartsWith(value, "-----BEGIN")) return value;
  return ReadWholeFile(value, setting);
}

// The first kubeconfig that kubectl would look at; "" without one.
std::string DefaultKubeconfig() {
  for (const std::string_view path : absl::StrSplit(FromEnvironment("KUBECONFIG"), ':', absl::SkipEmpty())) {
    if (Exists(std::string(path))) return std::string(path);
  }
  const std::string own = absl::StrCat(FromEnvironment("HOME"), "/.kube/config");
  return Exists(own) ? own : "";
}

std::string HostInUrl(const std::string& host) {
  return absl::StrContains(host, ':') ? absl::StrCat("[", host, "]") : host;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ClusterAccess>> ClusterAccess::Load(const KubernetesSettings& settings,
                                                                   const std::string& service_account) {
  std::unique_ptr<ClusterAccess> access(new ClusterAccess());
  if (!settings.api_server.empty()) {
    RETURN_IF_ERROR(access->FromSettings(settings));
  } else if (!settings.kubeconfig.empty()) {
    RETURN_IF_ERROR(Annotate(access->FromKubeconfig(settings.kubeconfig, settings), "WALLABY_K8S_KUBECONFIG"));
  } else if (settings.context.empty() && !FromEnvironment("KUBERNETES_SERVICE_HOST").empty() &&
             Exists(service_account + "/token")) {
    RETURN_IF_ERROR(access->FromServiceAccount(service_account));
  } else if (const std::string found = DefaultKubeconfig(); !found.empty()) {
    RETURN_IF_ERROR(access->FromKubeconfig(found, settings));
  } else {
    return absl::InvalidArgumentError(
        "WALLABY_K8S_ENABLED is set, but no API server is known: this process runs in no pod, and there is no "
        "kubeconfig; set WALLABY_K8S_API_SERVER and WALLABY_K8S_TOKEN, or WALLABY_K8S_KUBECONFIG");
  }
  RETURN_IF_ERROR(access->Override(settings));
  while (absl::EndsWith(access->server_, "/")) access->server_.pop_back();
  return access;
}

absl::Status ClusterAccess::FromSettings(const KubernetesSettings& settings) {
  server_ = settings.api_server;
  origin_ = "WALLABY_K8S_API_SERVER";
  return absl::OkStatus();
}

absl::Status ClusterAccess::FromKubeconfig(const std::string& path, const KubernetesSettings& settings) {
  ASSIGN_OR_RETURN(Kubeconfig config, ReadKubeconfig(path, settings.context));
  server_ = config.server;
  proxy_ = config.proxy;
  name_space_ = config.name_space;
  origin_ = absl::StrCat("kubeconfig ", path);
  credentials_.tls = config.tls;
  credentials_.token = config.token;
  token_file_ = config.token_file;
  exec_ = config.exec;
  return absl::OkStatus();
}

absl::Status ClusterAccess::FromServiceAccount(const std::string& folder) {
  const std::string port = FromEnvironment("KUBERNETES_SERVICE_PORT");
  server_ =
      absl::StrCat("https://", HostInUrl(FromEnvironment("KUBERNETES_SERVICE_HOST")), ":", port.empty() ? "443" : port);
  origin_ = absl::StrCat("service account in ", folder);
  token_file_ = folder + "/token";
  ASSIGN_OR_RETURN(credentials_.tls.ca, ReadWholeFile(folder + "/ca.crt", "service account"));
  if (Exists(folder + "/namespace")) {
    ASSIGN_OR_RETURN(const std::string name, ReadWholeFile(folder + "/namespace", "service account"));
    name_space_ = std::string(absl::StripAsciiWhitespace(name));
  }
  return absl::OkStatus();
}

absl::Status ClusterAccess::Override(const KubernetesSettings& settings) {
  if (!settings.name_space.empty()) name_space_ = settings.name_space;
  if (name_space_.empty()) name_space_ = "default";
  TlsIdentity& tls = credentials_.tls;
  if (!settings.ca_file.empty()) {
    ASSIGN_OR_RETURN(tls.ca, ReadWholeFile(settings.ca_file, "WALLABY_K8S_CA_FILE"));
  }
  if (!settings.ca_data.empty()) {
    tls.ca = settings.ca_data;
    if (!absl::StartsWith(tls.ca, "-----BEGIN") && !absl::Base64Unescape(settings.ca_data, &tls.ca)) {
      return absl::InvalidArgumentError("WALLABY_K8S_CA_DATA: is neither PEM nor base64 of it");
    }
  }
  if (!settings.client_cert.empty()) {
    ASSIGN_OR_RETURN(tls.cert, PemOrFile(settings.client_cert, "WALLABY_K8S_CLIENT_CERT"));
    ASSIGN_OR_RETURN(tls.key, PemOrFile(settings.client_key, "WALLABY_K8S_CLIENT_KEY"));
  }
  if (settings.insecure_skip_tls) tls.insecure = true;
  if (!settings.token.empty()) {
    credentials_.token = settings.token;
    token_file_.clear();
  }
  // What is told by the settings needs no plugin.
  if (!settings.token.empty() || !settings.client_cert.empty()) exec_ = ExecPlugin();
  if (!token_file_.empty() || !exec_.command.empty()) good_until_ = absl::InfinitePast();
  return absl::OkStatus();
}

absl::StatusOr<ClusterAccess::Credentials> ClusterAccess::Get() {
  std::lock_guard lock(mutex_);
  if (absl::Now() >= good_until_) {
    RETURN_IF_ERROR(token_file_.empty() ? RunPlugin() : RenewToken());
  }
  return credentials_;
}

void ClusterAccess::Refresh() {
  std::lock_guard lock(mutex_);
  if (!token_file_.empty() || !exec_.command.empty()) good_until_ = absl::InfinitePast();
}

absl::Status ClusterAccess::RenewToken() {
  absl::StatusOr<std::string> token = ReadWholeFile(token_file_, "token");
  // It is replaced now and then; the one before may still do.
  if (!token.ok() && credentials_.token.empty()) return token.status();
  if (token.ok()) credentials_.token = std::string(absl::StripAsciiWhitespace(*token));
  good_until_ = absl::Now() + kReadTokenAgain;
  return absl::OkStatus();
}

absl::Status ClusterAccess::RunPlugin() {
  ASSIGN_OR_RETURN(const ExecCredential credential, RunExecPlugin(exec_, server_, credentials_.tls.ca));
  if (!credential.token.empty()) credentials_.token = credential.token;
  if (!credential.cert.empty()) {
    credentials_.tls.cert = credential.cert;
    credentials_.tls.key = credential.key;
  }
  good_until_ = credential.expires - kBeforeExpiry;
  return absl::OkStatus();
}

}  // namespace wallaby
