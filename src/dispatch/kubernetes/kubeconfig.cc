#include "dispatch/kubernetes/kubeconfig.h"

#include <fstream>
#include <iterator>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "yaml-cpp/yaml.h"

namespace wallaby {
namespace {

std::string Text(const YAML::Node& node, const char* key) {
  const YAML::Node value = node.IsMap() ? node[key] : YAML::Node(YAML::NodeType::Undefined);
  return value.IsDefined() && value.IsScalar() ? value.Scalar() : "";
}

// The entry `name` of one of the lists clusters, users, contexts.
absl::StatusOr<YAML::Node> Entry(const YAML::Node& root, const char* list, const char* kind, const std::string& name) {
  std::string known;
  const YAML::Node entries = root[list];
  if (entries.IsDefined() && entries.IsSequence()) {
    for (const YAML::Node& entry : entries) {
      if (Text(entry, "name") == name && entry[kind].IsDefined()) return entry[kind];
      absl::StrAppend(&known, known.empty() ? "" : ", ", Text(entry, "name"));
    }
  }
  return absl::InvalidArgumentError(
      absl::StrCat("has no ", kind, " '", name, "'; it has ", known.empty() ? "none" : known));
}

std::string Folder(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash);
}

std::string Resolve(const std::string& folder, const std::string& path) {
  return absl::StartsWith(path, "/") ? path : absl::StrCat(folder, "/", path);
}

// `<key>-data` in base64 wins over the file that `<key>` names.
absl::Status ReadPem(const YAML::Node& node, const std::string& key, const std::string& folder, std::string* pem) {
  const std::string data_key = key + "-data";
  if (const std::string data = Text(node, data_key.c_str()); !data.empty()) {
    if (!absl::Base64Unescape(data, pem)) return absl::InvalidArgumentError(absl::StrCat(data_key, " is no base64"));
    return absl::OkStatus();
  }
  const std::string file = Text(node, key.c_str());
  if (file.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(*pem, ReadWholeFile(Resolve(folder, file), key));
  return absl::OkStatus();
}

absl::Status ReadCluster(const YAML::Node& cluster, const std::string& folder, Kubeconfig* config) {
  config->server = Text(cluster, "server");
  if (config->server.empty()) return absl::InvalidArgumentError("the cluster has no server");
  if (!Text(cluster, "tls-server-name").empty()) {
    return absl::UnimplementedError("tls-server-name is not supported; use a server name that is in its certificate");
  }
  config->proxy = Text(cluster, "proxy-url");
  config->tls.insecure = Text(cluster, "insecure-skip-tls-verify") == "true";
  return ReadPem(cluster, "certificate-authority", folder, &config->tls.ca);
}

absl::Status ReadExec(const YAML::Node& exec, const std::string& folder, ExecPlugin* plugin) {
  plugin->command = Text(exec, "command");
  plugin->api_version = Text(exec, "apiVersion");
  plugin->install_hint = Text(exec, "installHint");
  plugin->provide_cluster = Text(exec, "provideClusterInfo") == "true";
  if (plugin->command.empty()) return absl::InvalidArgumentError("the user's exec has no command");
  if (Text(exec, "interactiveMode") == "Always") {
    return absl::UnimplementedError("the user's exec is interactive; a server has nobody to ask");
  }
  if (plugin->api_version != "client.authentication.k8s.io/v1" &&
      plugin->api_version != "client.authentication.k8s.io/v1beta1") {
    return absl::UnimplementedError(absl::StrCat("the user's exec has apiVersion '", plugin->api_version,
                                                 "'; known: client.authentication.k8s.io/v1 and v1beta1"));
  }
  if (absl::StrContains(plugin->command, "/")) plugin->command = Resolve(folder, plugin->command);
  if (const YAML::Node args = exec["args"]; args.IsDefined() && args.IsSequence()) {
    for (const YAML::Node& arg : args) plugin->args.push_back(arg.Scalar());
  }
  if (const YAML::Node env = exec["env"]; env.IsDefined() && env.IsSequence()) {
    for (const YAML::Node& entry : env) plugin->env.emplace_back(Text(entry, "name"), Text(entry, "value"));
  }
  return absl::OkStatus();
}

absl::Status ReadUser(const YAML::Node& user, const std::string& folder, Kubeconfig* config) {
  for (const char* key : {"as", "as-uid", "as-groups", "auth-provider", "username", "password"}) {
    if (user.IsMap() && user[key].IsDefined()) {
      return absl::UnimplementedError(
          absl::StrCat("the user has ", key, ", which is not supported; use a token, a client certificate or exec"));
    }
  }
  RETURN_IF_ERROR(ReadPem(user, "client-certificate", folder, &config->tls.cert));
  RETURN_IF_ERROR(ReadPem(user, "client-key", folder, &config->tls.key));
  config->token = Text(user, "token");
  if (const std::string file = Text(user, "tokenFile"); !file.empty()) config->token_file = Resolve(folder, file);
  const YAML::Node exec = user.IsMap() ? user["exec"] : YAML::Node(YAML::NodeType::Undefined);
  return exec.IsDefined() && exec.IsMap() ? ReadExec(exec, folder, &config->exec) : absl::OkStatus();
}

absl::StatusOr<Kubeconfig> ReadContext(const YAML::Node& root, const std::string& wanted, const std::string& folder) {
  const std::string name = wanted.empty() ? Text(root, "current-context") : wanted;
  if (name.empty()) return absl::InvalidArgumentError("has no current-context; set WALLABY_K8S_CONTEXT");
  ASSIGN_OR_RETURN(const YAML::Node context, Entry(root, "contexts", "context", name));
  ASSIGN_OR_RETURN(const YAML::Node cluster, Entry(root, "clusters", "cluster", Text(context, "cluster")));
  Kubeconfig config;
  config.name_space = Text(context, "namespace");
  RETURN_IF_ERROR(ReadCluster(cluster, folder, &config));
  if (const std::string user_name = Text(context, "user"); !user_name.empty()) {
    ASSIGN_OR_RETURN(const YAML::Node user, Entry(root, "users", "user", user_name));
    RETURN_IF_ERROR(ReadUser(user, folder, &config));
  }
  return config;
}

}  // namespace

absl::StatusOr<std::string> ReadWholeFile(const std::string& path, std::string_view what) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return absl::InvalidArgumentError(absl::StrCat(what, ": ", path, " cannot be opened"));
  std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  if (in.bad() || text.empty()) return absl::InvalidArgumentError(absl::StrCat(what, ": ", path, " is empty"));
  return text;
}

absl::StatusOr<Kubeconfig> ReadKubeconfig(const std::string& path, const std::string& context) {
  ASSIGN_OR_RETURN(const std::string text, ReadWholeFile(path, "kubeconfig"));
  const std::string at = absl::StrCat("kubeconfig ", path);
  try {
    const YAML::Node root = YAML::Load(text);
    if (!root.IsMap()) return absl::InvalidArgumentError(absl::StrCat(at, ": is no YAML map"));
    absl::StatusOr<Kubeconfig> config = ReadContext(root, context, Folder(path));
    if (!config.ok()) return Annotate(config.status(), at);
    return config;
  } catch (const YAML::Exception& error) {
    return absl::InvalidArgumentError(absl::StrCat(at, ": not valid YAML at line ", error.mark.line + 1));
  }
}

}  // namespace wallaby
