#include "postgres/slot.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "test/support/test_postgres.h"

namespace wallaby {
namespace {

using ::testing::HasSubstr;

class SlotTest : public ::testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    dsn_ = server().CreateDatabase();
    sql_ = MustConnect(dsn_);
    name_ = MustQuery(*sql_, "SELECT 'slot_' || current_database()");
  }
  void TearDown() override { (void)DropSlot(*sql_, name_); }
  TestPostgres& server() { return TestPostgres::Shared(GetParam()); }

  std::string dsn_;
  std::string name_;
  std::unique_ptr<PgConnection> sql_;
};

INSTANTIATE_TEST_SUITE_P(Servers, SlotTest, ::testing::Values(14, 15, 16, 17, 18));

TEST_P(SlotTest, SnapshotShowsTheDatabaseAtTheSlotsBegin) {
  MustExecute(*sql_, "CREATE TABLE t (a int); INSERT INTO t VALUES (1)");
  auto snapshot = SlotSnapshot::Create(dsn_, name_, /*temporary=*/false, /*failover=*/GetParam() >= 17);
  ASSERT_TRUE(snapshot.ok()) << snapshot.status();
  MustExecute(*sql_, "INSERT INTO t VALUES (2)");
  auto reader = MustConnect(dsn_);
  MustExecute(*reader,
              "BEGIN ISOLATION LEVEL REPEATABLE READ; SET TRANSACTION SNAPSHOT '" + (*snapshot)->snapshot() + "'");
  EXPECT_EQ(MustQuery(*reader, "SELECT count(*) FROM t"), "1");

  const auto slot = GetSlot(*sql_, name_);
  ASSERT_TRUE(slot.ok()) << slot.status();
  ASSERT_TRUE(slot->has_value());
  EXPECT_EQ((*slot)->plugin, "pgoutput");
  EXPECT_EQ((*slot)->confirmed_flush, (*snapshot)->consistent());
  EXPECT_EQ((*slot)->failover, GetParam() >= 17);
  EXPECT_EQ((*slot)->wal_status, "reserved");
  EXPECT_EQ((*slot)->invalidation_reason, "");
  EXPECT_GT((*slot)->behind_bytes, 0);
  EXPECT_FALSE((*slot)->active);
  EXPECT_TRUE(CheckSlotUsable(**slot, (*slot)->database).ok());
  EXPECT_EQ(CheckSlotUsable(**slot, "other").code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(SlotSnapshot::Create(dsn_, name_, false, false).status().code(), absl::StatusCode::kAlreadyExists);

  EXPECT_TRUE(DropSlot(*sql_, name_).ok());
  EXPECT_EQ(DropSlot(*sql_, name_).code(), absl::StatusCode::kNotFound);
  EXPECT_FALSE(GetSlot(*sql_, name_)->has_value());
}

TEST_P(SlotTest, TemporarySlotsVanishAndActiveOnesStay) {
  auto snapshot = SlotSnapshot::Create(dsn_, name_, /*temporary=*/true, /*failover=*/false);
  ASSERT_TRUE(snapshot.ok()) << snapshot.status();
  const auto slot = GetSlot(*sql_, name_);
  ASSERT_TRUE(slot.ok() && slot->has_value());
  EXPECT_TRUE((*slot)->temporary);
  EXPECT_TRUE((*slot)->active);
  const absl::Status refused = DropSlot(*sql_, name_);
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(refused.message()), HasSubstr(std::to_string((*slot)->active_pid)));
  snapshot->reset();
  while (GetSlot(*sql_, name_)->has_value()) {
  }
}

TEST_P(SlotTest, OneThatIsBeingMadeHasNoPosition) {
  const auto open = MustConnect(dsn_);
  MustExecute(*open, "BEGIN; CREATE TABLE t (a int)");
  absl::Status made;
  std::thread maker(
      [&] { made = SlotSnapshot::Create(dsn_, name_, /*temporary=*/false, /*failover=*/false).status(); });
  auto slot = GetSlot(*sql_, name_);
  while (slot.ok() && !slot->has_value()) slot = GetSlot(*sql_, name_);
  EXPECT_TRUE(slot.ok() && (*slot)->being_made()) << slot.status();
  MustExecute(*open, "COMMIT");
  maker.join();
  EXPECT_TRUE(made.ok()) << made;
  EXPECT_FALSE((*GetSlot(*sql_, name_))->being_made());
}

TEST_P(SlotTest, RefusesFailoverWhereThereIsNone) {
  if (GetParam() >= 17) GTEST_SKIP() << "failover slots exist from PostgreSQL 17 on";
  EXPECT_EQ(SlotSnapshot::Create(dsn_, name_, false, /*failover=*/true).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST_P(SlotTest, ServerInfoForAnOrdinaryRole) {
  const std::string role = "role_" + name_;
  MustExecute(*sql_, "CREATE ROLE " + role + " LOGIN");
  const std::string database = MustQuery(*sql_, "SELECT current_database()");
  auto sql = MustConnect(server().Dsn(database, role));
  auto info = GetServerInfo(*sql);
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_FALSE(info->role_can_replicate);
  EXPECT_EQ(info->version / 10000, GetParam());
  EXPECT_EQ(info->wal_level, "logical");
  EXPECT_EQ(info->database, database);
  EXPECT_EQ(info->timeline, 1);
  EXPECT_GE(info->system_identifier.size(), 18u);
  EXPECT_EQ(info->max_replication_slots, 50);
  EXPECT_TRUE(info->current_lsn.valid());
  MustExecute(*sql_, "ALTER ROLE " + role + " REPLICATION");
  EXPECT_TRUE(GetServerInfo(*sql)->role_can_replicate);
}

TEST(CheckSlotUsableTest, SaysWhatToDo) {
  SlotInfo slot{.name = "s", .plugin = "pgoutput", .database = "d"};
  EXPECT_TRUE(CheckSlotUsable(slot, "d").ok());
  slot.wal_status = "lost";
  EXPECT_THAT(std::string(CheckSlotUsable(slot, "d").message()), HasSubstr("pg_drop_replication_slot('s')"));
  slot.wal_status = "";
  slot.invalidation_reason = "idle_timeout";
  EXPECT_THAT(std::string(CheckSlotUsable(slot, "d").message()), HasSubstr("idle_timeout"));
  slot = {.name = "s", .plugin = "wal2json", .database = "d"};
  EXPECT_THAT(std::string(CheckSlotUsable(slot, "d").message()), HasSubstr("wal2json"));
  slot.logical = false;
  EXPECT_THAT(std::string(CheckSlotUsable(slot, "d").message()), HasSubstr("physical"));
}

}  // namespace
}  // namespace wallaby
