// The dispatcher with real processes. What every kind of dispatcher does is in conformance_test.cc.
#include "dispatch/local_dispatcher.h"

#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "dispatch/scripted_workers.h"
#include "gtest/gtest.h"

namespace wallaby {
namespace {

constexpr char kIgnoresRequests[] = "trap '' TERM; while [ -e \"$0\" ]; do sleep 0.05; done";

class LocalDispatcherTest : public ScriptedWorkersTest {
 protected:
  void SetUp() override {
    MakeWorkers();
    options_.worker = worker();
    options_.review_interval = absl::Milliseconds(100);
    options_.backoff_base = absl::Milliseconds(20);
    options_.backoff_cap = absl::Milliseconds(100);
  }
  void TearDown() override { EndWorkers(); }

  void Begin() {
    dispatcher_ = MakeLocalDispatcher(store_.get(), options_);
    ASSERT_TRUE(dispatcher_->Start().ok());
  }

  LocalDispatcherOptions options_;
};

TEST_F(LocalDispatcherTest, EnsureStartsOneWorkerInItsOwnSession) {
  Begin();
  MoveTo(FlowState::kRunning);
  EXPECT_TRUE(dispatcher_->Ensure("shop").ok());
  EXPECT_TRUE(dispatcher_->Ensure("shop").ok());
  const pid_t pid = AwaitStart(1);
  EXPECT_EQ(getsid(pid), pid);
  EXPECT_TRUE(dispatcher_->IsActive("shop"));
  absl::SleepFor(absl::Milliseconds(300));  // several reviews
  EXPECT_EQ(Starts().size(), 1u);
  EXPECT_EQ(Starts()[0], absl::StrCat(pid, " -flow-id shop"));
  const auto attempts = store_->ActiveAttempts().value();
  ASSERT_EQ(attempts.size(), 1u);
  EXPECT_EQ(PidOfHandle(attempts[0].handle), pid);
}

TEST_F(LocalDispatcherTest, AWorkerSeesOnlyItsOwnFiles) {
  const int inherited = dup(STDERR_FILENO);  // not close-on-exec, as a library might leave it
  Behave(absl::StrCat("ls /proc/$$/fd >", folder_, "/fds; readlink /proc/$$/fd/0 >", folder_, "/stdin; exit 0"));
  Begin();
  ASSERT_TRUE(dispatcher_->Ensure("shop", {.max_empty_reads = 1}).ok());
  ASSERT_TRUE(Eventually([&] { return !dispatcher_->IsActive("shop"); }));
  close(inherited);
  std::ifstream in(folder_ + "/fds");
  int largest_below_script = -1;
  // The shell keeps the script open at 10 or above.
  for (int fd; in >> fd;) largest_below_script = fd < 10 ? std::max(largest_below_script, fd) : largest_below_script;
  EXPECT_LE(largest_below_script, 3);  // 3: ls reading the folder, or the shell's redirection
  std::string target;
  std::ifstream(folder_ + "/stdin") >> target;
  EXPECT_EQ(target, "/dev/null");
}

TEST_F(LocalDispatcherTest, WhateverEndsAWorkerTheNextOneFollows) {
  Begin();
  MoveTo(FlowState::kRunning);
  ASSERT_TRUE(dispatcher_->Ensure("shop").ok());
  kill(AwaitStart(1), SIGKILL);
  Behave("exit 1");
  AwaitStart(2);
  AwaitStart(3);
  Behave(kRunsUntilAsked);
  EXPECT_TRUE(
      Eventually([&] { return dispatcher_->IsActive("shop") && store_->ActiveAttempts().value().size() == 1; }));
  EXPECT_NE(store_->GetFlow("shop").value().last_error.find("killed by signal 9"), std::string::npos);
}

TEST_F(LocalDispatcherTest, RestartsBackOff) {
  options_.backoff_base = absl::Milliseconds(200);
  options_.backoff_cap = absl::Seconds(60);
  // A review that came first would be the first start, and the request the second.
  options_.review_interval = absl::Hours(1);
  Behave("exit 1");
  Begin();
  MoveTo(FlowState::kRunning);
  const absl::Time begin = absl::Now();
  ASSERT_TRUE(dispatcher_->Ensure("shop").ok());
  AwaitStart(4);  // after waits of at least 100, 200 and 400 ms
  EXPECT_GE(absl::Now() - begin, absl::Milliseconds(700));
}

TEST_F(LocalDispatcherTest, NoRestartOnceTheFlowIsNotRunning) {
  Begin();
  for (const FlowState state : {FlowState::kPaused, FlowState::kFailed, FlowState::kStopped}) {
    SCOPED_TRACE(FlowStateName(state));
    MoveTo(FlowState::kRunning);
    const size_t before = Starts().size();
    ASSERT_TRUE(dispatcher_->Ensure("shop").ok());
    const pid_t pid = AwaitStart(before + 1);
    MoveTo(state);
    kill(pid, SIGKILL);
    ASSERT_TRUE(Eventually([&] { return !dispatcher_->IsActive("shop"); }));
    absl::SleepFor(absl::Milliseconds(400));
    EXPECT_EQ(Starts().size(), before + 1);
    EXPECT_EQ(State(), state);
  }
}

TEST_F(LocalDispatcherTest, AWorkerThatEndedLeavesNothing) {
  Begin();
  MoveTo(FlowState::kRunning);
  ASSERT_TRUE(dispatcher_->Ensure("shop").ok());
  const pid_t pid = AwaitStart(1);
  MoveTo(FlowState::kStopping);
  dispatcher_->Stop("shop");
  EXPECT_TRUE(Eventually([&] { return State() == FlowState::kStopped; }));
  EXPECT_NE(kill(pid, 0), 0) << "a zombie";
  EXPECT_TRUE(store_->ActiveAttempts().value().empty());
}

TEST_F(LocalDispatcherTest, StopWithoutAWorkerIsCompleteOnReturn) {
  Begin();
  MoveTo(FlowState::kStopping);
  dispatcher_->Stop("shop");
  EXPECT_EQ(State(), FlowState::kStopped);
}

TEST_F(LocalDispatcherTest, StopOfAKilledWorkerDoesNotWaitForItsLease) {
  Begin();
  MoveTo(FlowState::kRunning);
  ASSERT_TRUE(dispatcher_->Ensure("shop").ok());
  const pid_t pid = AwaitStart(1);
  char host[256] = {};
  gethostname(host, sizeof(host) - 1);
  ASSERT_TRUE(store_->AcquireLease("shop", absl::StrCat(host, ":", pid, ":1"), absl::Minutes(5)).ok());
  MoveTo(FlowState::kStopping);
  kill(pid, SIGKILL);
  EXPECT_TRUE(Eventually([&] { return State() == FlowState::kStopped; }));
}

TEST_F(LocalDispatcherTest, AFailedFlowHasAWorkerThatFillsTheSpool) {
  options_.spools = true;
  Begin();
  MoveTo(FlowState::kRunning);
  ASSERT_TRUE(dispatcher_->Ensure("shop").ok());
  const pid_t delivers = AwaitStart(1);
  MoveTo(FlowState::kFailed);
  kill(delivers, SIGKILL);
  AwaitStart(2);
  EXPECT_TRUE(absl::EndsWith(Starts()[1], " -mode spool"));
}

TEST_F(LocalDispatcherTest, AFlowIsResumedBehindTheServersBack) {
  options_.spools = true;
  Begin();
  MoveTo(FlowState::kPaused);
  AwaitStart(1);
  MoveTo(FlowState::kRunning);
  const pid_t delivers = AwaitStart(2);
  EXPECT_EQ(Starts()[1], absl::StrCat(delivers, " -flow-id shop"));
}

TEST_F(LocalDispatcherTest, AWorkerThatDoesNotEndIsKilled) {
  options_.kill_after = absl::Milliseconds(300);
  Behave(kIgnoresRequests);
  Begin();
  MoveTo(FlowState::kRunning);
  ASSERT_TRUE(dispatcher_->Ensure("shop").ok());
  AwaitStart(1);
  absl::SleepFor(absl::Milliseconds(50));
  MoveTo(FlowState::kStopping);
  dispatcher_->Stop("shop");
  EXPECT_TRUE(Eventually([&] { return State() == FlowState::kStopped; }));
}

TEST_F(LocalDispatcherTest, AWorkerThatMeetsALeaseDoesNotCountAsAFailure) {
  Behave("exit 3");
  Begin();
  MoveTo(FlowState::kRunning);
  ASSERT_TRUE(dispatcher_->Ensure("shop").ok());
  AwaitStart(3);
  EXPECT_EQ(store_->GetFlow("shop").value().last_error, "");
}

TEST_F(LocalDispatcherTest, AReusedPidIsNotTakenForTheWorker) {
  MoveTo(FlowState::kRunning);
  // A process that lives, with another start time, and of another boot.
  const std::unique_ptr<Process> other = Process::Spawn("/bin/sleep", {"1000"}).value();
  const std::vector<std::string> parts = absl::StrSplit(other->handle(), ':');
  for (const std::string& handle : {absl::StrCat(parts[0], ":", parts[1], ":", std::stoll(parts[2]) - 1),
                                    absl::StrCat("00000000-0000:", parts[1], ":", parts[2]), std::string("nonsense")}) {
    DispatchAttempt attempt;
    attempt.flow_id = "shop";
    attempt.kind = "local";
    attempt.handle = handle;
    ASSERT_TRUE(store_->AddAttempt(attempt).ok());
  }
  Begin();
  AwaitStart(1);
  EXPECT_TRUE(Eventually([&] { return store_->ActiveAttempts().value().size() == 1; }));
  EXPECT_FALSE(other->ended());
  EXPECT_TRUE(other->Signal(SIGKILL).ok());
  EXPECT_TRUE(Eventually([&] { return other->ended(); }));
  EXPECT_EQ(other->Reap().text, "killed by signal 9 (Killed)");
}

TEST_F(LocalDispatcherTest, AMissingWorkerProgramIsAnErrorAndTriedAgainOnceItIsThere) {
  const std::string worker = options_.worker;
  std::filesystem::rename(worker, worker + ".away");
  Begin();
  MoveTo(FlowState::kRunning);
  const absl::Status status = dispatcher_->Ensure("shop");
  EXPECT_FALSE(status.ok());
  EXPECT_NE(std::string(status.message()).find(worker), std::string::npos) << status;
  std::filesystem::rename(worker + ".away", worker);
  AwaitStart(1);
}

}  // namespace
}  // namespace wallaby
