// ClusterAccess: which API server, and as whom: from the settings, a kubeconfig, or the service account of the pod that
// this process runs in. Credentials change while a server lives: token files are read again, plugins run again.
#ifndef WALLABY_DISPATCH_KUBERNETES_CLUSTER_ACCESS_H_
#define WALLABY_DISPATCH_KUBERNETES_CLUSTER_ACCESS_H_

#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/http_client.h"
#include "dispatch/kubernetes/exec_credential.h"
#include "flow/kubernetes_settings.h"

namespace wallaby {

inline constexpr char kServiceAccountFolder[] = "/var/run/secrets/kubernetes.io/serviceaccount";

// Safe from any thread.
class ClusterAccess {
 public:
  struct Credentials {
    TlsIdentity tls;
    std::string token;  // may be empty
  };

  // In this order: WALLABY_K8S_API_SERVER; WALLABY_K8S_KUBECONFIG; the pod's service account; $KUBECONFIG;
  // ~/.kube/config. Token, CA and client certificate of the settings win over what those say. INVALID_ARGUMENT names
  // what is missing or cannot be read.
  static absl::StatusOr<std::unique_ptr<ClusterAccess>> Load(
      const KubernetesSettings& settings, const std::string& service_account = kServiceAccountFolder);

  const std::string& server() const { return server_; }
  const std::string& proxy() const { return proxy_; }
  const std::string& name_space() const { return name_space_; }
  // Where this came from: "WALLABY_K8S_API_SERVER", "kubeconfig /x".
  const std::string& origin() const { return origin_; }

  absl::StatusOr<Credentials> Get();
  // The server did not accept the credentials: what can be had anew, is, by the next Get().
  void Refresh();

 private:
  ClusterAccess() = default;
  absl::Status FromSettings(const KubernetesSettings& settings);
  absl::Status FromKubeconfig(const std::string& path, const KubernetesSettings& settings);
  absl::Status FromServiceAccount(const std::string& folder);
  absl::Status Override(const KubernetesSettings& settings);
  absl::Status RenewToken();
  absl::Status RunPlugin();

  std::string server_;
  std::string proxy_;
  std::string name_space_;
  std::string origin_;
  std::string token_file_;
  ExecPlugin exec_;

  std::mutex mutex_;  // guards all below
  Credentials credentials_;
  absl::Time good_until_ = absl::InfiniteFuture();
};

}  // namespace wallaby

#endif  // WALLABY_DISPATCH_KUBERNETES_CLUSTER_ACCESS_H_
