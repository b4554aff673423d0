// TestCluster: a namespace of a real API server for one test, with a service account that has the Role of
// deploy/kubernetes/rbac.yaml and nothing else. Pods run as processes of this machine (test/servers/kubernetes).
#ifndef WALLABY_DISPATCH_KUBERNETES_TEST_CLUSTER_H_
#define WALLABY_DISPATCH_KUBERNETES_TEST_CLUSTER_H_

#include <memory>
#include <string>
#include <vector>

#include "base/event.h"
#include "base/http_client.h"
#include "dispatch/kubernetes/job.h"
#include "dispatch/kubernetes/json_fields.h"
#include "flow/kubernetes_settings.h"

namespace wallaby {

class TestCluster {
 public:
  // "" when there is one, else what to do to have it.
  static std::string WhyNot();

  // `own`: a server of one's own, which may be halted; else the one of the test run.
  explicit TestCluster(bool own = false);
  ~TestCluster();
  TestCluster(const TestCluster&) = delete;
  TestCluster& operator=(const TestCluster&) = delete;

  // Dispatch into the namespace as the service account; Jobs run `worker`.
  KubernetesSettings Settings(const std::string& worker);
  const std::string& name_space() const { return name_space_; }
  const std::string& folder() const { return folder_; }
  const std::string& url() const { return url_; }

  // As administrator. `path` is within the namespace: "/apis/batch/v1" + "/jobs". A failed call fails the test.
  Json Call(const std::string& method, const std::string& api, const std::string& path, const Json& body = Json(),
            const std::string& type = "application/json");
  std::vector<JobView> Jobs();
  std::vector<PodView> Pods();
  void DeleteJob(const std::string& name);
  // A token of the service account `wallaby`.
  std::string Token();
  void MakeServiceAccount();
  void DeleteServiceAccount();

  void Halt();
  void Resume();

 private:
  Json Send(const std::string& method, const std::string& url, const Json& body, const std::string& type);

  bool own_;
  std::string url_;
  std::string folder_;
  std::string name_space_;
  TlsIdentity tls_;
  std::string admin_token_;
  HttpClient http_;
  Event never_;
};

}  // namespace wallaby

#endif  // WALLABY_DISPATCH_KUBERNETES_TEST_CLUSTER_H_
