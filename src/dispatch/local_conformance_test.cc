// The conformance tests with worker processes of this machine.
#include "dispatch/conformance_test.h"

namespace wallaby {
namespace {

class LocalHarness final : public DispatchHarness {
 public:
  std::unique_ptr<Dispatcher> Make(ControlStore* store, const std::string& worker, bool spools) override {
    LocalDispatcherOptions options;
    options.worker = worker;
    options.spools = spools;
    options.review_interval = absl::Milliseconds(100);
    options.backoff_base = absl::Milliseconds(20);
    options.backoff_cap = absl::Milliseconds(100);
    return MakeLocalDispatcher(store, options);
  }
};

const DispatcherKind kLocal{
    .name = "Local", .why_not = [] { return std::string(); }, .make = [] { return std::make_unique<LocalHarness>(); }};

INSTANTIATE_TEST_SUITE_P(Dispatchers, DispatcherConformanceTest, testing::Values(kLocal), KindName);

}  // namespace
}  // namespace wallaby
