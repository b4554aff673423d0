// Kubeconfig: one context of a kubeconfig file, with its cluster and its user.
// Source: https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/
#ifndef WALLABY_DISPATCH_KUBERNETES_KUBECONFIG_H_
#define WALLABY_DISPATCH_KUBERNETES_KUBECONFIG_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "base/http_client.h"
#include "dispatch/kubernetes/exec_credential.h"

namespace wallaby {

struct Kubeconfig {
  std::string server;
  std::string proxy;
  std::string name_space;  // of the context; may be empty
  TlsIdentity tls;
  std::string token;
  std::string token_file;
  ExecPlugin exec;  // without command: none
};

// `context` empty: the file's current one. Paths in the file are relative to its folder; certificates are read now.
// What a file can ask for and is not known here is refused by name.
absl::StatusOr<Kubeconfig> ReadKubeconfig(const std::string& path, const std::string& context);

// A file whole; the error names it and `what` it should be.
absl::StatusOr<std::string> ReadWholeFile(const std::string& path, std::string_view what);

}  // namespace wallaby

#endif  // WALLABY_DISPATCH_KUBERNETES_KUBECONFIG_H_
