#include "dispatch/kubernetes/test_cluster.h"

#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <random>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "dispatch/kubernetes/kubeconfig.h"
#include "gtest/gtest.h"
#include "test/support/server_of_the_run.h"
#include "yaml-cpp/yaml.h"

namespace wallaby {
namespace {

std::string SourceDir() {
  const char* source = std::getenv("WALLABY_SOURCE_DIR");
  return source != nullptr ? source : WALLABY_DEFAULT_SOURCE_DIR;
}

std::string Script() {
  return SourceDir() + "/test/servers/kubernetes";
}

std::string Start(pid_t owner) {
  return OutputOf(absl::StrCat("'", Script(), "' start --owner ", owner));
}

// The server that the processes of this ctest run share; outside of one, this process's own.
std::string SharedServer() {
  static std::string own;
  if (!own.empty()) return own;
  std::string line = ServerOfTheRun("kubernetes", Start);
  return line.empty() ? own = Start(getpid()) : line;
}

Json ToJson(const YAML::Node& node) {
  if (node.IsMap()) {
    Json object = Json::object();
    for (const auto& entry : node) object[entry.first.Scalar()] = ToJson(entry.second);
    return object;
  }
  if (node.IsSequence()) {
    Json array = Json::array();
    for (const YAML::Node& item : node) array.push_back(ToJson(item));
    return array;
  }
  return node.IsNull() ? Json("") : Json(node.Scalar());
}

}  // namespace

std::string TestCluster::WhyNot() {
  const char* wanted = std::getenv("WALLABY_TEST_KUBERNETES");
  if (wanted != nullptr && std::string_view(wanted) == "1") return "";
  if (std::system(absl::StrCat("'", Script(), "' available").c_str()) == 0) return "";  // NOLINT(concurrency-mt-unsafe)
  return "there is no Kubernetes API server here; WALLABY_TEST_KUBERNETES=1 builds one on first use (about 8 minutes), "
         "as "
         "does test/servers/kubernetes fetch";
}

TestCluster::TestCluster(bool own) : own_(own) {
  const std::string line = own ? Start(getpid()) : SharedServer();
  const size_t tab = line.find('\t');
  url_ = line.substr(0, tab);
  folder_ = line.substr(tab + 1);
  tls_.ca = ReadWholeFile(folder_ + "/ca.crt", "test").value();
  admin_token_ = ReadWholeFile(folder_ + "/token", "test").value();
  absl::StripTrailingAsciiWhitespace(&admin_token_);
  name_space_ = absl::StrCat("test-", getpid(), "-", std::random_device()());
  Send("POST", url_ + "/api/v1/namespaces", {{"metadata", {{"name", name_space_}}}}, "application/json");
  for (const YAML::Node& document : YAML::LoadAllFromFile(SourceDir() + "/deploy/kubernetes/rbac.yaml")) {
    Json object = ToJson(document);
    const std::string kind = TextField(object, "kind");
    if (kind == "RoleBinding") object["subjects"][0]["namespace"] = name_space_;
    const std::string api = kind == "ServiceAccount" ? "/api/v1" : "/apis/rbac.authorization.k8s.io/v1";
    Call("POST", api, absl::StrCat("/", absl::AsciiStrToLower(kind), "s"), object);
  }
}

TestCluster::~TestCluster() {
  if (own_) {
    OutputOf(absl::StrCat("'", Script(), "' stop '", folder_, "'"));
  } else {
    Send("DELETE", absl::StrCat(url_, "/api/v1/namespaces/", name_space_), Json(), "application/json");
  }
}

Json TestCluster::Send(const std::string& method, const std::string& url, const Json& body, const std::string& type) {
  HttpRequest request;
  request.method = method;
  request.url = url;
  request.headers = {"Authorization: Bearer " + admin_token_, "Content-Type: " + type};
  if (!body.is_null()) request.body = body.dump();
  const auto response = http_.Send(request, tls_, never_);
  EXPECT_TRUE(response.ok() && response->status / 100 == 2)
      << method << " " << url << ": " << response.status() << (response.ok() ? response->body : "");
  return response.ok() ? Json::parse(response->body, nullptr, false) : Json();
}

Json TestCluster::Call(const std::string& method, const std::string& api, const std::string& path, const Json& body,
                       const std::string& type) {
  return Send(method, absl::StrCat(url_, api, "/namespaces/", name_space_, path), body, type);
}

KubernetesSettings TestCluster::Settings(const std::string& worker) {
  KubernetesSettings settings;
  settings.enabled = true;
  settings.name_space = name_space_;
  settings.api_server = url_;
  settings.ca_file = folder_ + "/ca.crt";
  settings.token = Token();
  settings.job_image = "wallaby:test";
  settings.job_command = {worker};
  return settings;
}

std::vector<JobView> TestCluster::Jobs() {
  std::vector<JobView> jobs;
  const Json list = Call("GET", "/apis/batch/v1", "/jobs");
  for (const Json& job : Field(list, "items")) {
    if (const auto view = ParseJob(job)) jobs.push_back(*view);
  }
  return jobs;
}

std::vector<PodView> TestCluster::Pods() {
  std::vector<PodView> pods;
  const Json list = Call("GET", "/api/v1", "/pods");
  for (const Json& pod : Field(list, "items")) {
    if (const auto view = ParsePod(pod)) pods.push_back(*view);
  }
  return pods;
}

void TestCluster::DeleteJob(const std::string& name) {
  Call("DELETE", "/apis/batch/v1", "/jobs/" + name, {{"propagationPolicy", "Background"}});
}

std::string TestCluster::Token() {
  return TextField(
      Field(Call("POST", "/api/v1", "/serviceaccounts/wallaby/token",
                 {{"apiVersion", "authentication.k8s.io/v1"}, {"kind", "TokenRequest"}, {"spec", Json::object()}}),
            "status"),
      "token");
}

void TestCluster::MakeServiceAccount() {
  Call("POST", "/api/v1", "/serviceaccounts", {{"metadata", {{"name", "wallaby"}}}});
}

void TestCluster::DeleteServiceAccount() {
  Call("DELETE", "/api/v1", "/serviceaccounts/wallaby");
}

void TestCluster::Halt() {
  OutputOf(absl::StrCat("'", Script(), "' halt '", folder_, "'"));
}

void TestCluster::Resume() {
  OutputOf(absl::StrCat("'", Script(), "' resume '", folder_, "'"));
}

}  // namespace wallaby
