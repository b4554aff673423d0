// wallaby-admin trace check, as a script would use it.
#include "cli/program_test_base.h"
#include "gmock/gmock.h"

namespace wallaby {
namespace {

using testing::HasSubstr;

using TraceCommandsTest = ProgramTest;

constexpr char kGood[] =
    R"({"flow_id":"shop","generation":1,"spec_action":"CrashRestore","lsn":"0/10","destination.lake":"0/10"}
{"flow_id":"shop","generation":1,"spec_action":"ReadBatch","lsn":"0/20"}
{"flow_id":"shop","generation":1,"spec_action":"Deliver","lsn":"0/20","destination":"lake"}
{"flow_id":"shop","generation":1,"spec_action":"Checkpoint","lsn":"0/20"}
)";

TEST_F(TraceCommandsTest, AGoodTrace) {
  const Ran ran = Admin({"trace", "check", "-file", WriteFile("good.jsonl", kGood)});
  EXPECT_EQ(ran.status, 0) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("4 events of 1 flow"));
  EXPECT_THAT(ran.out, HasSubstr("Checkpoint 1"));
}

TEST_F(TraceCommandsTest, TheFirstViolationWithItsLine) {
  const std::string bad = std::string(kGood) +
                          R"({"flow_id":"shop","generation":1,"spec_action":"Acknowledge","lsn":"0/21"})"
                          "\n";
  const Ran ran = Admin({"trace", "check", "-file", WriteFile("bad.jsonl", bad)});
  EXPECT_EQ(ran.status, 1);
  EXPECT_THAT(ran.err, HasSubstr("line 5: acknowledged 0/21, but the checkpoint is 0/20"));
}

TEST_F(TraceCommandsTest, WhatCannotBeRead) {
  EXPECT_EQ(Admin({"trace", "check"}).status, 2);
  const Ran ran = Admin({"trace", "check", "-file", "/nonexistent.jsonl"});
  EXPECT_EQ(ran.status, 1);
  EXPECT_THAT(ran.err, HasSubstr("/nonexistent.jsonl"));
}

}  // namespace
}  // namespace wallaby
