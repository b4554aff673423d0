#include "dispatch/conformance_test.h"

#include <signal.h>

#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace wallaby {

void DispatcherConformanceTest::SetUp() {
  if (const std::string why = GetParam().why_not(); !why.empty()) GTEST_SKIP() << why;
  limit_ = GetParam().limit;
  MakeWorkers();
  harness_ = GetParam().make();
}

void DispatcherConformanceTest::TearDown() {
  dispatcher_.reset();
  harness_.reset();
  EndWorkers();
}

void DispatcherConformanceTest::Begin() {
  dispatcher_.reset();
  dispatcher_ = harness_->Make(store_.get(), worker(), spools_);
  const absl::Status started = dispatcher_->Start();
  ASSERT_TRUE(started.ok()) << started;
}

bool DispatcherConformanceTest::StaysAt(size_t count) {
  absl::SleepFor(GetParam().quiet);
  return Starts().size() == count;
}

TEST_P(DispatcherConformanceTest, EnsureStartsAWorker) {
  Begin();
  MoveTo(FlowState::kRunning);
  ASSERT_TRUE(dispatcher_->Ensure("shop").ok());
  const pid_t pid = AwaitStart(1);
  EXPECT_TRUE(IsAlive(pid));
  EXPECT_TRUE(Eventually([&] { return dispatcher_->IsActive("shop"); }));
  // A dispatcher may have arguments of its own after it.
  EXPECT_TRUE(absl::StartsWith(Starts()[0], absl::StrCat(pid, " -flow-id shop"))) << Starts()[0];
  EXPECT_EQ(Starts()[0].find("-max-empty-reads"), std::string::npos) << Starts()[0];
  // The attempt is recorded with the process's id, so it may come behind the worker's first words.
  EXPECT_TRUE(Eventually([&] { return store_->ActiveAttempts().value().size() == 1; }));
  EXPECT_FALSE(dispatcher_->IsActive("another"));
}

TEST_P(DispatcherConformanceTest, EnsureOfAnActiveWorkerIsSuccessAndStartsNone) {
  Begin();
  MoveTo(FlowState::kRunning);
  ASSERT_TRUE(dispatcher_->Ensure("shop").ok());
  ASSERT_TRUE(dispatcher_->Ensure("shop").ok());
  AwaitStart(1);
  ASSERT_TRUE(dispatcher_->Ensure("shop").ok());
  EXPECT_TRUE(StaysAt(1));
  EXPECT_TRUE(Eventually([&] { return store_->ActiveAttempts().value().size() == 1; }));
}

TEST_P(DispatcherConformanceTest, ConcurrentEnsuresStartOne) {
  Begin();
  MoveTo(FlowState::kRunning);
  std::vector<std::thread> callers;
  callers.reserve(8);
  for (int i = 0; i < 8; ++i) {
    callers.emplace_back([this] { EXPECT_TRUE(dispatcher_->Ensure("shop").ok()); });
  }
  for (std::thread& caller : callers) caller.join();
  AwaitStart(1);
  EXPECT_TRUE(StaysAt(1));
}

TEST_P(DispatcherConformanceTest, ARunningFlowGetsAWorkerWithoutARequest) {
  MoveTo(FlowState::kRunning);
  Begin();
  AwaitStart(1);
  EXPECT_TRUE(Eventually([&] { return dispatcher_->IsActive("shop"); }));
}

TEST_P(DispatcherConformanceTest, StopEndsTheWorkerAndCompletesTheStop) {
  Begin();
  MoveTo(FlowState::kRunning);
  ASSERT_TRUE(dispatcher_->Ensure("shop").ok());
  const pid_t pid = AwaitStart(1);
  MoveTo(FlowState::kStopping);
  dispatcher_->Stop("shop");
  EXPECT_TRUE(Eventually([&] { return State() == FlowState::kStopped; }));
  EXPECT_FALSE(IsAlive(pid));
  EXPECT_FALSE(dispatcher_->IsActive("shop"));
  EXPECT_TRUE(Eventually([&] { return store_->ActiveAttempts().value().empty(); }));
  EXPECT_TRUE(StaysAt(1));
}

TEST_P(DispatcherConformanceTest, StopWithoutAWorkerCompletesTheStop) {
  Begin();
  MoveTo(FlowState::kStopping);
  dispatcher_->Stop("shop");
  EXPECT_TRUE(Eventually([&] { return State() == FlowState::kStopped; }));
  EXPECT_TRUE(Starts().empty());
}

TEST_P(DispatcherConformanceTest, AStopThatNobodySawIsCarriedOutAtTheNextStart) {
  MoveTo(FlowState::kRunning);
  Begin();
  const pid_t pid = AwaitStart(1);
  dispatcher_.reset();
  MoveTo(FlowState::kStopping);
  Begin();
  EXPECT_TRUE(Eventually([&] { return State() == FlowState::kStopped; }));
  EXPECT_TRUE(Eventually([&] { return !IsAlive(pid); }));
}

TEST_P(DispatcherConformanceTest, StopOfAPausedFlowEndsTheWorkerAndStartsNone) {
  Begin();
  MoveTo(FlowState::kRunning);
  ASSERT_TRUE(dispatcher_->Ensure("shop").ok());
  const pid_t pid = AwaitStart(1);
  MoveTo(FlowState::kPaused);
  dispatcher_->Stop("shop");
  EXPECT_TRUE(Eventually([&] { return !IsAlive(pid) && !dispatcher_->IsActive("shop"); }));
  EXPECT_TRUE(StaysAt(1));
  EXPECT_EQ(State(), FlowState::kPaused);
}

TEST_P(DispatcherConformanceTest, AWorkerThatDiesIsFollowedByTheNextWhileTheFlowIsRunning) {
  Begin();
  MoveTo(FlowState::kRunning);
  ASSERT_TRUE(dispatcher_->Ensure("shop").ok());
  const pid_t first = AwaitStart(1);
  kill(first, SIGKILL);
  const pid_t second = AwaitStart(2);
  EXPECT_NE(first, second);
  EXPECT_TRUE(Eventually([&] {
    return dispatcher_->IsActive("shop") && store_->ActiveAttempts().value().size() == 1 && IsAlive(second);
  }));
}

TEST_P(DispatcherConformanceTest, AWorkerThatEndsByItselfIsFollowedToo) {
  Behave("exit 0");
  Begin();
  MoveTo(FlowState::kRunning);
  ASSERT_TRUE(dispatcher_->Ensure("shop").ok());
  AwaitStart(1);
  Behave(kRunsUntilAsked);
  AwaitStart(2);
  EXPECT_EQ(State(), FlowState::kRunning);
}

TEST_P(DispatcherConformanceTest, NoNextWorkerOnceTheFlowIsNotRunning) {
  Begin();
  MoveTo(FlowState::kRunning);
  ASSERT_TRUE(dispatcher_->Ensure("shop").ok());
  const pid_t pid = AwaitStart(1);
  MoveTo(FlowState::kFailed);
  kill(pid, SIGKILL);
  EXPECT_TRUE(Eventually([&] { return !dispatcher_->IsActive("shop"); }));
  EXPECT_TRUE(StaysAt(1));
  EXPECT_EQ(State(), FlowState::kFailed);
}

TEST_P(DispatcherConformanceTest, EnsureWhileTheWorkerEndsIsFollowedByTheNext) {
  Begin();
  MoveTo(FlowState::kRunning);
  ASSERT_TRUE(dispatcher_->Ensure("shop").ok());
  const pid_t first = AwaitStart(1);
  MoveTo(FlowState::kPaused);
  dispatcher_->Stop("shop");
  MoveTo(FlowState::kRunning);
  ASSERT_TRUE(dispatcher_->Ensure("shop").ok());
  EXPECT_NE(AwaitStart(2), first);
  EXPECT_FALSE(IsAlive(first));
  EXPECT_TRUE(Eventually([&] { return dispatcher_->IsActive("shop"); }));
  EXPECT_TRUE(StaysAt(2));
}

TEST_P(DispatcherConformanceTest, ARunOnceEndsAndIsNotRepeated) {
  Behave("exit 0");
  Begin();
  ASSERT_TRUE(dispatcher_->Ensure("shop", {.max_empty_reads = 1}).ok());
  AwaitStart(1);
  EXPECT_NE(Starts()[0].find("-flow-id shop -max-empty-reads 1"), std::string::npos) << Starts()[0];
  EXPECT_TRUE(Eventually([&] { return !dispatcher_->IsActive("shop") && store_->ActiveAttempts().value().empty(); }));
  EXPECT_TRUE(StaysAt(1));
  // The next request is the next run.
  ASSERT_TRUE(dispatcher_->Ensure("shop", {.max_empty_reads = 1}).ok());
  AwaitStart(2);
  EXPECT_EQ(State(), FlowState::kCreated);
}

TEST_P(DispatcherConformanceTest, ARunOnceIsFollowedByTheRealWorkerWhenTheFlowIsStartedMeanwhile) {
  Begin();
  ASSERT_TRUE(dispatcher_->Ensure("shop", {.max_empty_reads = 1}).ok());
  const pid_t probe = AwaitStart(1);
  EXPECT_TRUE(Eventually([&] { return dispatcher_->IsActive("shop"); }));
  MoveTo(FlowState::kRunning);
  ASSERT_TRUE(dispatcher_->Ensure("shop").ok());
  EXPECT_TRUE(StaysAt(1));
  kill(probe, SIGTERM);
  AwaitStart(2);
  EXPECT_EQ(Starts()[1].find("-max-empty-reads"), std::string::npos) << Starts()[1];
}

TEST_P(DispatcherConformanceTest, RestartReplacesARunningWorkerOnly) {
  Begin();
  dispatcher_->Restart("shop");
  EXPECT_TRUE(StaysAt(0));
  MoveTo(FlowState::kRunning);
  ASSERT_TRUE(dispatcher_->Ensure("shop").ok());
  const pid_t first = AwaitStart(1);
  EXPECT_TRUE(Eventually([&] { return dispatcher_->IsActive("shop"); }));
  dispatcher_->Restart("shop");
  AwaitStart(2);
  EXPECT_FALSE(IsAlive(first));
  EXPECT_TRUE(StaysAt(2));
}

TEST_P(DispatcherConformanceTest, TheNextDispatcherFindsTheWorker) {
  if (!GetParam().workers_outlive) GTEST_SKIP() << "its workers end with it: the next dispatcher starts them again";
  MoveTo(FlowState::kRunning);
  Begin();
  const pid_t pid = AwaitStart(1);
  EXPECT_TRUE(Eventually([&] { return store_->ActiveAttempts().value().size() == 1; }));
  dispatcher_.reset();
  EXPECT_TRUE(IsAlive(pid));
  Begin();
  EXPECT_TRUE(Eventually([&] { return dispatcher_->IsActive("shop"); }));
  EXPECT_TRUE(StaysAt(1));
  EXPECT_EQ(store_->ActiveAttempts().value().size(), 1u);
  MoveTo(FlowState::kStopping);
  dispatcher_->Stop("shop");
  EXPECT_TRUE(Eventually([&] { return State() == FlowState::kStopped; }));
  EXPECT_FALSE(IsAlive(pid));
}

TEST_P(DispatcherConformanceTest, AWorkerThatEndedWhileNobodyLookedIsFollowed) {
  MoveTo(FlowState::kRunning);
  Begin();
  const pid_t pid = AwaitStart(1);
  EXPECT_TRUE(Eventually([&] { return store_->ActiveAttempts().value().size() == 1; }));
  dispatcher_.reset();
  kill(pid, SIGKILL);
  Begin();
  AwaitStart(2);
  EXPECT_TRUE(Eventually([&] { return store_->ActiveAttempts().value().size() == 1; }));
}

TEST_P(DispatcherConformanceTest, AnotherProcesssLeaseIsWaitedFor) {
  ASSERT_TRUE(store_->AcquireLease("shop", "elsewhere:1:2", GetParam().quiet + absl::Seconds(4)).ok());
  MoveTo(FlowState::kRunning);
  Begin();
  ASSERT_TRUE(dispatcher_->Ensure("shop").ok());
  EXPECT_TRUE(StaysAt(0));
  AwaitStart(1);
}

TEST_P(DispatcherConformanceTest, AFlowThatDoesNotRunHasAWorkerThatFillsTheSpool) {
  spools_ = true;
  Begin();
  MoveTo(FlowState::kPaused);
  const pid_t spooling = AwaitStart(1);
  EXPECT_TRUE(absl::StartsWith(Starts()[0], absl::StrCat(spooling, " -flow-id shop -mode spool"))) << Starts()[0];
  EXPECT_TRUE(StaysAt(1));
  EXPECT_FALSE(dispatcher_->IsActive("shop"));
  // The flow's own worker follows it, or joins it while it ends.
  MoveTo(FlowState::kRunning);
  ASSERT_TRUE(dispatcher_->Ensure("shop").ok());
  const pid_t delivers = AwaitStart(2);
  EXPECT_EQ(Starts()[1].find("-mode"), std::string::npos) << Starts()[1];
  EXPECT_TRUE(Eventually([&] { return !IsAlive(spooling); }));
  EXPECT_TRUE(Eventually([&] { return dispatcher_->IsActive("shop"); }));
  // A pause ends it, and the spool has its worker again; one that dies is followed.
  MoveTo(FlowState::kPaused);
  dispatcher_->Stop("shop");
  const pid_t again = AwaitStart(3);
  EXPECT_TRUE(Eventually([&] { return !IsAlive(delivers); }));
  EXPECT_NE(Starts()[2].find("-mode spool"), std::string::npos) << Starts()[2];
  kill(again, SIGKILL);
  AwaitStart(4);
  EXPECT_NE(Starts()[3].find("-mode spool"), std::string::npos) << Starts()[3];
  // A stopped flow has nobody.
  MoveTo(FlowState::kStopping);
  dispatcher_->Stop("shop");
  EXPECT_TRUE(Eventually([&] { return State() == FlowState::kStopped; }));
  EXPECT_TRUE(Eventually([&] { return !IsAlive(Pids().back()); }));
  EXPECT_TRUE(StaysAt(4));
}

TEST_P(DispatcherConformanceTest, ADeletedFlowIsForgotten) {
  Begin();
  MoveTo(FlowState::kRunning);
  ASSERT_TRUE(dispatcher_->Ensure("shop").ok());
  const pid_t pid = AwaitStart(1);
  ASSERT_TRUE(store_->DeleteFlow("shop").ok());
  kill(pid, SIGKILL);
  EXPECT_TRUE(Eventually([&] { return !dispatcher_->IsActive("shop"); }));
  EXPECT_TRUE(StaysAt(1));
}

}  // namespace wallaby
