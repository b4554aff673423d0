#include "pipeline/spool_budget.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "pipeline/spool_meter.h"
#include "spool/spool_cursor.h"
#include "spool/test_log.h"

namespace wallaby {
namespace {

using spool::InsertMessage;
using spool::Transaction;

class SpoolBudgetTest : public spool::SpoolTest {
 protected:
  SpoolBudgetTest() {
    options_.segment_bytes = 64 << 10;
    store_ = Value(OpenSqliteStore(options_.root + "/store.db"));
    options_.root += "/spools";
  }

  // A flow in `running`, whose cursor is at `at`.
  void AddFlow(const std::string& id, uint64_t at, std::map<std::string, std::string> options = {}) {
    Flow flow;
    flow.id = flow.name = id;
    flow.source = {"src", "postgres", {{"dsn", "host=h"}, {"slot", "orders"}, {"publication", "pub"}}};
    flow.source.options.merge(options);
    flow.destinations = {{"lake", "duckdb", {{"dsn", "/data/x.duckdb"}}}};
    ASSERT_TRUE(store_->CreateFlow(flow).ok());
    ASSERT_TRUE(store_->Transition(id, {}, FlowState::kRunning, "").ok());
    Value(SpoolCursor::Register(options_, name_, id, Lsn{at}));
  }

  // Transactions of 32 KiB, whose commit records stand at 1000, 2000, ...
  void Fill(SpoolWriter& writer, int first, int last) {
    for (int n = first; n <= last; ++n) {
      Append(writer, Transaction(1000 * n, {InsertMessage(1, std::string(32 << 10, 'x'))}));
    }
    ASSERT_TRUE(writer.Sync().ok());
  }

  bool MakeRoom(SpoolWriter& writer) {
    SpoolBudget budget(store_.get(), options_, name_, policy_);
    bool room = Value(budget.MakeRoom(writer, absl::Seconds(100)));
    if (!room && !patient_) room = Value(budget.MakeRoom(writer, absl::Seconds(111)));
    why_ = budget.why_full();
    return room;
  }
  FlowState State(const std::string& id) { return store_->GetFlow(id)->state; }

  std::unique_ptr<ControlStore> store_;
  SpoolPolicy policy_ = SpoolPolicy::kHold;
  std::string why_;
  bool patient_ = false;
};

TEST_F(SpoolBudgetTest, WhatEveryFlowIsPastGoes) {
  const auto writer = Writer();
  AddFlow("a", 100);
  AddFlow("b", 100);
  Fill(*writer, 1, 20);
  const int64_t full = writer->bytes();
  EXPECT_TRUE(MakeRoom(*writer));
  EXPECT_EQ(writer->bytes(), full);
  Value(SpoolCursor::Register(options_, name_, "a", Lsn{20008}));
  EXPECT_TRUE(MakeRoom(*writer));
  EXPECT_EQ(writer->bytes(), full);
  Value(SpoolCursor::Register(options_, name_, "b", Lsn{10008}));
  EXPECT_TRUE(MakeRoom(*writer));
  EXPECT_LT(writer->bytes(), full);
  EXPECT_LE(writer->begin(), Lsn{10008});
  EXPECT_EQ(why_, "");
}

TEST_F(SpoolBudgetTest, AFlowThatWasDeletedHoldsNothing) {
  const auto writer = Writer();
  AddFlow("a", 20008);
  AddFlow("gone", 100);
  Fill(*writer, 1, 20);
  ASSERT_TRUE(store_->DeleteFlow("gone").ok());
  EXPECT_TRUE(MakeRoom(*writer));
  EXPECT_GT(writer->begin(), Lsn{100});
  EXPECT_EQ(SpoolCursors(options_, name_)->size(), 1u);
}

TEST_F(SpoolBudgetTest, AtTheLimitTheSlotIsHeld) {
  options_.limit = 512 << 10;
  const auto writer = Writer();
  AddFlow("a", 100);
  Fill(*writer, 1, 20);
  EXPECT_FALSE(MakeRoom(*writer));
  EXPECT_TRUE(absl::StartsWith(why_, "flow a holds ")) << why_;
  EXPECT_TRUE(absl::StrContains(why_, "512 KiB (WALLABY_SPOOL_LIMIT)")) << why_;
  EXPECT_EQ(State("a"), FlowState::kRunning);
  Value(SpoolCursor::Register(options_, name_, "a", Lsn{20008}));
  EXPECT_TRUE(MakeRoom(*writer));
}

TEST_F(SpoolBudgetTest, AtTheLimitTheFlowThatHoldsMostFails) {
  options_.limit = 512 << 10;
  policy_ = SpoolPolicy::kFail;
  const auto writer = Writer();
  AddFlow("slow", 100);
  AddFlow("quick", 20008);
  Fill(*writer, 1, 20);
  patient_ = true;
  EXPECT_FALSE(MakeRoom(*writer));
  EXPECT_EQ(State("slow"), FlowState::kRunning);
  patient_ = false;
  EXPECT_TRUE(MakeRoom(*writer));
  EXPECT_EQ(State("slow"), FlowState::kFailed);
  EXPECT_TRUE(absl::StrContains(store_->GetFlow("slow")->reason, "wallaby-worker -flow-id slow -mode backfill"));
  EXPECT_EQ(State("quick"), FlowState::kRunning);
  EXPECT_EQ(SpoolCursors(options_, name_)->count("slow"), 0u);
}

TEST_F(SpoolBudgetTest, AFlowsOwnLimitAndPolicyCount) {
  const auto writer = Writer();
  AddFlow("small", 100, {{"spool_limit", "128KiB"}, {"spool_policy", "fail"}});
  AddFlow("large", 100);
  Fill(*writer, 1, 20);
  EXPECT_TRUE(MakeRoom(*writer));
  EXPECT_EQ(State("small"), FlowState::kFailed);
  EXPECT_EQ(State("large"), FlowState::kRunning);
}

TEST_F(SpoolBudgetTest, ADestinationAtItsOwnPaceHoldsAndIsGivenUpAlone) {
  const auto writer = Writer();
  AddFlow("a", 20008, {{"spool_limit", "128KiB"}});
  const std::string lane = LaneCursorId("a", "lake");
  Value(SpoolCursor::Register(options_, name_, lane, Lsn{100}));
  Value(SpoolCursor::Register(options_, name_, LaneCursorId("a", "taken_out"), Lsn{50}));
  Fill(*writer, 1, 20);
  EXPECT_FALSE(MakeRoom(*writer));
  EXPECT_TRUE(absl::StartsWith(why_, "destination lake of flow a holds ")) << why_;
  EXPECT_EQ(writer->begin(), Lsn{100});
  policy_ = SpoolPolicy::kFail;
  EXPECT_TRUE(MakeRoom(*writer));
  EXPECT_EQ(State("a"), FlowState::kRunning);
  EXPECT_TRUE(absl::StrContains(store_->GetFlow("a")->last_error, "wallaby-worker -flow-id a -mode backfill"));
  EXPECT_EQ(SpoolCursors(options_, name_)->size(), 1u);
  // A flow that goes, goes with those of its destinations.
  Value(SpoolCursor::Register(options_, name_, lane, Lsn{100}));
  ASSERT_TRUE(ForgetFlowInSpools(options_.root, "a").ok());
  EXPECT_TRUE(SpoolCursors(options_, name_)->empty());
}

TEST_F(SpoolBudgetTest, TheMeterTellsWhenItWillBeFull) {
  options_.limit = 10 << 20;
  const auto writer = Writer();
  SpoolMeter meter(options_, /*own_limit=*/0);
  Fill(*writer, 1, 10);
  const SpoolFigures first = Value(meter.Measure(name_, Lsn{100}, absl::Seconds(100)));
  EXPECT_EQ(first.limit, 10 << 20);
  EXPECT_GT(first.behind, 10 * (32 << 10));
  EXPECT_GE(first.size, first.behind);
  EXPECT_FALSE(first.full_in.has_value());
  Fill(*writer, 11, 20);
  const SpoolFigures second = Value(meter.Measure(name_, Lsn{100}, absl::Seconds(110)));
  ASSERT_TRUE(second.full_in.has_value());
  // A third of a megabyte in ten seconds.
  EXPECT_GT(*second.full_in, absl::Minutes(4));
  EXPECT_LT(*second.full_in, absl::Minutes(6));
  EXPECT_FALSE(Value(meter.Measure(name_, Lsn{100}, absl::Seconds(200))).full_in.has_value());
  // Who has everything holds nothing, however the last segment grows.
  Fill(*writer, 21, 30);
  const SpoolFigures caught_up = Value(meter.Measure(name_, writer->end(), absl::Seconds(210)));
  EXPECT_EQ(caught_up.behind, 0);
  EXPECT_GT(caught_up.size, 0);
  EXPECT_FALSE(caught_up.full_in.has_value());
}

}  // namespace
}  // namespace wallaby
