// ExecCredential: credentials from a program that a kubeconfig names, as cloud providers have them.
// Source: https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins
#ifndef WALLABY_DISPATCH_KUBERNETES_EXEC_CREDENTIAL_H_
#define WALLABY_DISPATCH_KUBERNETES_EXEC_CREDENTIAL_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace wallaby {

struct ExecPlugin {
  std::string command;
  std::vector<std::string> args;
  std::vector<std::pair<std::string, std::string>> env;  // added to this process's own
  std::string api_version;
  std::string install_hint;
  bool provide_cluster = false;
};

struct ExecCredential {
  std::string token;
  std::string cert;  // PEM
  std::string key;
  absl::Time expires = absl::InfiniteFuture();
};

// Runs the program, for at most half a minute, and reads what it prints. `server` and `ca` (PEM) are told to it when it
// asks for them. Errors name the program, show what it wrote to stderr, and never a credential.
absl::StatusOr<ExecCredential> RunExecPlugin(const ExecPlugin& plugin, const std::string& server,
                                             const std::string& ca);

}  // namespace wallaby

#endif  // WALLABY_DISPATCH_KUBERNETES_EXEC_CREDENTIAL_H_
