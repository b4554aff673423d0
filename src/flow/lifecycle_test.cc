#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "flow/flow.h"

namespace wallaby {
namespace {

using S = FlowState;
using R = FlowRequest;

struct Row {
  S from;
  // Result of start, pause, stop, resume, delete, update, run-once; unspecified: refused.
  S to[7];
};

constexpr S kNo = S::kUnspecified;
constexpr R kRequests[] = {R::kStart, R::kPause, R::kStop, R::kResume, R::kDelete, R::kUpdate, R::kRunOnce};
constexpr Row kTable[] = {
    {S::kCreated, {S::kRunning, kNo, kNo, kNo, S::kCreated, S::kCreated, S::kRunning}},
    {S::kRunning, {S::kRunning, S::kPaused, S::kStopping, S::kRunning, kNo, kNo, S::kRunning}},
    {S::kPaused, {kNo, S::kPaused, S::kStopping, S::kRunning, S::kPaused, S::kPaused, S::kRunning}},
    {S::kStopping, {kNo, kNo, S::kStopping, kNo, kNo, kNo, kNo}},
    {S::kFailed, {S::kRunning, kNo, kNo, kNo, S::kFailed, S::kFailed, S::kRunning}},
    {S::kStopped, {S::kRunning, kNo, S::kStopped, S::kRunning, S::kStopped, S::kStopped, S::kRunning}},
};

TEST(Lifecycle, EveryRequestInEveryState) {
  for (const Row& row : kTable) {
    for (int i = 0; i < 7; ++i) {
      const absl::StatusOr<S> next = NextState(row.from, kRequests[i]);
      if (row.to[i] == kNo) {
        EXPECT_EQ(next.status().code(), absl::StatusCode::kFailedPrecondition) << FlowStateName(row.from) << " " << i;
        EXPECT_THAT(std::string(next.status().message()), ::testing::HasSubstr(FlowStateName(row.from)));
      } else {
        ASSERT_TRUE(next.ok()) << next.status();
        EXPECT_EQ(*next, row.to[i]) << FlowStateName(row.from) << " " << i;
      }
    }
  }
}

TEST(Lifecycle, RefusalsSayWhatToDo) {
  EXPECT_THAT(std::string(NextState(S::kPaused, R::kStart).status().message()), ::testing::HasSubstr("resume"));
  EXPECT_THAT(std::string(NextState(S::kRunning, R::kUpdate).status().message()), ::testing::HasSubstr("-pause"));
  EXPECT_THAT(std::string(NextState(S::kRunning, R::kDelete).status().message()), ::testing::HasSubstr("flow stop"));
}

TEST(Lifecycle, StateNamesGoThereAndBack) {
  for (int i = 1; i <= 6; ++i) {
    const auto state = static_cast<S>(i);
    EXPECT_EQ(*ParseFlowState(FlowStateName(state)), state);
  }
  EXPECT_EQ(ParseFlowState("asleep").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_FALSE(ParseFlowState("").ok());
}

}  // namespace
}  // namespace wallaby
