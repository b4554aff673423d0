#include "cli/flags.h"

#include "gtest/gtest.h"

namespace wallaby {
namespace {

class FlagsTest : public testing::Test {
 protected:
  FlagsTest() : flags_("prog do", "does a thing") {
    flags_.String("flow-id", &flow_id_, "ID", "the flow");
    flags_.Int("max", &max_, "N", "how many");
    flags_.Bool("start", &start_, "start at once");
    flags_.Duration("timeout", &timeout_, "how long");
    flags_.List("tables", &tables_, "T,...", "the tables");
  }

  std::optional<int> Parse(const std::vector<std::string>& args) {
    testing::internal::CaptureStderr();
    testing::internal::CaptureStdout();
    const std::optional<int> status = flags_.Parse(args);
    error_ = testing::internal::GetCapturedStderr();
    output_ = testing::internal::GetCapturedStdout();
    return status;
  }

  std::string flow_id_;
  int max_ = 10;
  bool start_ = false;
  absl::Duration timeout_ = absl::Seconds(30);
  std::vector<std::string> tables_;
  Flags flags_;
  std::string error_, output_;
};

TEST_F(FlagsTest, OneDashOrTwoWithBlankOrEquals) {
  EXPECT_EQ(Parse({"-flow-id", "a", "--max=3", "--timeout", "200ms", "-tables=a.b, c.d", "--tables", "e.f"}),
            std::nullopt);
  EXPECT_EQ(flow_id_, "a");
  EXPECT_EQ(max_, 3);
  EXPECT_EQ(timeout_, absl::Milliseconds(200));
  EXPECT_EQ(tables_, (std::vector<std::string>{"a.b", "c.d", "e.f"}));
  EXPECT_TRUE(flags_.Given("max"));
  EXPECT_FALSE(flags_.Given("start"));
}

TEST_F(FlagsTest, BooleansStandAloneOrTakeAValue) {
  EXPECT_EQ(Parse({"-start", "-max", "1"}), std::nullopt);
  EXPECT_TRUE(start_);
  EXPECT_EQ(Parse({"-start=false"}), std::nullopt);
  EXPECT_FALSE(start_);
  EXPECT_EQ(Parse({"--start", "true"}), std::nullopt);
  EXPECT_TRUE(start_);
  EXPECT_EQ(Parse({"-start", "false"}), std::nullopt);
  EXPECT_FALSE(start_);
}

TEST_F(FlagsTest, ValuesMayBeginWithADashUnlessTheyAreFlags) {
  EXPECT_EQ(Parse({"-max", "-5", "-flow-id", "-x"}), std::nullopt);
  EXPECT_EQ(max_, -5);
  EXPECT_EQ(flow_id_, "-x");
  EXPECT_EQ(Parse({"-flow-id", "-start"}), kExitUsage);
  EXPECT_EQ(error_, "prog do: flag -flow-id needs a value: -flow-id ID; see prog do -help\n");
  EXPECT_EQ(Parse({"-flow-id"}), kExitUsage);
}

TEST_F(FlagsTest, MistakesAreNamed) {
  EXPECT_EQ(Parse({"-flowid", "a"}), kExitUsage);
  EXPECT_EQ(error_, "prog do: unknown flag -flowid; did you mean -flow-id?; see prog do -help\n");
  EXPECT_EQ(Parse({"-zzzzzz"}), kExitUsage);
  EXPECT_EQ(error_, "prog do: unknown flag -zzzzzz; see prog do -help\n");
  EXPECT_EQ(Parse({"-max", "many"}), kExitUsage);
  EXPECT_NE(error_.find("flag -max: got 'many'"), std::string::npos);
  EXPECT_EQ(Parse({"-timeout", "soon"}), kExitUsage);
  EXPECT_EQ(Parse({"extra"}), kExitUsage);
  EXPECT_NE(error_.find("unexpected argument 'extra'"), std::string::npos);
}

TEST_F(FlagsTest, RequiredFlagsAndPositionals) {
  flags_.Require("flow-id");
  EXPECT_EQ(Parse({"-max", "2"}), kExitUsage);
  EXPECT_EQ(error_, "prog do: flag -flow-id is missing: -flow-id ID; see prog do -help\n");
  flags_.AllowPositional(2, "[WHAT]");
  EXPECT_EQ(Parse({"one", "-flow-id=a", "--", "-max"}), std::nullopt);
  EXPECT_EQ(flags_.positional(), (std::vector<std::string>{"one", "-max"}));
}

TEST_F(FlagsTest, HelpIsAlignedAndShowsDefaults) {
  flags_.Require("flow-id");
  EXPECT_EQ(Parse({"-h"}), kExitDone);
  EXPECT_EQ(output_,
            "Usage: prog do -flow-id ID [flags]\n"
            "does a thing\n"
            "\n"
            "Flags:\n"
            "  -flow-id ID        the flow (required)\n"
            "  -max N             how many (default 10)\n"
            "  -start             start at once\n"
            "  -timeout DURATION  how long (default 30s)\n"
            "  -tables T,...      the tables\n"
            "  -h, -help          this page\n"
            "  -version           print the version\n");
  EXPECT_EQ(Parse({"--help"}), kExitDone);
  EXPECT_EQ(Parse({"-version"}), kExitDone);
  EXPECT_EQ(output_, "prog " + std::string(WallabyVersion()) + "\n");
}

TEST(NearestWordTest, FindsTyposAndAbbreviations) {
  const std::vector<std::string> known = {"create", "update", "get", "list", "run-once"};
  EXPECT_EQ(NearestWord("crate", known), "create");
  EXPECT_EQ(NearestWord("run", known), "run-once");
  EXPECT_EQ(NearestWord("lst", known), "list");
  EXPECT_EQ(NearestWord("frobnicate", known), "");
}

}  // namespace
}  // namespace wallaby
