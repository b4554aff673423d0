// For tests of dispatchers: a store with the flow "shop", and a worker program that is a shell script on this machine.
// It notes its pid and arguments, then does what the test wrote.
#ifndef WALLABY_DISPATCH_SCRIPTED_WORKERS_H_
#define WALLABY_DISPATCH_SCRIPTED_WORKERS_H_

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "dispatch/dispatcher.h"
#include "gtest/gtest.h"
#include "store/control_store.h"

namespace wallaby {

inline constexpr char kRunsUntilAsked[] = "trap 'exit 0' TERM; while [ -e \"$0\" ]; do sleep 0.05; done";

// Not a zombie either.
bool IsAlive(pid_t pid);

class ScriptedWorkersTest : public testing::Test {
 protected:
  // Makes folder, store, flow and worker; the worker runs until it is asked to end.
  void MakeWorkers();
  // Ends the dispatcher, then every worker that is left.
  void EndWorkers();

  std::string worker() const { return folder_ + "/worker"; }
  // What the workers that start from now on do; `script` is POSIX shell.
  void Behave(const std::string& script);
  void MoveTo(FlowState state);
  FlowState State();

  // "pid arguments" of each worker so far.
  std::vector<std::string> Starts();
  std::vector<pid_t> Pids();
  // The pid of the worker that started as number `count`; 0, and a failure of the test, when it does not come.
  pid_t AwaitStart(size_t count);
  bool Eventually(const std::function<bool()>& condition) { return Eventually(condition, limit_); }
  bool Eventually(const std::function<bool()>& condition, absl::Duration limit);

  absl::Duration limit_ = absl::Seconds(60);  // of Eventually() without one
  std::string folder_;
  std::unique_ptr<ControlStore> store_;
  std::unique_ptr<Dispatcher> dispatcher_;
};

}  // namespace wallaby

#endif  // WALLABY_DISPATCH_SCRIPTED_WORKERS_H_
