#include <thread>

#include "absl/strings/str_cat.h"
#include "store/store_test_base.h"
#include "test/support/test_postgres.h"

namespace wallaby {
namespace {

StorePlace NewDatabase() {
  return {TestPostgres::Shared(15).CreateDatabase(), nullptr};
}

INSTANTIATE_TEST_SUITE_P(Postgres, StoreTest,
                         ::testing::Values(StoreKind{"Postgres", NewDatabase, OpenPostgresStore,
                                                     OpenPostgresDatabase}));

TEST(PostgresStore, SecretsAreRefusedWithoutAKey) {
  unsetenv("WALLABY_SECRET_KEY");
  auto store = OpenPostgresStore(NewDatabase().where);
  ASSERT_TRUE(store.ok()) << store.status();
  Flow flow = TestFlow("a");
  flow.source.options["dsn"] = "host=h password=hunter2";
  EXPECT_FAILS((*store)->CreateFlow(flow), kFailedPrecondition, "set WALLABY_SECRET_KEY");
  EXPECT_FAILS((*store)->UpdateFlow(flow), kFailedPrecondition, "set WALLABY_SECRET_KEY");
  ASSERT_STATUS_OK((*store)->CreateFlow(TestFlow("b")));
}

TEST(PostgresStore, CutConnectionsAreMadeAgain) {
  const StorePlace place = NewDatabase();
  auto store = *OpenPostgresStore(place.where);
  ASSERT_STATUS_OK(store->CreateFlow(TestFlow("a")));
  // Several idle connections, all of which are then cut.
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < 20; ++j) EXPECT_TRUE(store->GetFlow("a").ok());
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (int round = 0; round < 6; ++round) {
    MustExecute(*MustConnect(place.where),
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                "WHERE application_name = 'wallaby control store' AND datname = current_database()");
    ASSERT_STATUS_OK(store->PutCheckpoint("a", {Lsn{static_cast<uint64_t>(round + 1)}}, 0));
    EXPECT_EQ((*store->GetCheckpoint("a"))->lsn, Lsn{static_cast<uint64_t>(round + 1)});
  }
}

TEST(PostgresStore, ServerThatGoesAwayAndComesBack) {
  TestPostgres server(15);
  auto store = *OpenPostgresStore(server.dsn());
  ASSERT_STATUS_OK(store->CreateFlow(TestFlow("a")));
  ASSERT_STATUS_OK(store->PutCheckpoint("a", {Lsn{5}}, 0));
  server.Halt("immediate");
  EXPECT_EQ(store->GetFlow("a").status().code(), absl::StatusCode::kUnavailable) << store->GetFlow("a").status();
  EXPECT_EQ(OpenPostgresStore(server.dsn()).status().code(), absl::StatusCode::kUnavailable);
  server.Restart("immediate");
  EXPECT_EQ((*store->GetCheckpoint("a"))->lsn, Lsn{5});
  ASSERT_STATUS_OK(store->PutCheckpoint("a", {Lsn{6}}, 0));
}

// A new worker cannot take the lease, and so read a checkpoint, while one of the old worker's is being written.
TEST(PostgresStore, TakingTheLeaseWaitsForACheckpointInFlight) {
  const StorePlace place = NewDatabase();
  auto store = *OpenPostgresStore(place.where);
  ASSERT_STATUS_OK(store->CreateFlow(TestFlow("a")));
  const auto old = store->AcquireLease("a", "w1", absl::ZeroDuration());
  auto writer = MustConnect(place.where);
  MustExecute(*writer, "BEGIN; SELECT 1 FROM wallaby_control.leases WHERE flow_id = 'a' FOR SHARE");
  std::thread taker([&] { EXPECT_TRUE(store->AcquireLease("a", "w2", absl::Minutes(1)).ok()); });
  auto watcher = MustConnect(place.where);
  while (MustQuery(*watcher,
                   "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = "
                   "current_database()") != "1") {
    std::this_thread::yield();
  }
  MustExecute(*writer, absl::StrCat("INSERT INTO wallaby_control.checkpoints VALUES ('a', 77, 0, '{}', 1); COMMIT"));
  taker.join();
  EXPECT_EQ((*store->GetCheckpoint("a"))->lsn, Lsn{77});
  EXPECT_FAILS(store->PutCheckpoint("a", {Lsn{78}}, old->generation), kFailedPrecondition, "fenced");
}

TEST(PostgresStore, ErrorsHideThePassword) {
  const auto store = OpenPostgresStore("postgres://nobody:hunter2@127.0.0.1:1/none");
  EXPECT_EQ(store.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(store.status().message()), ::testing::Not(::testing::HasSubstr("hunter2")));
}

}  // namespace
}  // namespace wallaby
