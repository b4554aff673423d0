#include "flow/kubernetes_settings.h"

#include <cstdlib>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "flow/settings.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace wallaby {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::Pair;

class KubernetesSettingsTest : public testing::Test {
 protected:
  KubernetesSettingsTest() { Clear(); }
  ~KubernetesSettingsTest() override { Clear(); }

  static std::string Name(std::string_view name) { return absl::StrCat("WALLABY_", absl::AsciiStrToUpper(name)); }
  static void Clear() {
    for (const KubernetesSetting& setting : KubernetesSettingTable()) unsetenv(Name(setting.name).c_str());
  }
  static void Set(std::string_view name, const std::string& value) { setenv(Name(name).c_str(), value.c_str(), 1); }
  static KubernetesSettings Load() { return LoadSettings("").value().kubernetes; }
};

TEST_F(KubernetesSettingsTest, OffUnlessAskedFor) {
  const KubernetesSettings settings = Load();
  EXPECT_FALSE(settings.enabled);
  EXPECT_EQ(settings.job_name_prefix, "wallaby");
  EXPECT_EQ(settings.job_ttl_seconds, 3600);
}

TEST_F(KubernetesSettingsTest, ListsAndMaps) {
  Set("k8s_enabled", "true");
  Set("k8s_job_labels", "team=data,example.com/tier=gold");
  Set("k8s_job_annotations", R"({"note": "a, b = c"})");
  Set("k8s_job_command", "/bin/sh,-c");
  Set("k8s_job_args", R"(["a,b", ""])");
  Set("k8s_job_env", "A=1,B=x=y");
  Set("k8s_job_env_from", "secret:wallaby-store,configmap:more.of-it");
  Set("k8s_job_image_pull_policy", "ifnotpresent");
  Set("k8s_job_backoff_limit", "0");
  const KubernetesSettings settings = Load();
  EXPECT_TRUE(settings.enabled);
  EXPECT_THAT(settings.job_labels, ElementsAre(Pair("example.com/tier", "gold"), Pair("team", "data")));
  EXPECT_THAT(settings.job_annotations, ElementsAre(Pair("note", "a, b = c")));
  EXPECT_THAT(settings.job_command, ElementsAre("/bin/sh", "-c"));
  EXPECT_THAT(settings.job_args, ElementsAre("a,b", ""));
  EXPECT_THAT(settings.job_env, ElementsAre(Pair("A", "1"), Pair("B", "x=y")));
  EXPECT_THAT(settings.job_env_from, ElementsAre(KubernetesSettings::EnvSource{true, "wallaby-store"},
                                                 KubernetesSettings::EnvSource{false, "more.of-it"}));
  EXPECT_EQ(settings.job_image_pull_policy, "IfNotPresent");
  EXPECT_EQ(settings.job_backoff_limit, 0);
}

TEST_F(KubernetesSettingsTest, BadValuesNameTheSettingAndKeepSecrets) {
  const std::pair<std::string_view, std::string> kBad[] = {
      {"k8s_enabled", "perhaps"},
      {"k8s_namespace", "Data"},
      {"k8s_api_server", "10.0.0.1:6443"},
      {"k8s_insecure_skip_tls", "maybe"},
      {"k8s_job_image_pull_policy", "Sometimes"},
      {"k8s_job_service_account", "a/b"},
      {"k8s_job_name_prefix", "a-prefix-that-is-too-long"},
      {"k8s_job_name_prefix", "-a"},
      {"k8s_job_ttl_seconds", "-1"},
      {"k8s_job_ttl_seconds", "1h"},
      {"k8s_job_backoff_limit", "3000000000"},
      {"k8s_job_max_empty_reads", "x"},
      {"k8s_job_labels", "team"},
      {"k8s_job_labels", "team=a b"},
      {"k8s_job_labels", "app=other"},
      {"k8s_job_labels", "wallaby/flow-id=other"},
      {"k8s_job_annotations", "a b=c"},
      {"k8s_job_command", "[1]"},
      {"k8s_job_args", "[\"a\""},
      {"k8s_job_env", "hunter2"},
      {"k8s_job_env", "{\"A\": 1}"},
      {"k8s_job_env_from", "wallaby"},
      {"k8s_job_env_from", "vault:wallaby"},
  };
  for (const auto& [name, value] : kBad) {
    Clear();
    Set(name, value);
    const auto settings = LoadSettings("");
    ASSERT_FALSE(settings.ok()) << name << "=" << value;
    EXPECT_THAT(std::string(settings.status().message()), HasSubstr(Name(name)));
    EXPECT_THAT(std::string(settings.status().message()), Not(HasSubstr("hunter2")));
  }
}

TEST_F(KubernetesSettingsTest, WhatDoesNotGoTogether) {
  KubernetesSettings good;
  good.job_image = "wallaby:1";
  EXPECT_TRUE(CheckKubernetesSettings(good).ok());
  const auto refused = [](const KubernetesSettings& settings) {
    return std::string(CheckKubernetesSettings(settings).message());
  };
  EXPECT_THAT(refused({}), HasSubstr("WALLABY_K8S_JOB_IMAGE"));
  KubernetesSettings bad = good;
  bad.api_server = "https://a";
  bad.context = "b";
  EXPECT_THAT(refused(bad), HasSubstr("WALLABY_K8S_API_SERVER"));
  bad = good;
  bad.client_cert = "/cert.pem";
  EXPECT_THAT(refused(bad), HasSubstr("WALLABY_K8S_CLIENT_KEY"));
  bad = good;
  bad.ca_file = "/ca.pem";
  bad.insecure_skip_tls = true;
  EXPECT_THAT(refused(bad), HasSubstr("WALLABY_K8S_INSECURE_SKIP_TLS"));
  bad.ca_data = "x";
  EXPECT_THAT(refused(bad), HasSubstr("WALLABY_K8S_CA_DATA"));
  bad = good;
  bad.api_server = "http://10.0.0.1";
  bad.token = "hunter2";
  EXPECT_THAT(refused(bad), testing::AllOf(HasSubstr("WALLABY_K8S_API_SERVER"), Not(HasSubstr("hunter2"))));
}

}  // namespace
}  // namespace wallaby
