#include "telemetry/log.h"

#include "gtest/gtest.h"

namespace wallaby {
namespace {

TEST(LogTest, OneJsonObjectWithTheFixedFieldsFirst) {
  EXPECT_EQ(
      FormatLogLine(LogLevel::kWarn, "2026-01-02T03:04:05.000006Z", "shop", "paused", {{"reason", "ddl_pending"}}),
      R"({"app":"wallaby","level":"warn","ts":"2026-01-02T03:04:05.000006Z","flow_id":"shop","msg":"paused",)"
      R"("reason":"ddl_pending"})");
}

TEST(LogTest, NoFlowIdWhenNoneIsKnownAndAFieldWins) {
  EXPECT_EQ(FormatLogLine(LogLevel::kInfo, "t", "", "m", {}), R"({"app":"wallaby","level":"info","ts":"t","msg":"m"})");
  EXPECT_EQ(FormatLogLine(LogLevel::kInfo, "t", "a", "m", {{"flow_id", "b"}}),
            R"({"app":"wallaby","level":"info","ts":"t","flow_id":"b","msg":"m"})");
}

TEST(LogTest, EscapesWhatWouldBreakALine) {
  EXPECT_EQ(FormatLogLine(LogLevel::kInfo, "t", "", "a\"b\\c\nd\te\x01", {}),
            R"({"app":"wallaby","level":"info","ts":"t","msg":"a\"b\\c\nd\te\u0001"})");
}

TEST(LogTest, KeepsUtf8AndReplacesWhatIsNot) {
  EXPECT_EQ(FormatLogLine(LogLevel::kInfo, "t", "", "gr\xC3\xBC\xC3\x9F \xF0\x9F\x90\xA8 \xFF\xC3", {}),
            "{\"app\":\"wallaby\",\"level\":\"info\",\"ts\":\"t\",\"msg\":\"gr\xC3\xBC\xC3\x9F \xF0\x9F\x90\xA8 "
            "\\ufffd\\ufffd\"}");
}

TEST(LogTest, OneWriteForEachLine) {
  testing::internal::CaptureStderr();
  Log(LogLevel::kDebug, "hidden");
  SetLogFlowId("shop");
  Log(LogLevel::kError, "seen", {{"k", "v"}});
  const std::string out = testing::internal::GetCapturedStderr();
  EXPECT_EQ(out.find("hidden"), std::string::npos);
  EXPECT_NE(out.find(R"("flow_id":"shop","msg":"seen","k":"v"})"
                     "\n"),
            std::string::npos)
      << out;
}

}  // namespace
}  // namespace wallaby
