// The conformance tests with Jobs of a real API server.
#include "dispatch/conformance_test.h"
#include "dispatch/kubernetes/kubernetes_dispatch.h"
#include "dispatch/kubernetes/test_cluster.h"

namespace wallaby {
namespace {

class KubernetesHarness final : public DispatchHarness {
 public:
  std::unique_ptr<Dispatcher> Make(ControlStore* store, const std::string& worker, bool spools) override {
    KubernetesDispatcherOptions options;
    options.settings = cluster_.Settings(worker);
    // Else the Job controller starts the next pod by itself, after ten seconds.
    options.settings.job_backoff_limit = 0;
    options.spools = spools;
    options.review_interval = absl::Milliseconds(500);
    options.backoff_base = absl::Milliseconds(20);
    options.backoff_cap = absl::Milliseconds(100);
    return MakeKubernetesDispatcher(store, options).value();
  }

 private:
  TestCluster cluster_;
};

const DispatcherKind kKubernetes{.name = "Kubernetes",
                                 .why_not = [] { return TestCluster::WhyNot(); },
                                 .make = [] { return std::make_unique<KubernetesHarness>(); },
                                 .quiet = absl::Seconds(3),
                                 .limit = absl::Seconds(60)};

INSTANTIATE_TEST_SUITE_P(Dispatchers, DispatcherConformanceTest, testing::Values(kKubernetes), KindName);

}  // namespace
}  // namespace wallaby
