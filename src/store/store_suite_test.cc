#include <atomic>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "store/migrations.h"
#include "store/store_test_base.h"

namespace wallaby {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kKey[] = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

TEST_P(StoreTest, FlowsAreCreatedReadUpdatedAndDeleted) {
  const auto store = Open();
  Flow flow = TestFlow("a");
  flow.name = "N\xC3\xA4me 'quoted' \"twice\" $1 @x {now}";
  ASSERT_STATUS_OK(store->CreateFlow(flow));
  auto stored = store->GetFlow("a");
  ASSERT_TRUE(stored.ok()) << stored.status();
  EXPECT_EQ(stored->flow, flow);
  EXPECT_EQ(stored->state, FlowState::kCreated);
  EXPECT_EQ(stored->revision, 1);
  EXPECT_LT(absl::AbsDuration(absl::Now() - stored->updated_at), absl::Seconds(60));

  flow.name = "Other";
  flow.parallelism = 3;
  ASSERT_STATUS_OK(store->UpdateFlow(flow));
  stored = store->GetFlow("a");
  EXPECT_EQ(stored->flow, flow);
  EXPECT_EQ(stored->revision, 2);

  ASSERT_STATUS_OK(store->DeleteFlow("a"));
  EXPECT_FAILS(store->GetFlow("a").status(), kNotFound, "there is no flow 'a'");
  EXPECT_FAILS(store->DeleteFlow("a"), kNotFound, "'a'");
  EXPECT_FAILS(store->UpdateFlow(flow), kNotFound, "'a'");
}

TEST_P(StoreTest, IdsAndNamesAreUnique) {
  const auto store = Open();
  ASSERT_STATUS_OK(store->CreateFlow(TestFlow("a")));
  ASSERT_STATUS_OK(store->CreateFlow(TestFlow("b")));
  EXPECT_FAILS(store->CreateFlow(TestFlow("a")), kAlreadyExists, "flow 'a' already");
  Flow taken = TestFlow("c");
  taken.name = "Flow a";
  EXPECT_FAILS(store->CreateFlow(taken), kAlreadyExists, "in use by flow 'a'");
  taken.id = "b";
  EXPECT_FAILS(store->UpdateFlow(taken), kAlreadyExists, "in use by flow 'a'");
  EXPECT_FAILS(store->CreateFlow(Flow()), kInvalidArgument, "id");
}

TEST_P(StoreTest, ListIsInOrderOfIdByBytes) {
  const auto store = Open();
  for (const char* id : {"b", "a", "B", "a-1", "a.1", "a1", "Z"}) ASSERT_STATUS_OK(store->CreateFlow(TestFlow(id)));
  std::vector<std::string> ids;
  std::string after;
  for (;;) {
    const auto page = store->ListFlows(after, 2);
    ASSERT_TRUE(page.ok()) << page.status();
    if (page->empty()) break;
    ASSERT_LE(page->size(), 2u);
    for (const StoredFlow& flow : *page) ids.push_back(flow.flow.id);
    after = ids.back();
  }
  EXPECT_THAT(ids, ::testing::ElementsAre("B", "Z", "a", "a-1", "a.1", "a1", "b"));
  EXPECT_EQ(store->ListFlows("", 0)->size(), 7u);
}

TEST_P(StoreTest, TransitionsAreGuardedAndRemembered) {
  const auto store = Open();
  ASSERT_STATUS_OK(store->CreateFlow(TestFlow("a")));
  ASSERT_STATUS_OK(store->Transition("a", {FlowState::kCreated, FlowState::kStopped}, FlowState::kRunning, "start"));
  EXPECT_FAILS(store->Transition("a", {FlowState::kCreated}, FlowState::kRunning, ""), kFailedPrecondition,
               "flow 'a' is running");
  EXPECT_FAILS(store->Transition("x", {}, FlowState::kRunning, ""), kNotFound, "'x'");
  ASSERT_STATUS_OK(store->Transition("a", {}, FlowState::kFailed, "slot is gone"));
  auto stored = store->GetFlow("a");
  EXPECT_EQ(stored->state, FlowState::kFailed);
  EXPECT_EQ(stored->reason, "slot is gone");
  EXPECT_EQ(stored->last_error, "slot is gone");
  EXPECT_EQ(stored->revision, 3);
  ASSERT_STATUS_OK(store->SetLastError("a", "slot is gone, at length"));
  EXPECT_EQ(store->GetFlow("a")->last_error, "slot is gone, at length");
  ASSERT_STATUS_OK(store->Transition("a", {}, FlowState::kRunning, ""));
  EXPECT_EQ(store->GetFlow("a")->last_error, "");

  const auto events = store->StateEvents("a", 10);
  ASSERT_TRUE(events.ok()) << events.status();
  ASSERT_EQ(events->size(), 4u);
  EXPECT_EQ((*events)[0].from, FlowState::kUnspecified);
  EXPECT_EQ((*events)[0].to, FlowState::kCreated);
  EXPECT_EQ((*events)[2].from, FlowState::kRunning);
  EXPECT_EQ((*events)[2].reason, "slot is gone");
  const auto last = store->StateEvents("a", 1);
  ASSERT_EQ(last->size(), 1u);
  EXPECT_EQ((*last)[0].to, FlowState::kRunning);
  EXPECT_FAILS(store->StateEvents("x", 1).status(), kNotFound, "'x'");
  EXPECT_FAILS(store->SetLastError("x", ""), kNotFound, "'x'");
}

TEST_P(StoreTest, TotalsOfStateChangesOutliveTheFlows) {
  const auto store = Open();
  ASSERT_STATUS_OK(store->CreateFlow(TestFlow("a")));
  ASSERT_STATUS_OK(store->CreateFlow(TestFlow("b")));
  ASSERT_STATUS_OK(store->Transition("a", {}, FlowState::kRunning, ""));
  EXPECT_FALSE(store->Transition("a", {FlowState::kPaused}, FlowState::kStopped, "").ok());
  ASSERT_STATUS_OK(store->DeleteFlow("a"));
  const auto totals = store->StateChangeTotals();
  ASSERT_TRUE(totals.ok()) << totals.status();
  std::map<std::pair<FlowState, FlowState>, int64_t> counted;
  for (const StateChangeTotal& one : *totals) counted[{one.from, one.to}] = one.total;
  const std::map<std::pair<FlowState, FlowState>, int64_t> expected = {
      {{FlowState::kUnspecified, FlowState::kCreated}, 2}, {{FlowState::kCreated, FlowState::kRunning}, 1}};
  EXPECT_EQ(counted, expected);
}

TEST_P(StoreTest, LeaseHasOneHolderAndRisingGenerations) {
  const auto store = Open();
  ASSERT_STATUS_OK(store->CreateFlow(TestFlow("a")));
  EXPECT_FAILS(store->AcquireLease("x", "w1", absl::Minutes(1)).status(), kNotFound, "'x'");
  EXPECT_EQ(*store->GetLease("a"), std::nullopt);
  const auto first = store->AcquireLease("a", "w1", absl::Minutes(1));
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_GT(first->generation, 0);
  EXPECT_FAILS(store->AcquireLease("a", "w2", absl::Minutes(1)).status(), kFailedPrecondition, "w1");
  EXPECT_EQ(store->AcquireLease("a", "w1", absl::Minutes(1))->generation, first->generation);
  EXPECT_EQ((*store->GetLease("a"))->holder, "w1");
  ASSERT_STATUS_OK(store->RenewLease(*first, absl::Minutes(2)));

  ASSERT_STATUS_OK(store->ReleaseLease(*first));
  EXPECT_EQ(*store->GetLease("a"), std::nullopt);
  EXPECT_FAILS(store->RenewLease(*first, absl::Minutes(1)), kFailedPrecondition, "fenced");
  const auto second = store->AcquireLease("a", "w2", absl::ZeroDuration());  // is over at once
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(second->generation, first->generation + 1);
  // Nobody has taken it: its holder may go on.
  ASSERT_STATUS_OK(store->RenewLease(*second, absl::ZeroDuration()));
  const auto third = store->AcquireLease("a", "w3", absl::Minutes(1));
  ASSERT_TRUE(third.ok()) << third.status();
  EXPECT_EQ(third->generation, first->generation + 2);
  EXPECT_FAILS(store->RenewLease(*second, absl::Minutes(1)), kFailedPrecondition, "fenced");
  EXPECT_FAILS(store->ReleaseLease(*second), kFailedPrecondition, "w3");
  EXPECT_LT(absl::AbsDuration(third->expires - absl::Now() - absl::Minutes(1)), absl::Seconds(10));
}

TEST_P(StoreTest, GenerationsOutliveTheFlow) {
  const auto store = Open();
  ASSERT_STATUS_OK(store->CreateFlow(TestFlow("a")));
  const auto before = store->AcquireLease("a", "w1", absl::Minutes(1));
  ASSERT_STATUS_OK(store->DeleteFlow("a"));
  EXPECT_FAILS(store->RenewLease(*before, absl::Minutes(1)), kFailedPrecondition, "fenced");
  ASSERT_STATUS_OK(store->CreateFlow(TestFlow("a")));
  EXPECT_GT(store->AcquireLease("a", "w1", absl::Minutes(1))->generation, before->generation);
}

TEST_P(StoreTest, CheckpointsAreStoredWhole) {
  const auto store = Open();
  ASSERT_STATUS_OK(store->CreateFlow(TestFlow("a")));
  ASSERT_STATUS_OK(store->CreateFlow(TestFlow("b")));
  EXPECT_EQ(store->GetCheckpoint("a")->has_value(), false);
  Checkpoint checkpoint{Lsn{0x16B374D848}, absl::FromUnixMicros(1700000000123456), {{"k", "v \"x\" \xC3\xA9"}}};
  ASSERT_STATUS_OK(store->PutCheckpoint("a", checkpoint, 0));
  const auto stored = store->GetCheckpoint("a");
  ASSERT_TRUE(stored.ok() && stored->has_value()) << stored.status();
  EXPECT_EQ((*stored)->lsn, checkpoint.lsn);
  EXPECT_EQ((*stored)->at, checkpoint.at);
  EXPECT_EQ((*stored)->metadata, checkpoint.metadata);
  EXPECT_FAILS(store->PutCheckpoint("x", checkpoint, 0), kNotFound, "'x'");
  EXPECT_FAILS(store->PutCheckpoint("a", {Lsn{~uint64_t{0}}}, 0), kInvalidArgument, "lsn");
  ASSERT_STATUS_OK(store->PutCheckpoint("b", {Lsn{7}}, 0));
  const auto all = store->ListCheckpoints();
  ASSERT_EQ(all->size(), 2u);
  EXPECT_EQ((*all)[1].first, "b");
  EXPECT_LT(absl::Now() - (*all)[1].second.at, absl::Minutes(1));  // not given: now
  ASSERT_STATUS_OK(store->DeleteFlow("a"));
  EXPECT_EQ(store->ListCheckpoints()->size(), 1u);
}

TEST_P(StoreTest, CheckpointsOfWorkersAreFencedAndNeverGoBack) {
  const auto store = Open();
  ASSERT_STATUS_OK(store->CreateFlow(TestFlow("a")));
  const auto old = store->AcquireLease("a", "w1", absl::ZeroDuration());
  ASSERT_STATUS_OK(store->PutCheckpoint("a", {Lsn{0x100000010}}, old->generation));
  ASSERT_STATUS_OK(store->PutCheckpoint("a", {Lsn{0x100000010}}, old->generation));
  // 2/0 is above 1/10 as a number, though not as text; 0/FF is below.
  ASSERT_STATUS_OK(store->PutCheckpoint("a", {Lsn{0xA00000000}}, old->generation));
  EXPECT_FAILS(store->PutCheckpoint("a", {Lsn{0x900000000}}, old->generation), kFailedPrecondition, "at A/0");
  EXPECT_FAILS(store->PutCheckpoint("a", {Lsn{0x900000000}}, old->generation), kFailedPrecondition, "to 9/0");
  EXPECT_EQ((*store->GetCheckpoint("a"))->lsn, Lsn{0xA00000000});
  const auto now = store->AcquireLease("a", "w2", absl::Minutes(1));
  ASSERT_TRUE(now.ok()) << now.status();
  EXPECT_FAILS(store->PutCheckpoint("a", {Lsn{0xB00000000}}, old->generation), kFailedPrecondition, "fenced");
  EXPECT_EQ((*store->GetCheckpoint("a"))->lsn, Lsn{0xA00000000});
  ASSERT_STATUS_OK(store->PutCheckpoint("a", {Lsn{0xB00000000}}, now->generation));
  ASSERT_STATUS_OK(store->PutCheckpoint("a", {Lsn{1}}, 0));  // an operator may
  EXPECT_EQ((*store->GetCheckpoint("a"))->lsn, Lsn{1});
}

TEST_P(StoreTest, WhoWasOvertakenChangesNothing) {
  const auto store = Open();
  ASSERT_STATUS_OK(store->CreateFlow(TestFlow("a")));
  ASSERT_STATUS_OK(store->CreateFlow(TestFlow("b")));
  const auto old = store->AcquireLease("a", "w1", absl::ZeroDuration());
  ASSERT_TRUE(old.ok()) << old.status();
  const auto overtaken = store->FencedBy(*old);
  DdlEvent event;
  event.flow_id = "a";
  event.lsn = Lsn{7};
  event.plan = "{}";
  const auto recorded = overtaken->RecordDdl({event});
  ASSERT_TRUE(recorded.ok()) << recorded.status();
  const int64_t id = recorded->front().event.id;
  ASSERT_STATUS_OK(overtaken->PutTableSync("a", {.table = "public.t", .state = TableSyncState::kCopying}));

  const auto now = store->AcquireLease("a", "w2", absl::Minutes(1));
  ASSERT_TRUE(now.ok()) << now.status();
  const auto holder = store->FencedBy(*now);
  ASSERT_STATUS_OK(holder->PutTableSync("a", {.table = "public.t", .state = TableSyncState::kDone}));
  const absl::Status refused[] = {
      overtaken->PutTableSync("a", {.table = "public.t", .state = TableSyncState::kCopying}),
      overtaken->DeleteTableSync("a", "public.t"),
      overtaken->PutTableShape("a", {}),
      overtaken->RecordDdl({event}).status(),
      overtaken->MoveDdl(id, {DdlStatus::kPending}, DdlStatus::kApplying, "").status(),
      overtaken->PutDdlReceipt(id, "lake"),
      overtaken->SettleDdl(id, {DdlStatus::kPending}, {}).status(),
      overtaken->Transition("a", {}, FlowState::kFailed, "old news"),
      overtaken->SetLastError("a", "old news"),
      overtaken->PutReport("a", {.slot = "s"}),
      overtaken->PutCheckpoint("a", {Lsn{9}}, old->generation),
  };
  for (const absl::Status& status : refused) {
    EXPECT_FAILS(status, kFailedPrecondition, "fenced");
    EXPECT_THAT(std::string(status.message()), HasSubstr("held by w2"));
  }
  ASSERT_EQ(overtaken->TableSyncs("a")->size(), 1u);  // reading is free
  EXPECT_EQ(overtaken->TableSyncs("a")->front().state, TableSyncState::kDone);
  EXPECT_TRUE(store->TableShapes("a")->empty());
  EXPECT_EQ(store->GetDdl(id)->status, DdlStatus::kPending);
  EXPECT_TRUE(store->GetDdl(id)->receipts.empty());
  EXPECT_EQ(store->GetFlow("a")->state, FlowState::kCreated);
  EXPECT_EQ(store->GetFlow("a")->last_error, "");
  EXPECT_EQ(*store->GetReport("a"), std::nullopt);
  EXPECT_EQ(*store->GetCheckpoint("a"), std::nullopt);

  // Who holds the lease goes on, also when the time is over and nobody has taken it, and so does an operator.
  ASSERT_STATUS_OK(holder->RenewLease(*now, absl::ZeroDuration()));
  ASSERT_STATUS_OK(holder->SetLastError("a", "news"));
  ASSERT_STATUS_OK(store->Transition("a", {}, FlowState::kPaused, "operator"));
  // A flow that was deleted has no worker any more.
  ASSERT_STATUS_OK(store->DeleteFlow("a"));
  EXPECT_FAILS(holder->SetLastError("a", "news"), kFailedPrecondition, "fenced");
}

TEST_P(StoreTest, TableSyncs) {
  const auto store = Open();
  ASSERT_STATUS_OK(store->CreateFlow(TestFlow("a")));
  TableSync sync{"public.orders", TableSyncState::kCopying, Lsn{0x1234567890}, 10, 3, 5000, 20000};
  ASSERT_STATUS_OK(store->PutTableSync("a", sync));
  ASSERT_STATUS_OK(store->PutTableSync("a", {.table = "public.Items"}));
  sync.state = TableSyncState::kDone;
  sync.parts_done = 10;
  sync.plan = R"({"column":"id"})";
  sync.oid = 4294967295;
  ASSERT_STATUS_OK(store->PutTableSync("a", sync));
  const auto syncs = store->TableSyncs("a");
  ASSERT_TRUE(syncs.ok()) << syncs.status();
  ASSERT_EQ(syncs->size(), 2u);
  EXPECT_EQ((*syncs)[0].table, "public.Items");
  EXPECT_EQ((*syncs)[0].state, TableSyncState::kPending);
  EXPECT_EQ((*syncs)[1].state, TableSyncState::kDone);
  EXPECT_EQ((*syncs)[1].snapshot_lsn, sync.snapshot_lsn);
  EXPECT_EQ((*syncs)[1].parts_total, 10);
  EXPECT_EQ((*syncs)[1].parts_done, 10);
  EXPECT_EQ((*syncs)[1].rows_copied, 5000);
  EXPECT_EQ((*syncs)[1].rows_estimated, 20000);
  EXPECT_EQ((*syncs)[1].plan, sync.plan);
  EXPECT_EQ((*syncs)[1].oid, sync.oid);
  EXPECT_EQ((*syncs)[0].plan, "");
  EXPECT_EQ((*syncs)[0].oid, 0);
  // A table has one entry, under its last name.
  ASSERT_STATUS_OK(store->CreateFlow(TestFlow("b")));
  ASSERT_STATUS_OK(store->PutTableSync("b", sync));
  ASSERT_STATUS_OK(store->PutTableSync("a", {.table = "public.renamed", .oid = sync.oid}));
  EXPECT_EQ(store->TableSyncs("a")->size(), 2u);
  EXPECT_EQ(store->TableSyncs("a")->back().table, "public.renamed");
  EXPECT_EQ(store->TableSyncs("b")->size(), 1u);
  ASSERT_STATUS_OK(store->PutTableSync("a", sync));
  ASSERT_STATUS_OK(store->DeleteTableSync("a", "public.orders"));
  ASSERT_STATUS_OK(store->DeleteTableSync("a", "public.orders"));
  EXPECT_EQ(store->TableSyncs("a")->size(), 1u);
  EXPECT_FAILS(store->PutTableSync("x", sync), kNotFound, "'x'");
}

TEST_P(StoreTest, ReportsAndAttempts) {
  const auto store = Open();
  ASSERT_STATUS_OK(store->CreateFlow(TestFlow("a")));
  EXPECT_EQ(store->GetReport("a")->has_value(), false);
  ASSERT_STATUS_OK(store->PutReport("a", {"slot1", true, 1234, 0.25, "streaming", 99}));
  ASSERT_STATUS_OK(store->PutReport("a", {"slot1", false, -1, -1, "reconnecting: gone", 100}));
  const auto report = store->GetReport("a");
  ASSERT_TRUE(report.ok() && report->has_value()) << report.status();
  EXPECT_EQ((*report)->slot, "slot1");
  EXPECT_FALSE((*report)->slot_active);
  EXPECT_EQ((*report)->lag_bytes, -1);
  EXPECT_EQ((*report)->lag_seconds, -1);
  EXPECT_EQ((*report)->detail, "reconnecting: gone");
  EXPECT_EQ((*report)->changes, 100);
  ASSERT_STATUS_OK(store->PutReport("a", {.lag_seconds = 0.125}));
  EXPECT_EQ((*store->GetReport("a"))->lag_seconds, 0.125);
  EXPECT_FAILS(store->PutReport("x", {}), kNotFound, "'x'");
  ASSERT_STATUS_OK(store->CreateFlow(TestFlow("b")));
  ASSERT_STATUS_OK(store->PutReport("b", {.slot = "slot2", .metrics = "{counts}"}));
  const auto reports = store->ListReports();
  ASSERT_TRUE(reports.ok()) << reports.status();
  ASSERT_EQ(reports->size(), 2u);
  EXPECT_EQ(reports->at("a").metrics, "");
  EXPECT_EQ(reports->at("b").metrics, "{counts}");
  EXPECT_EQ(reports->at("b").slot, "slot2");

  const auto first = store->AddAttempt({.flow_id = "a", .kind = "local", .handle = "boot:1:2"});
  const auto second = store->AddAttempt({.flow_id = "a", .kind = "local", .handle = "boot:3:4"});
  ASSERT_TRUE(first.ok() && second.ok()) << first.status() << second.status();
  EXPECT_GT(*second, *first);
  EXPECT_EQ(store->ActiveAttempts()->size(), 2u);
  ASSERT_STATUS_OK(store->EndAttempt(*first, 1, "failed"));
  const auto active = store->ActiveAttempts();
  ASSERT_EQ(active->size(), 1u);
  EXPECT_EQ((*active)[0].id, *second);
  EXPECT_EQ((*active)[0].handle, "boot:3:4");
  EXPECT_LT(absl::Now() - (*active)[0].started_at, absl::Minutes(1));
  EXPECT_FAILS(store->EndAttempt(12345678, 0, ""), kNotFound, "12345678");
  EXPECT_FAILS(store->AddAttempt({.flow_id = "x"}).status(), kNotFound, "'x'");
}

TEST_P(StoreTest, ContentSurvivesReopening) {
  {
    const auto store = Open();
    ASSERT_STATUS_OK(store->CreateFlow(TestFlow("a")));
    ASSERT_STATUS_OK(store->PutCheckpoint("a", {Lsn{42}}, 0));
  }
  const auto store = Open();
  EXPECT_EQ(store->GetFlow("a")->flow, TestFlow("a"));
  EXPECT_EQ((*store->GetCheckpoint("a"))->lsn, Lsn{42});
}

TEST_P(StoreTest, NewerSchemaIsRefusedAndNotTouched) {
  Open();
  auto database = *GetParam().open_database(place_.where);
  const int64_t newer = LatestSchemaVersion() + 6;
  ASSERT_STATUS_OK(database->Transact(SqlAccess::kWrite, [&](SqlSession& session) {
    return session.Query("INSERT INTO @schema_version (version, applied_at) VALUES ($1, 0)", {newer}).status();
  }));
  EXPECT_FAILS(TryOpen().status(), kFailedPrecondition, absl::StrCat("has schema version ", newer));
  ASSERT_STATUS_OK(database->Transact(SqlAccess::kRead, [&](SqlSession& session) -> absl::Status {
    const auto rows = session.Query("SELECT count(*) FROM @schema_version");
    EXPECT_EQ(rows->Int(0, 0), LatestSchemaVersion() + 1);
    return rows.status();
  }));
}

TEST_P(StoreTest, WithAKeyDefinitionsAreSealed) {
  Flow flow = TestFlow("a");
  flow.source.options["dsn"] = "host=h password=hunter2";
  setenv("WALLABY_SECRET_KEY", kKey, 1);
  {
    const auto store = Open();
    ASSERT_STATUS_OK(store->CreateFlow(flow));
    EXPECT_EQ(store->GetFlow("a")->flow, flow);
  }
  auto database = *GetParam().open_database(place_.where);
  ASSERT_STATUS_OK(database->Transact(SqlAccess::kRead, [&](SqlSession& session) -> absl::Status {
    const auto rows = session.Query("SELECT definition FROM @flows");
    EXPECT_THAT(rows->Text(0, 0), Not(HasSubstr("hunter2")));
    return rows.status();
  }));
  unsetenv("WALLABY_SECRET_KEY");
  EXPECT_FAILS(Open()->GetFlow("a").status(), kFailedPrecondition, "set WALLABY_SECRET_KEY");
  setenv("WALLABY_SECRET_KEY", "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", 1);
  EXPECT_FAILS(Open()->GetFlow("a").status(), kFailedPrecondition, "is not the key");
  setenv("WALLABY_SECRET_KEY", "short", 1);
  EXPECT_FAILS(TryOpen().status(), kInvalidArgument, "WALLABY_SECRET_KEY");
}

TEST_P(StoreTest, FailedBodiesLeaveNothing) {
  Open();
  auto database = *GetParam().open_database(place_.where);
  const absl::Status status = database->Transact(SqlAccess::kWrite, [&](SqlSession& session) -> absl::Status {
    EXPECT_TRUE(session.Query("INSERT INTO @leases VALUES ($1, $2, $3, $4)", {"f", "h", int64_t{1}, int64_t{2}}).ok());
    return absl::AbortedError("changed my mind");
  });
  EXPECT_EQ(status.code(), absl::StatusCode::kAborted);
  ASSERT_STATUS_OK(database->Transact(SqlAccess::kRead, [&](SqlSession& session) -> absl::Status {
    const auto rows = session.Query("SELECT 1 FROM @leases");
    EXPECT_TRUE(rows->empty());
    return rows.status();
  }));
}

TEST_P(StoreTest, EightThreads) {
  const auto store = Open();
  for (int i = 0; i < 4; ++i) ASSERT_STATUS_OK(store->CreateFlow(TestFlow("f" + std::to_string(i))));
  std::vector<std::thread> threads;
  std::atomic<int> failures = 0;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 1; i <= 25; ++i) {
        const std::string id = "f" + std::to_string((t + i) % 4);
        const absl::Status done[] = {store->PutCheckpoint(id, {Lsn{static_cast<uint64_t>(i)}}, 0),
                                     store->GetFlow(id).status(),
                                     store->Transition(id, {}, i % 2 ? FlowState::kRunning : FlowState::kPaused, "r"),
                                     store->PutReport(id, {.detail = "x"}),
                                     store->ListFlows("", 10).status(),
                                     store->AddAttempt({.flow_id = id, .active = false}).status()};
        for (const absl::Status& status : done) {
          if (!status.ok()) {
            ++failures;
            ADD_FAILURE() << status;
          }
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failures, 0);
  int64_t revisions = 0;
  for (int i = 0; i < 4; ++i) revisions += store->GetFlow("f" + std::to_string(i))->revision;
  EXPECT_EQ(revisions, 4 + 8 * 25);  // no transition was lost
}

}  // namespace
}  // namespace wallaby
