#include "dispatch/kubernetes/cluster_access.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace wallaby {
namespace {

using testing::HasSubstr;
using testing::Not;

class ClusterAccessTest : public testing::Test {
 protected:
  ClusterAccessTest() {
    folder_ = testing::TempDir() + "/wallaby-access-XXXXXX";
    EXPECT_NE(mkdtemp(folder_.data()), nullptr);
    for (const char* name : {"KUBECONFIG", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"}) unsetenv(name);
    setenv("HOME", folder_.c_str(), 1);
  }
  ~ClusterAccessTest() override { std::filesystem::remove_all(folder_); }

  std::string File(const std::string& name, const std::string& text) {
    std::ofstream(folder_ + "/" + name) << text;
    return folder_ + "/" + name;
  }
  // A kubeconfig with two contexts; `user` is that of the first.
  std::string Config(const std::string& user) {
    return File("config",
                absl::StrCat(R"(
clusters:
- {name: one, cluster: {server: "https://one:6443/", certificate-authority: ca.crt}}
- {name: two, cluster: {server: "https://two", certificate-authority-data: )",
                             absl::Base64Escape("CA two"), R"(}}
users:
- {name: me, user: )",
                             user, R"(}
- {name: you, user: {client-certificate-data: )",
                             absl::Base64Escape("cert"), ", client-key-data: ", absl::Base64Escape("key"), R"(}}
contexts:
- {name: first, context: {cluster: one, user: me, namespace: shop}}
- {name: second, context: {cluster: two, user: you}}
current-context: first
)"));
  }
  static std::string Refused(const KubernetesSettings& settings) {
    const auto access = ClusterAccess::Load(settings, "/nowhere");
    return std::string(access.status().message());
  }

  std::string folder_;
};

TEST_F(ClusterAccessTest, ExplicitServer) {
  KubernetesSettings settings;
  settings.api_server = "https://10.0.0.1:6443/";
  settings.token = "t";
  settings.ca_data = absl::Base64Escape("-----BEGIN CERTIFICATE-----");
  const auto access = ClusterAccess::Load(settings).value();
  EXPECT_EQ(access->server(), "https://10.0.0.1:6443");
  EXPECT_EQ(access->name_space(), "default");
  EXPECT_EQ(access->Get()->token, "t");
  EXPECT_EQ(access->Get()->tls.ca, "-----BEGIN CERTIFICATE-----");
  settings.ca_data = "no base64 at all!";
  EXPECT_THAT(Refused(settings), HasSubstr("WALLABY_K8S_CA_DATA"));
  settings.ca_data.clear();
  settings.ca_file = "/nowhere/ca.crt";
  EXPECT_THAT(Refused(settings), HasSubstr("WALLABY_K8S_CA_FILE"));
}

TEST_F(ClusterAccessTest, KubeconfigContexts) {
  File("ca.crt", "CA one");
  KubernetesSettings settings;
  settings.kubeconfig = Config("{token: secret-token}");
  auto access = ClusterAccess::Load(settings).value();
  EXPECT_EQ(access->server(), "https://one:6443");
  EXPECT_EQ(access->name_space(), "shop");
  EXPECT_EQ(access->Get()->tls.ca, "CA one");
  EXPECT_EQ(access->Get()->token, "secret-token");
  settings.context = "second";
  settings.name_space = "other";
  access = ClusterAccess::Load(settings).value();
  EXPECT_EQ(access->server(), "https://two");
  EXPECT_EQ(access->name_space(), "other");
  EXPECT_EQ(access->Get()->tls.ca, "CA two");
  EXPECT_EQ(access->Get()->tls.cert, "cert");
  EXPECT_EQ(access->Get()->tls.key, "key");
  settings.context = "third";
  EXPECT_THAT(Refused(settings), HasSubstr("no context 'third'; it has first, second"));
}

TEST_F(ClusterAccessTest, TheDefaultKubeconfigAndNoneAtAll) {
  EXPECT_THAT(Refused({}), HasSubstr("WALLABY_K8S_API_SERVER"));
  File("ca.crt", "CA one");
  setenv("KUBECONFIG", absl::StrCat("/nowhere:", Config("{token: t}")).c_str(), 1);
  EXPECT_EQ(ClusterAccess::Load({}, "/nowhere").value()->server(), "https://one:6443");
  unsetenv("KUBECONFIG");
}

TEST_F(ClusterAccessTest, TheServiceAccountsTokenIsReadAgain) {
  setenv("KUBERNETES_SERVICE_HOST", "fd00::1", 1);
  setenv("KUBERNETES_SERVICE_PORT", "6443", 1);
  File("token", "first");
  File("ca.crt", "CA");
  File("namespace", "shop\n");
  const auto access = ClusterAccess::Load({}, folder_).value();
  EXPECT_EQ(access->server(), "https://[fd00::1]:6443");
  EXPECT_EQ(access->name_space(), "shop");
  EXPECT_EQ(access->Get()->token, "first");
  File("token", "second");
  EXPECT_EQ(access->Get()->token, "first");
  access->Refresh();
  EXPECT_EQ(access->Get()->token, "second");
}

TEST_F(ClusterAccessTest, CredentialPlugins) {
  File("ca.crt", "CA one");
  const std::string plugin = File("plugin", absl::StrCat(R"(#!/bin/sh
echo "$1 $WHO $KUBERNETES_EXEC_INFO" >>)",
                                                         folder_, R"(/runs
printf '{"kind": "ExecCredential", "status": {"token": "run-%s", "expirationTimestamp": "2100-01-01T00:00:00Z"}}' "$(wc -l <)",
                                                         folder_, "/runs)\"\n"));
  chmod(plugin.c_str(), 0755);
  KubernetesSettings settings;
  settings.kubeconfig = Config(
      "{exec: {apiVersion: client.authentication.k8s.io/v1, command: ./plugin, args: [get-token], env: [{name: WHO, "
      "value: me}], provideClusterInfo: true, interactiveMode: Never}}");
  const auto access = ClusterAccess::Load(settings).value();
  EXPECT_EQ(access->Get()->token, "run-1");
  EXPECT_EQ(access->Get()->token, "run-1");  // until it expires
  access->Refresh();
  EXPECT_EQ(access->Get()->token, "run-2");
  std::string line;
  std::ifstream runs(folder_ + "/runs");
  std::getline(runs, line);
  EXPECT_THAT(line, HasSubstr("get-token me {"));
  EXPECT_THAT(line, HasSubstr("https://one:6443"));

  File("plugin", "#!/bin/sh\necho no luck >&2\nexit 1\n");
  access->Refresh();
  EXPECT_THAT(std::string(access->Get().status().message()), HasSubstr("plugin: failed: no luck"));
  File("plugin", "#!/bin/sh\necho secret\n");
  EXPECT_THAT(std::string(access->Get().status().message()), Not(HasSubstr("secret")));
}

TEST_F(ClusterAccessTest, WhatIsNotKnownIsRefusedByName) {
  File("ca.crt", "CA one");
  const std::pair<std::string, std::string> kBad[] = {
      {"{username: me, password: hunter2}", "username"},
      {"{as: other}", "the user has as"},
      {"{auth-provider: {name: gcp}}", "auth-provider"},
      {"{exec: {command: x, apiVersion: client.authentication.k8s.io/v1alpha1}}", "apiVersion"},
      {"{exec: {command: x, apiVersion: client.authentication.k8s.io/v1, interactiveMode: Always}}", "interactive"},
      {"{client-certificate: /nowhere.crt}", "/nowhere.crt"},
  };
  for (const auto& [user, says] : kBad) {
    KubernetesSettings settings;
    settings.kubeconfig = Config(user);
    EXPECT_THAT(Refused(settings),
                testing::AllOf(HasSubstr(says), HasSubstr("WALLABY_K8S_KUBECONFIG"), Not(HasSubstr("hunter2"))));
  }
}

}  // namespace
}  // namespace wallaby
