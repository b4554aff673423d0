#include "flow/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>

namespace wallaby {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class SettingsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::vector<std::string> names;
    for (char** entry = environ; *entry != nullptr; ++entry) {
      const std::string text = *entry;
      if (text.starts_with("WALLABY_")) names.push_back(text.substr(0, text.find('=')));
    }
    for (const std::string& name : names) unsetenv(name.c_str());
    file_ = ::testing::TempDir() + "/settings-" + std::to_string(getpid()) + ".yaml";
  }
  void TearDown() override { std::remove(file_.c_str()); }
  std::string File(const std::string& text) {
    std::ofstream(file_) << text;
    return file_;
  }
  std::string file_;
};

TEST_F(SettingsTest, Defaults) {
  const auto settings = LoadSettings("");
  ASSERT_TRUE(settings.ok()) << settings.status();
  EXPECT_EQ(settings->data_dir, "./wallaby-data");
  EXPECT_EQ(settings->grpc_listen, "127.0.0.1:8080");
  EXPECT_TRUE(settings->grpc_reflection);
  EXPECT_EQ(settings->memory_limit, 256 << 20);
  EXPECT_EQ(settings->ddl, DdlPolicy());
}

TEST_F(SettingsTest, EnvironmentWinsOverFile) {
  const std::string file = File(
      "data_dir: /from/file\nwallaby_grpc_listen: ':9090'\nmemory_limit: 64MiB\n"
      "grpc_reflection: false\nmetrics_listen: ':9100'\nk8s_namespace: x\nk8s_enabled: false\nddl_auto_apply: false\n");
  setenv("WALLABY_DATA_DIR", "/from/env", 1);
  setenv("WALLABY_GRPC_LISTEN", "", 1);  // empty counts as not set
  setenv("WALLABY_DDL_GATE", "true", 1);
  setenv("WALLABY_SOMETHING_ELSE", "1", 1);
  const auto settings = LoadSettings(file);
  ASSERT_TRUE(settings.ok()) << settings.status();
  EXPECT_EQ(settings->data_dir, "/from/env");
  EXPECT_EQ(settings->grpc_listen, ":9090");
  EXPECT_EQ(settings->memory_limit, 64 << 20);
  EXPECT_FALSE(settings->grpc_reflection);
  EXPECT_EQ(settings->ddl, (DdlPolicy{.gate = true, .auto_apply = false}));
  EXPECT_EQ(settings->config_file, file);
}

TEST_F(SettingsTest, WhatAnOperatorWatches) {
  const auto off = LoadSettings("");
  ASSERT_TRUE(off.ok()) << off.status();
  EXPECT_EQ(off->metrics_listen + off->admin_listen + off->trace_path, "");
  EXPECT_EQ(off->otel_metrics_interval, absl::ZeroDuration());
  setenv("WALLABY_ADMIN_LISTEN", "127.0.0.1:0", 1);
  setenv("WALLABY_OTEL_METRICS_INTERVAL", "15s", 1);
  const auto on = LoadSettings(File("metrics_listen: ':9100'\ntrace_path: /tmp/t.jsonl\n"));
  ASSERT_TRUE(on.ok()) << on.status();
  EXPECT_EQ(on->metrics_listen, ":9100");
  EXPECT_EQ(on->admin_listen, "127.0.0.1:0");
  EXPECT_EQ(on->trace_path, "/tmp/t.jsonl");
  EXPECT_EQ(on->otel_metrics_interval, absl::Seconds(15));
}

TEST_F(SettingsTest, Dbos) {
  const auto off = LoadSettings("");
  ASSERT_TRUE(off.ok()) << off.status();
  EXPECT_FALSE(off->dbos_enabled);
  EXPECT_EQ(off->dbos_app + off->dbos_queue + off->dbos_schedule + off->dbos_admin_listen, "wallabywallaby");
  EXPECT_EQ(off->dbos_max_retries, 100);
  const auto on =
      LoadSettings(File("dbos_enabled: true\ndbos_app: a\ndbos_queue: q\ndbos_schedule: '0 * * * * *'\n"
                        "dbos_max_retries: 5\ndbos_admin_port: 3001\n"));
  ASSERT_TRUE(on.ok()) << on.status();
  EXPECT_TRUE(on->dbos_enabled);
  EXPECT_EQ(on->dbos_app + on->dbos_queue + on->dbos_schedule, "aq0 * * * * *");
  EXPECT_EQ(on->dbos_max_retries, 5);
  EXPECT_EQ(on->dbos_admin_listen, "127.0.0.1:3001");
  EXPECT_EQ(LoadSettings(File("dbos_admin_port: ':3001'\n"))->dbos_admin_listen, ":3001");
}

TEST_F(SettingsTest, Access) {
  const auto off = LoadSettings("");
  ASSERT_TRUE(off.ok()) << off.status();
  EXPECT_FALSE(off->access.allow_insecure_listen || off->access.metrics_open || off->access.audit_all);
  EXPECT_EQ(off->access.max_message, 16 << 20);
  EXPECT_EQ(off->access.max_calls, 256);
  EXPECT_EQ(off->access.max_page, 1000);
  EXPECT_EQ(off->access.max_pulls, 64);
  EXPECT_EQ(off->access.pull_wait, absl::Seconds(10));
  setenv("WALLABY_TOKENS", "admin ops 0123456789abcdef", 1);
  const auto on = LoadSettings(
      File("tls_cert_file: /c\ntls_key_file: /k\ntls_client_ca_file: /a\ntls_client_roles: 'ci=viewer, a=b=admin'\n"
           "audit: all\nmax_message: 1MiB\nmax_calls: 3\nmax_pulls: 2\npull_wait: 3s\nmax_page: 10\n"
           "http_max_body: 4KiB\nhttp_timeout: 2s\n"));
  ASSERT_TRUE(on.ok()) << on.status();
  EXPECT_EQ(on->access.tls_cert_file + on->access.tls_key_file + on->access.tls_client_ca_file, "/c/k/a");
  EXPECT_EQ(on->access.tls_client_roles, (std::map<std::string, Role>{{"ci", Role::kViewer}, {"a=b", Role::kAdmin}}));
  EXPECT_EQ(on->access.tokens, "admin ops 0123456789abcdef");
  EXPECT_TRUE(on->access.audit_all);
  EXPECT_EQ(on->access.max_message + on->access.max_calls + on->access.max_page, (1 << 20) + 13);
  EXPECT_EQ(on->access.max_pulls, 2);
  EXPECT_EQ(on->access.pull_wait, absl::Seconds(3));
  EXPECT_EQ(on->access.http_max_body, 4096);
  EXPECT_EQ(on->access.http_timeout, absl::Seconds(2));
}

TEST_F(SettingsTest, EmptyFileIsNoSettings) {
  EXPECT_TRUE(LoadSettings(File("# nothing yet\n")).ok());
  EXPECT_TRUE(LoadSettings(File("")).ok());
}

TEST_F(SettingsTest, BadFiles) {
  const std::pair<std::string, std::string> kBad[] = {
      {"data_dri: x\n", "unknown setting 'data_dri'"},
      {"a: 1\n", "known: postgres_dsn, data_dir"},
      {"grpc_listen: nowhere\n", "host:port"},
      {"grpc_listen: ':70000'\n", "grpc_listen"},
      {"grpc_reflection: perhaps\n", "setting grpc_reflection"},
      {"metrics_listen: here\n", "setting metrics_listen"},
      {"admin_listen: 8080\n", "setting admin_listen"},
      {"otel_metrics_interval: often\n", "100ms to 1h"},
      {"otel_metrics_interval: 1ms\n", "100ms to 1h"},
      {"x: y\nmemory_limit: lots\n", "line 1"},
      {"memory_limit: 1KB\n", "16MiB"},
      {"wallaby_wire_format: xml\n", "arrow, parquet"},
      {"checkpoint_backend: etcd\n", "postgres, sqlite"},
      {"data_dir: [a]\n", "single value"},
      {"[1, 2]\n", "map"},
      {"data_dir: [x\n", "not valid YAML"},
      {"dbos_enabled: perhaps\n", "setting dbos_enabled"},
      {"dbos_max_retries: -1\n", "0 for no limit"},
      {"dbos_admin_port: everywhere\n", "host:port"},
      {"spool_dir: spool\n", "an absolute path"},
      {"spool_limit: 1MiB\n", "16MiB or more"},
      {"spool_policy: drop\n", "hold, fail"},
      {"spool_key: hunter2\n", "environment only"},
      {"ddl_auto_approve: maybe\n", "setting ddl_auto_approve"},
      {"secret_key: hunter2\n", "environment only"},
      {"tokens: admin a hunter2hunter2hunter2\n", "environment only"},
      {"tls_cert_file: /c\n", "WALLABY_TLS_KEY_FILE: is missing"},
      {"tls_key_file: /k\n", "WALLABY_TLS_CERT_FILE: is missing"},
      {"tls_client_ca_file: /a\n", "needs TLS"},
      {"tls_client_roles: a=admin\n", "WALLABY_TLS_CLIENT_CA_FILE too"},
      {"tls_client_roles: a=root\n", "viewer, operator or admin"},
      {"tls_client_roles: admin\n", "NAME=ROLE"},
      {"allow_insecure_listen: sure\n", "setting allow_insecure_listen"},
      {"audit: none\n", "changes or all"},
      {"max_message: 1\n", "64KiB to 256MiB"},
      {"max_calls: 0\n", "1 to 10000"},
      {"max_page: 1001\n", "1 to 1000"},
      {"max_pulls: 0\n", "1 to 10000"},
      {"pull_wait: 6m\n", "from 0 to 5m"},
      {"http_timeout: 0s\n", "1s to 5m"},
  };
  for (const auto& [text, says] : kBad) {
    const auto settings = LoadSettings(File(text));
    ASSERT_FALSE(settings.ok()) << text;
    EXPECT_THAT(std::string(settings.status().message()), AllOf(HasSubstr(says), Not(HasSubstr("hunter2")))) << text;
  }
  EXPECT_EQ(LoadSettings("/does/not/exist.yaml").status().code(), absl::StatusCode::kNotFound);
}

TEST_F(SettingsTest, BadEnvironmentNamesTheSetting) {
  setenv("WALLABY_MEMORY_LIMIT", "x", 1);
  EXPECT_THAT(std::string(LoadSettings("").status().message()), HasSubstr("WALLABY_MEMORY_LIMIT"));
}

}  // namespace
}  // namespace wallaby
