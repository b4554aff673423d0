#include "dispatch/kubernetes/test_cluster.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <random>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "dispatch/kubernetes/kubeconfig.h"
#include "gtest/gtest.h"
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

[[noreturn]] void Die(std::string_view why) {
  std::cerr << "test cluster: " << why << std::endl;
  std::_Exit(1);
}

std::string Run(const std::string& command) {
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) Die("cannot run " + command);
  std::string out;
  char buffer[4096];
  while (const size_t got = fread(buffer, 1, sizeof(buffer), pipe)) out.append(buffer, got);
  if (pclose(pipe) != 0) Die("failed: " + command);
  absl::StripTrailingAsciiWhitespace(&out);
  return out;
}

std::string Start(pid_t owner) {
  return Run(absl::StrCat("'", Script(), "' start --owner ", owner));
}

// ctest runs each test in a process of its own: the first of a run starts the server on behalf of ctest, and leaves its
// address in a file for the others.
std::string ServerOfTheRun() {
  static std::string own;
  const pid_t run = getppid();
  std::string name;
  std::getline(std::ifstream(absl::StrCat("/proc/", run, "/comm")), name);
  if (name != "ctest") {
    if (own.empty()) own = Start(getpid());
    return own;
  }
  const char* folder = std::getenv("TMPDIR");
  const std::string path = absl::StrCat(folder != nullptr && *folder != '\0' ? folder : "/tmp",
                                        "/wallaby-test-kubernetes-", getuid(), "-", run);
  const int file = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0 || flock(file, LOCK_EX) != 0) Die("cannot lock " + path);
  char buffer[512];
  const ssize_t got = read(file, buffer, sizeof(buffer));
  std::string line(buffer, got > 0 ? static_cast<size_t>(got) : 0);
  const size_t tab = line.find('\t');
  if (tab == std::string::npos || access(line.substr(tab + 1).c_str(), F_OK) != 0) {
    line = Start(run);
    if (ftruncate(file, 0) != 0 || pwrite(file, line.data(), line.size(), 0) != static_cast<ssize_t>(line.size())) {
      Die("cannot write " + path);
    }
  }
  close(file);
  return line;
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
  const std::string line = own ? Start(getpid()) : ServerOfTheRun();
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
    Run(absl::StrCat("'", Script(), "' stop '", folder_, "'"));
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
  Run(absl::StrCat("'", Script(), "' halt '", folder_, "'"));
}

void TestCluster::Resume() {
  Run(absl::StrCat("'", Script(), "' resume '", folder_, "'"));
}

}  // namespace wallaby
