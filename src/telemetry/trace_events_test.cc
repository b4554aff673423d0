#include "telemetry/trace_events.h"

#include <unistd.h>

#include <fstream>
#include <map>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "telemetry/trace.h"
#include "telemetry/trace_check.h"

namespace wallaby {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// Keeps what happens to its spans, as text.
class RecordingTracer final : public Tracer {
 public:
  class Recorded final : public LiveSpan {
   public:
    Recorded(RecordingTracer* tracer, std::string name) : tracer_(tracer), name_(std::move(name)) {}
    ~Recorded() override { tracer_->seen.push_back("end " + name_); }
    void Set(std::string_view key, int64_t value) override {
      tracer_->seen.push_back(absl::StrCat(name_, " ", key, "=", value));
    }
    void Set(std::string_view key, std::string_view value) override {
      tracer_->seen.push_back(absl::StrCat(name_, " ", key, "=", value));
    }
    void AddEvent(std::string_view name, SpanAttributes attributes) override {
      std::string line = absl::StrCat(name_, " event ", name);
      for (const auto& [key, value] : attributes) absl::StrAppend(&line, " ", key, "=", value);
      tracer_->seen.push_back(line);
    }
    void SetError(std::string_view message) override { tracer_->seen.push_back(absl::StrCat(name_, " ! ", message)); }

   private:
    RecordingTracer* const tracer_;
    const std::string name_;
  };

  std::unique_ptr<LiveSpan> Start(std::string_view name, const LiveSpan* parent, absl::Time) override {
    seen.push_back(absl::StrCat("begin ", name, parent == nullptr ? "" : " below another"));
    return std::make_unique<Recorded>(this, std::string(name));
  }

  std::vector<std::string> seen;
};

class TraceTest : public testing::Test {
 protected:
  ~TraceTest() override { SetTracer(nullptr); }
  RecordingTracer tracer_;
};

TEST_F(TraceTest, WithoutATracerNothingIsRecorded) {
  Span span("source.read");
  EXPECT_FALSE(span);
  span.Set("records", 1);
  span.AddEvent("x", {});
  EXPECT_FALSE(IsTracing());
}

TEST_F(TraceTest, SpansNestMoveAndEnd) {
  SetTracer(&tracer_);
  {
    Span batch("stream.batch");
    Span moved = std::move(batch);
    Span read("source.read", &moved);
    read.Set("records", 3);
    read.End();
  }
  EXPECT_THAT(tracer_.seen, ElementsAre("begin stream.batch", "begin source.read below another",
                                        "source.read records=3", "end source.read", "end stream.batch"));
}

TEST_F(TraceTest, AGateIsAnEventOfTheThreadsSpan) {
  SetTracer(&tracer_);
  {
    Span span("source.read");
    const SpanScope scope(&span);
    TraceDdlGate("shop", 4, Lsn{0x20}, "ALTER TABLE a ADD b int");
  }
  EXPECT_THAT(tracer_.seen, ElementsAre("begin source.read",
                                        "source.read event ddl.gated spec_action=ReadDDL flow_state=Paused "
                                        "flow_id=shop lsn=0/20",
                                        "end source.read"));
  tracer_.seen.clear();
  TraceDdlGate("shop", 4, Lsn{0x20}, "ALTER TABLE a ADD b int");
  ASSERT_EQ(tracer_.seen.size(), 3u);
  EXPECT_THAT(tracer_.seen[1], HasSubstr("stream.batch event ddl.gated"));
  EXPECT_EQ(SpanScope::Current(), nullptr);
}

class TraceFileTest : public testing::Test {
 protected:
  TraceFileTest() : path_(absl::StrCat(testing::TempDir(), "/trace-", getpid(), ".jsonl")) { unlink(path_.c_str()); }
  ~TraceFileTest() override {
    close(trace_internal::events_file.exchange(-1));
    unlink(path_.c_str());
  }
  std::vector<std::string> Lines() {
    std::ifstream in(path_);
    std::vector<std::string> lines;
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    return lines;
  }
  const std::string path_;
};

TEST_F(TraceFileTest, OffUntilOpened) {
  TraceEvent(spec::kPause, "Paused", {});
  EXPECT_FALSE(IsTracingEvents());
  ASSERT_TRUE(OpenTraceFile("").ok());
  EXPECT_FALSE(IsTracingEvents());
  EXPECT_THAT(std::string(OpenTraceFile("/nonexistent/trace").message()), HasSubstr("WALLABY_TRACE_PATH"));
}

TEST_F(TraceFileTest, LinesAreAppendedAndChecked) {
  std::ofstream(path_) << R"({"ts":"t","flow_id":"old","generation":1,"spec_action":"Stop","flow_state":"x"})"
                       << "\n";
  ASSERT_TRUE(OpenTraceFile(path_).ok());
  SetTraceFlow("shop", 4);
  TraceEvent(spec::kDeliver, "Running", Lsn{0x1f}, {{"destination", "la\"ke"}, {"durable", "true"}});
  TraceDdlGate("shop", 4, Lsn{0x20}, "ALTER TABLE a\nADD b int");
  const auto lines = Lines();
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_THAT(lines[1], HasSubstr(R"("flow_id":"shop","generation":4,"spec_action":"Deliver","flow_state":"Running",)"
                                  R"("lsn":"0/1F","destination":"la\"ke","durable":"true"})"));
  EXPECT_THAT(lines[2], HasSubstr(R"("spec_action":"ReadDDL","flow_state":"Paused","lsn":"0/20","ddl":"ALTER TABLE )"
                                  R"(a\nADD b int"})"));
  std::ifstream in(path_);
  const auto checked = CheckTrace(in);
  ASSERT_TRUE(checked.ok()) << checked.status();
  EXPECT_EQ(checked->events, 3);
}

TEST_F(TraceFileTest, ThreadsDoNotMixTheirLines) {
  ASSERT_TRUE(OpenTraceFile(path_).ok());
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([t] {
      for (int i = 0; i < 200; ++i) {
        TraceFlowEvent(absl::StrCat("flow", t), 1, spec::kReadBatch, "Running", Lsn{static_cast<uint64_t>(i + 1)});
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::ifstream in(path_);
  const auto checked = CheckTrace(in);
  ASSERT_TRUE(checked.ok()) << checked.status();
  EXPECT_EQ(checked->events, 800);
  EXPECT_EQ(checked->flows, 4u);
}

}  // namespace
}  // namespace wallaby
