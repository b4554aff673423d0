#include "base/failpoint.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"

namespace wallaby {
namespace {

std::vector<std::string> heard;

class FailpointTest : public testing::Test {
 protected:
  FailpointTest() { heard.clear(); }
  ~FailpointTest() override { EXPECT_TRUE(Arm("").ok()); }

  static absl::Status Arm(std::string_view setting) {
    return ArmFailpoints(setting, [](std::string_view what) { heard.emplace_back(what); });
  }
  // Which of the first `times` times fail: "..x" for the third only.
  static std::string Pattern(int times, Failpoint point = Failpoint::kCheckpointPutBefore) {
    std::string pattern;
    for (int i = 0; i < times; ++i) pattern += ReachFailpoint(point).ok() ? '.' : 'x';
    return pattern;
  }
};

TEST_F(FailpointTest, NothingHappensWhereNothingIsArmed) {
  EXPECT_EQ(Pattern(3), "...");
  ASSERT_TRUE(Arm("checkpoint.put.after=error:internal").ok());
  EXPECT_EQ(Pattern(3), "...");
  EXPECT_TRUE(heard.empty());
}

TEST_F(FailpointTest, TheErrorHasItsCodeAndNamesThePlace) {
  ASSERT_TRUE(Arm("source.feedback=error:resource_exhausted").ok());
  const absl::Status status = ReachFailpoint(Failpoint::kSourceFeedback);
  EXPECT_TRUE(absl::IsResourceExhausted(status));
  EXPECT_TRUE(absl::StrContains(status.message(), "source.feedback")) << status;
  EXPECT_EQ(heard, std::vector<std::string>{"source.feedback: error:resource_exhausted, reached 1 times"});
}

TEST_F(FailpointTest, Counts) {
  ASSERT_TRUE(Arm("checkpoint.put.before=error:aborted@3").ok());
  EXPECT_EQ(Pattern(6), "..x...");
  ASSERT_TRUE(Arm("checkpoint.put.before=error:aborted@every2").ok());
  EXPECT_EQ(Pattern(6), ".x.x.x");
  ASSERT_TRUE(Arm("checkpoint.put.before=error:aborted").ok());
  EXPECT_EQ(Pattern(3), "xxx");
}

TEST_F(FailpointTest, ChanceFollowsTheSeed) {
  ASSERT_TRUE(Arm("checkpoint.put.before=error:aborted@1in4:7").ok());
  const std::string first = Pattern(400);
  ASSERT_TRUE(Arm("checkpoint.put.before=error:aborted@1in4:7").ok());
  EXPECT_EQ(Pattern(400), first);
  ASSERT_TRUE(Arm("checkpoint.put.before=error:aborted@1in4:8").ok());
  EXPECT_NE(Pattern(400), first);
  const auto fired = std::count(first.begin(), first.end(), 'x');
  EXPECT_GT(fired, 50);
  EXPECT_LT(fired, 150);
}

TEST_F(FailpointTest, SeveralAtOnce) {
  ASSERT_TRUE(Arm("checkpoint.put.before=error:aborted@1, destination.write=error:internal@2").ok());
  EXPECT_EQ(Pattern(2, Failpoint::kDestinationWrite), ".x");
  EXPECT_EQ(Pattern(2), "x.");
}

TEST_F(FailpointTest, DelayWaits) {
  ASSERT_TRUE(Arm("destination.write=delay:30ms").ok());
  const absl::Time began = absl::Now();
  EXPECT_TRUE(ReachFailpoint(Failpoint::kDestinationWrite).ok());
  EXPECT_GE(absl::Now() - began, absl::Milliseconds(30));
}

TEST_F(FailpointTest, CrashAndPauseAreSignalsToTheProcess) {
  for (const auto& [action, number] : {std::pair("crash", SIGKILL), std::pair("pause", SIGSTOP)}) {
    ASSERT_TRUE(Arm(absl::StrCat("destination.write=", action)).ok());
    const pid_t pid = fork();
    if (pid == 0) {
      ReachFailpoint(Failpoint::kDestinationWrite).IgnoreError();
      _exit(7);
    }
    int status = 0;
    ASSERT_EQ(waitpid(pid, &status, WUNTRACED), pid);
    if (number == SIGKILL) {
      EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
      continue;
    }
    EXPECT_TRUE(WIFSTOPPED(status));
    kill(pid, SIGCONT);
    ASSERT_EQ(waitpid(pid, &status, 0), pid);
    EXPECT_EQ(WEXITSTATUS(status), 7);
  }
}

TEST_F(FailpointTest, NamesAreDistinctAndArmable) {
  const std::set<std::string_view> names(FailpointNames().begin(), FailpointNames().end());
  EXPECT_EQ(names.size(), FailpointNames().size());
  for (const std::string_view name : names) EXPECT_TRUE(Arm(absl::StrCat(std::string(name), "=pause@9")).ok()) << name;
}

TEST_F(FailpointTest, MistakesAreRefusedWithWhatIsAllowedAndArmNothing) {
  const auto refused = [](std::string_view setting, std::string_view expected) {
    const absl::Status status = Arm(setting);
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << setting;
    EXPECT_TRUE(absl::StrContains(status.message(), "WALLABY_FAILPOINTS")) << status;
    EXPECT_TRUE(absl::StrContains(status.message(), std::string(expected))) << status;
  };
  refused("checkpoint.putt=crash", "checkpoint.put.before");
  refused("checkpoint.put.before", "name=crash@3");
  refused("checkpoint.put.before=explode", "error:CODE");
  refused("checkpoint.put.before=error:sad", "unavailable");
  refused("checkpoint.put.before=error", "error:CODE");
  refused("checkpoint.put.before=delay:soon", "duration");
  refused("checkpoint.put.before=crash@often", "@every3");
  refused("checkpoint.put.before=crash@0", "@every3");
  refused("checkpoint.put.before=crash@1in4:x", "seed");
  refused("destination.write=crash,destination.write=crash", "twice");
  refused("destination.write=crash,", "no failpoint ''");
  refused("destination.write=error:internal,checkpoint.putt=crash", "putt");
  EXPECT_EQ(Pattern(1, Failpoint::kDestinationWrite), ".");
}

}  // namespace
}  // namespace wallaby
