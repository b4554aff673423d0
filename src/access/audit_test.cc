#include "access/audit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "access/denied_lines.h"
#include "telemetry/log.h"

namespace wallaby {
namespace {

using testing::SizeIs;
using Line = std::map<std::string, std::string>;

class Lines : public LogSink {
 public:
  Lines() { SetLogSink(this); }
  ~Lines() override { SetLogSink(nullptr); }
  void Write(LogLevel, std::string_view, std::string_view msg, LogFields fields) override {
    Line& line = lines.emplace_back();
    line["msg"] = std::string(msg);
    for (const auto& [name, value] : fields) line[std::string(name)] = value;
  }
  std::vector<Line> lines;
};

AuditRecord Denied(std::string who) {
  AuditRecord record;
  record.who = std::move(who);
  record.method = "/wallaby.v1.FlowService/DeleteFlow";
  record.status = "unauthenticated";
  record.denied = true;
  return record;
}

int64_t LeftOut(const Line& line) {
  int64_t count = 0;
  const auto found = line.find("left_out");
  return found != line.end() && absl::SimpleAtoi(found->second, &count) ? count : 0;
}

TEST(Audit, IdsThatCanBeNoneAreCut) {
  AuditRecord record;
  record.who = "ops";
  Lines log;
  for (const std::string& id : {std::string(63, 'a'), std::string(3'000'000, 'a'), std::string("a b\n\xff\"x"),
                                std::string(3'000'000, '\x01'), std::string()}) {
    record.flow_id = id;
    Audit(record, false);
  }
  record.method = "GET /" + std::string(20'000, 'x');
  Audit(record, false);
  ASSERT_THAT(log.lines, SizeIs(6));
  EXPECT_EQ(log.lines[0]["flow_id"], std::string(63, 'a'));
  EXPECT_EQ(log.lines[1]["flow_id"], std::string(63, 'a') + "...");
  EXPECT_EQ(log.lines[2]["flow_id"], "a b\\n\\xff\\\"x");
  EXPECT_LT(log.lines[3]["flow_id"].size(), 300u);
  EXPECT_EQ(log.lines[4]["flow_id"], "");
  EXPECT_LT(log.lines[5]["method"].size(), 300u);
}

// In one test, as the lines are counted for the whole process.
TEST(Audit, DeniedLinesAreBoundedAndCounted) {
  constexpr int kCalls = 5000;
  Lines log;
  for (int i = 0; i < kCalls; ++i) Audit(Denied("anonymous"), false);
  AuditLeftOut();
  const size_t strangers = log.lines.size();
  EXPECT_LT(strangers, static_cast<size_t>(kCalls));
  int64_t told = 0, written = 0;
  for (const Line& line : log.lines) {
    told += LeftOut(line);
    written += line.at("msg") == "audit" ? 1 : 0;
  }
  EXPECT_EQ(told + written, kCalls);
  // Those with a token have lines of their own, and what was done is always told.
  Audit(Denied("ops"), false);
  EXPECT_THAT(log.lines, SizeIs(strangers + 1));
  AuditRecord done;
  done.who = "ops";
  for (int i = 0; i < kCalls; ++i) Audit(done, false);
  EXPECT_THAT(log.lines, SizeIs(strangers + 1 + kCalls));
  // Told once.
  AuditLeftOut();
  EXPECT_THAT(log.lines, SizeIs(strangers + 1 + kCalls));
}

}  // namespace
}  // namespace wallaby
