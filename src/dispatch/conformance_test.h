// Conformance tests of dispatchers: what each of them does, whatever it starts workers with. A kind of dispatcher runs
// them by compiling conformance_test.cc into its test and instantiating the suite:
//
//   INSTANTIATE_TEST_SUITE_P(Local, DispatcherConformanceTest, testing::Values(DispatcherKind{...}), KindName);
#ifndef WALLABY_DISPATCH_CONFORMANCE_TEST_H_
#define WALLABY_DISPATCH_CONFORMANCE_TEST_H_

#include <functional>
#include <memory>
#include <ostream>
#include <string>

#include "absl/time/time.h"
#include "dispatch/dispatcher.h"
#include "dispatch/scripted_workers.h"
#include "gtest/gtest.h"
#include "store/control_store.h"

namespace wallaby {

// One kind of dispatcher with all that it needs, for one test.
class DispatchHarness {
 public:
  virtual ~DispatchHarness() = default;
  // A dispatcher on `store` whose workers run `worker` on this machine; `spools`: there is a spool. Not started yet.
  // May be called again when the one before is gone, and then finds its workers.
  virtual std::unique_ptr<Dispatcher> Make(ControlStore* store, const std::string& worker, bool spools) = 0;
};

struct DispatcherKind {
  std::string name;
  // Why it cannot be tested here, and what to do about it; "" when it can.
  std::function<std::string()> why_not;
  std::function<std::unique_ptr<DispatchHarness>()> make;
  // In this time a worker that is one too many would have shown itself.
  absl::Duration quiet = absl::Milliseconds(400);
  absl::Duration limit = absl::Seconds(60);
  // Whether workers live on when the dispatcher ends, and the next one finds them.
  bool workers_outlive = true;
};

// In the tests' names, instead of the object's bytes.
inline void PrintTo(const DispatcherKind& kind, std::ostream* out) {
  *out << kind.name;
}

inline std::string KindName(const testing::TestParamInfo<DispatcherKind>& info) {
  return info.param.name;
}

class DispatcherConformanceTest : public ScriptedWorkersTest, public testing::WithParamInterface<DispatcherKind> {
 protected:
  void SetUp() override;
  void TearDown() override;

  // A new dispatcher takes the place of the one before.
  void Begin();
  // True when no further worker starts.
  bool StaysAt(size_t count);

  std::unique_ptr<DispatchHarness> harness_;
  bool spools_ = false;
};

}  // namespace wallaby

#endif  // WALLABY_DISPATCH_CONFORMANCE_TEST_H_
