// The checker with good traces, and with one trace for each rule that breaks it and nothing else.
#include "telemetry/trace_check.h"

#include <sstream>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"

namespace wallaby {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

std::string Line(std::string_view action, std::string_view lsn = "", std::string_view more = "", int generation = 1,
                 std::string_view flow = "shop") {
  return absl::StrCat(R"({"ts":"2026-01-02T03:04:05Z","flow_id":")", flow, R"(","generation":)", generation,
                      R"(,"spec_action":")", action, R"(","flow_state":"Running")", lsn.empty() ? "" : R"(,"lsn":")",
                      lsn, lsn.empty() ? "" : "\"", more.empty() ? "" : ",", more, "}");
}
std::string Restore(std::string_view checkpoint, std::string_view lake, std::string_view copy, int generation = 1) {
  return Line("CrashRestore", checkpoint,
              absl::StrCat(R"("destination.lake":")", lake, R"(","destination.copy":")", copy, "\""), generation);
}
std::string Deliver(std::string_view lsn, std::string_view destination, int generation = 1) {
  return Line("Deliver", lsn, absl::StrCat(R"("destination":")", destination, "\""), generation);
}

absl::StatusOr<TraceSummary> Check(const std::vector<std::string>& lines) {
  std::istringstream in(absl::StrCat(absl::StrJoin(lines, "\n"), "\n"));
  return CheckTrace(in);
}

// The last line is the one that breaks the model, and without it the trace is fine.
void ExpectLastLineBreaks(std::vector<std::string> lines, std::string_view says) {
  const auto broken = Check(lines);
  EXPECT_EQ(broken.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(broken.status().message()),
              testing::AllOf(StartsWith(absl::StrCat("line ", lines.size(), ": ")), HasSubstr(says)));
  lines.pop_back();
  EXPECT_TRUE(Check(lines).ok()) << Check(lines).status();
}

const std::vector<std::string> kBegin = {Line("Start"), Restore("0/10", "0/10", "0/10")};

std::vector<std::string> After(std::vector<std::string> lines, const std::vector<std::string>& more) {
  lines.insert(lines.end(), more.begin(), more.end());
  return lines;
}

TEST(TraceCheckTest, AnOrdinaryRunWithACrash) {
  const auto summary = Check(After(
      kBegin, {Line("ReadBatch", "0/20"), Deliver("0/20", "lake"), Line("ReadBatch", "0/30"), Deliver("0/20", "copy"),
               Line("Checkpoint", "0/20"), Line("Acknowledge", "0/20"), Deliver("0/30", "lake"),
               // The second destination had not got 0/30: it is read again.
               Line("Start", "", "", 2), Restore("0/20", "0/30", "0/20", 2), Line("ReadBatch", "0/30", "", 2),
               Deliver("0/30", "copy", 2), Line("Checkpoint", "0/30", "", 2), Line("Acknowledge", "0/30", "", 2),
               // Idle: the server is further than anything that was read.
               Line("Checkpoint", "0/99", "", 2), Line("Acknowledge", "0/99", "", 2), Line("Stop", "", "", 2)}));
  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_EQ(summary->events, 18);
  EXPECT_EQ(summary->flows, 1u);
  EXPECT_EQ(summary->counts.at("Checkpoint"), 3);
}

TEST(TraceCheckTest, FlowsAreApart) {
  EXPECT_TRUE(Check(After(kBegin, {Line("Start", "", "", 9, "other"),
                                   Line("CrashRestore", "0/1", R"("destination.x":"0/1")", 9, "other"),
                                   Line("ReadBatch", "0/2", "", 9, "other"), Line("Checkpoint", "0/50")}))
                  .ok());
}

TEST(TraceCheckTest, CheckpointPassesDelivery) {
  ExpectLastLineBreaks(After(kBegin, {Line("ReadBatch", "0/20"), Deliver("0/20", "lake"), Line("Checkpoint", "0/20")}),
                       "passes 0/20, which is not delivered to copy");
  // Also when it goes to a place that nothing was read at.
  ExpectLastLineBreaks(After(kBegin, {Line("ReadBatch", "0/20"), Deliver("0/20", "copy"), Line("Checkpoint", "0/99")}),
                       "not delivered to lake");
  ExpectLastLineBreaks({Line("CrashRestore", "0/10"), Line("ReadBatch", "0/20"), Line("Checkpoint", "0/20")},
                       "delivered nowhere");
}

TEST(TraceCheckTest, AcknowledgementPassesCheckpoint) {
  ExpectLastLineBreaks(After(kBegin, {Line("ReadBatch", "0/20"), Deliver("0/20", "lake"), Deliver("0/20", "copy"),
                                      Line("Acknowledge", "0/20")}),
                       "acknowledged 0/20, but the checkpoint is 0/10");
  // Also by a worker that was taken over.
  ExpectLastLineBreaks(After(kBegin, {Line("Start", "", "", 2), Line("Acknowledge", "0/20", "", 1)}),
                       "the checkpoint is 0/10");
}

TEST(TraceCheckTest, NothingPassesAGateUntilResume) {
  const std::vector<std::string> gated =
      After(kBegin, {Line("ReadBatch", "0/20"), Line("ReadDDL", "0/21"), Deliver("0/20", "lake")});
  ExpectLastLineBreaks(After(gated, {Line("ReadBatch", "0/30"), Deliver("0/30", "lake")}), "past the gate at 0/21");
  ExpectLastLineBreaks(After(gated, {Deliver("0/20", "copy"), Line("Checkpoint", "0/30")}), "past the gate at 0/21");
  // Neither does the next worker, as long as nobody resumed the flow.
  ExpectLastLineBreaks(
      After(gated, {Deliver("0/20", "copy"), Line("Pause"), Line("Stop"), Line("Start", "", "", 2),
                    Restore("0/20", "0/20", "0/20", 2), Line("ReadBatch", "0/30", "", 2), Deliver("0/30", "lake", 2)}),
      "past the gate");
  EXPECT_TRUE(
      Check(After(gated, {Deliver("0/20", "copy"), Line("Pause"), Line("Resume", "", "", 0), Line("ReadBatch", "0/30"),
                          Deliver("0/30", "lake"), Deliver("0/30", "copy"), Line("Checkpoint", "0/30")}))
          .ok());
}

TEST(TraceCheckTest, PositionsGoBack) {
  const std::vector<std::string> run =
      After(kBegin, {Line("ReadBatch", "0/20"), Deliver("0/20", "lake"), Deliver("0/20", "copy"),
                     Line("Checkpoint", "0/20"), Line("Acknowledge", "0/20")});
  ExpectLastLineBreaks(After(run, {Line("ReadBatch", "0/19")}), "reading went back");
  ExpectLastLineBreaks(After(run, {Deliver("0/19", "lake")}), "delivery went back");
  ExpectLastLineBreaks(After(run, {Line("Checkpoint", "0/19")}), "checkpoint went back");
  ExpectLastLineBreaks(After(run, {Line("Acknowledge", "0/19")}), "acknowledgement went back");
  ExpectLastLineBreaks(After(run, {Line("Start", "", "", 3), Line("Start", "", "", 2)}), "generations went back");
}

TEST(TraceCheckTest, WhatWasDurableIsFoundAgain) {
  const std::vector<std::string> run =
      After(kBegin, {Line("ReadBatch", "0/20"), Deliver("0/20", "lake"), Deliver("0/20", "copy"),
                     Line("Checkpoint", "0/20"), Line("Acknowledge", "0/20"), Line("Start", "", "", 2)});
  ExpectLastLineBreaks(After(run, {Restore("0/20", "0/18", "0/20", 2)}), "destination lake holds changes up to 0/18");
  ExpectLastLineBreaks(After(run, {Restore("0/18", "0/20", "0/20", 2)}), "told to forget");
  EXPECT_TRUE(
      Check(After(run, {Line("CrashRestore", "0/5", R"("mode":"backfill","destination.lake":"0/0")", 2)})).ok());
}

TEST(TraceCheckTest, ATakenOverWorkersLinesMoveNothing) {
  EXPECT_TRUE(
      Check(After(kBegin, {Line("ReadBatch", "0/20"), Line("Start", "", "", 2), Restore("0/10", "0/10", "0/10", 2),
                           Deliver("0/20", "lake", 1), Line("ReadBatch", "0/15", "", 2)}))
          .ok());
}

TEST(TraceCheckTest, LinesThatAreNoEvents) {
  for (const std::string line :
       {"{", "7", "{}", R"({"flow_id":"a","spec_action":"Stop"})", R"({"flow_id":1,"spec_action":"Stop"})",
        R"({"flow_id":"a","generation":1,"spec_action":"Fly"})",
        R"({"flow_id":"a","generation":1,"spec_action":"Checkpoint","lsn":"x"})",
        R"({"flow_id":"a","generation":1,"spec_action":"Deliver","lsn":"0/1"})",
        R"({"flow_id":"a","generation":1,"spec_action":"CrashRestore","destination.x":5})"}) {
    const auto checked = Check({Line("Start"), line});
    EXPECT_EQ(checked.status().code(), absl::StatusCode::kInvalidArgument) << line;
    EXPECT_THAT(std::string(checked.status().message()), StartsWith("line 2: ")) << line;
  }
}

}  // namespace
}  // namespace wallaby
