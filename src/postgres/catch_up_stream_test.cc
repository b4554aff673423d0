#include "postgres/catch_up_stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <algorithm>

#include "base/status.h"
#include "pgoutput/messages.h"
#include "postgres/slot.h"
#include "postgres/walsender_stream.h"
#include "test/support/test_postgres.h"

namespace wallaby {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Less than what a hundred of the transactions below write, more than four do.
constexpr int64_t kFar = 256 << 10;

// A publication of every table, its slot, and what can be read from it.
class CatchUpStreamTest : public ::testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    dsn_ = server().CreateDatabase();
    sql_ = MustConnect(dsn_);
    options_.dsn = dsn_;
    options_.slot = MustQuery(*sql_, "SELECT 'catch_up_' || current_database()");
    options_.publication = "p";
    options_.binary = true;
    options_.sql = sql_.get();
    options_.on_switch = [this](std::string_view what) { switches_.emplace_back(what); };
    MustExecute(*sql_, "CREATE TABLE t (id int PRIMARY KEY, v text); CREATE PUBLICATION p FOR ALL TABLES");
    options_.start = Lsn::Parse(MustQuery(*sql_, "SELECT lsn FROM pg_create_logical_replication_slot('" +
                                                     options_.slot + "', 'pgoutput')"))
                         .value();
  }
  void TearDown() override {
    stream_.reset();
    for (int i = 0; i < 100 && !DropSlot(*sql_, options_.slot).ok(); ++i) MustExecute(*sql_, "SELECT pg_sleep(0.05)");
  }
  TestPostgres& server() { return TestPostgres::Shared(GetParam()); }

  // Transactions of many kinds, with one that stays open all the while.
  void MakeChanges(int first, int transactions) {
    auto other = MustConnect(dsn_);
    MustExecute(*other, "BEGIN; INSERT INTO t VALUES (" + std::to_string(-first - 1) + ", 'long')");
    for (int i = first; i < first + transactions; ++i) {
      const std::string from = std::to_string(i * 100);
      MustExecute(*sql_, "BEGIN; INSERT INTO t SELECT i, repeat('x', 100) FROM generate_series(" + from + "," + from +
                             "+49) i; SAVEPOINT s; UPDATE t SET v = 'u' WHERE id = " + from +
                             "; ROLLBACK TO s; DELETE FROM t WHERE id = " + from + "+1; COMMIT");
      MustExecute(*sql_, "BEGIN; INSERT INTO t VALUES (" + from + "+99, 'never'); ROLLBACK");
    }
    MustExecute(*other, "COMMIT");
  }

  void Start(int64_t catch_up_bytes) {
    options_.catch_up_bytes = catch_up_bytes;
    auto stream = StartReplication(options_);
    ASSERT_TRUE(stream.ok()) << stream.status();
    stream_ = *std::move(stream);
  }

  // Messages up to so many commits, without the relations, which come again with each piece.
  std::vector<std::string> Read(int commits) {
    std::vector<std::string> messages;
    const absl::Time deadline = absl::Now() + absl::Seconds(60);
    while (commits > 0) {
      auto packet = stream_->Next();
      EXPECT_TRUE(packet.ok()) << packet.status();
      if (!packet.ok() || absl::Now() > deadline) break;
      if (packet->kind == Packet::Kind::kNone) (void)stream_->Wait(absl::Seconds(1), wake_);
      if (packet->kind != Packet::Kind::kData || packet->payload[0] == 'R') continue;
      messages.emplace_back(packet->payload);
      if (packet->payload[0] == 'C') --commits;
    }
    EXPECT_EQ(commits, 0) << "the stream has ended early";
    return messages;
  }

  // Tests that run beside this one write on the same server, so the end may move away for a while.
  bool IsNear() const {
    return std::any_of(switches_.begin(), switches_.end(), [](const std::string& what) {
      return what.find("streaming: near the end") != std::string::npos;
    });
  }

  // The same by the walsender alone.
  std::vector<std::string> ReadPlainly(int commits) {
    stream_ = StartWalsender(options_).value();
    auto messages = Read(commits);
    stream_.reset();
    return messages;
  }

  std::string dsn_;
  std::unique_ptr<PgConnection> sql_;
  StreamOptions options_;
  std::vector<std::string> switches_;
  std::unique_ptr<ReplicationStream> stream_;
  Event wake_;
};

INSTANTIATE_TEST_SUITE_P(Servers, CatchUpStreamTest, ::testing::Values(14, 15, 17, 18));

TEST_P(CatchUpStreamTest, ABacklogAndWhatFollowsComeAsFromTheWalsender) {
  MakeChanges(0, 100);
  Start(kFar);
  auto messages = Read(101);
  ASSERT_THAT(switches_, Contains(HasSubstr("reading through SQL")));
  int commits = 101;
  for (int next = 100; !IsNear() && next < 1000; next += 3, commits += 4) {
    MakeChanges(next, 3);
    const auto live = Read(4);
    messages.insert(messages.end(), live.begin(), live.end());
  }
  EXPECT_THAT(switches_, Contains(HasSubstr("streaming: near the end")));
  stream_.reset();
  EXPECT_EQ(messages, ReadPlainly(commits));
}

TEST_P(CatchUpStreamTest, StartsInTheMiddleOfABacklog) {
  MakeChanges(0, 100);
  const auto all = ReadPlainly(101);
  // The end of the fourth transaction, as a checkpoint would have it.
  std::vector<std::string> rest = all;
  pgoutput::Commit commit;
  for (int i = 0; i < 4; ++i) {
    const auto end = std::find_if(rest.begin(), rest.end(), [](const auto& m) { return m[0] == 'C'; });
    ASSERT_TRUE(pgoutput::ParseCommit(*end, &commit).ok());
    rest.erase(rest.begin(), end + 1);
  }
  options_.start = commit.end;
  Start(kFar);
  EXPECT_EQ(Read(97), rest);
  EXPECT_THAT(switches_, Contains(HasSubstr("reading through SQL")));
}

TEST_P(CatchUpStreamTest, GoesBackToSqlWhenTheStreamFallsBehind) {
  Start(kFar);
  EXPECT_THAT(switches_, ElementsAre());
  MakeChanges(0, 200);
  const auto messages = Read(201);
  EXPECT_THAT(switches_, Contains(HasSubstr("reading through SQL")));
  stream_.reset();
  EXPECT_EQ(messages, ReadPlainly(201));
}

TEST_P(CatchUpStreamTest, TheSlotIsMovedToWhatIsDurable) {
  MakeChanges(0, 100);
  Start(kFar);
  Read(10);
  const Lsn durable = Lsn::Parse(MustQuery(*sql_, "SELECT pg_current_wal_lsn()")).value();
  EXPECT_EQ(GetSlot(*sql_, options_.slot).value()->confirmed_flush, options_.start) << "nothing is durable yet";
  ASSERT_TRUE(stream_->SendFeedback(durable, durable, false).ok());
  Read(91);
  for (int next = 100; !IsNear() && next < 1000; ++next) {
    MakeChanges(next, 1);
    Read(2);
  }
  EXPECT_GE(GetSlot(*sql_, options_.slot).value()->confirmed_flush, durable);
  EXPECT_EQ(MustQuery(*sql_,
                      "SELECT count(*) FROM pg_replication_slots WHERE slot_name LIKE 'wallaby_cursor%' AND "
                      "database = current_database()"),
            "0");
}

// ---- where it cannot be done ----

class CatchUpStreamRefused : public ::testing::Test {
 protected:
  // A server with these settings, a slot, and then one transaction of `rows` rows. Gives what is read of it: the types
  // of its messages.
  std::string Read(int major, const std::vector<std::string>& settings, int rows) {
    TestPostgres server(major, settings);
    auto sql = MustConnect(server.dsn());
    MustExecute(*sql,
                "CREATE ROLE reader LOGIN REPLICATION; CREATE TABLE t (id int, v text); CREATE PUBLICATION p "
                "FOR ALL TABLES");
    StreamOptions options{.dsn = server.Dsn("postgres", "reader"), .slot = "s", .publication = "p"};
    options.catch_up_bytes = 1;
    options.sql = sql.get();
    options.on_switch = [this](std::string_view what) { switches_.emplace_back(what); };
    options.start =
        Lsn::Parse(MustQuery(*sql, "SELECT lsn FROM pg_create_logical_replication_slot('s', 'pgoutput')")).value();
    MustExecute(*sql, "INSERT INTO t SELECT generate_series(1, " + std::to_string(rows) + "), repeat('x', 100)");
    auto stream = StartReplication(options);
    EXPECT_TRUE(stream.ok()) << stream.status();
    std::string types;
    Event wake;
    const absl::Time deadline = absl::Now() + absl::Seconds(60);
    while (stream.ok() && absl::Now() < deadline && !types.ends_with('C')) {
      auto packet = (*stream)->Next();
      EXPECT_TRUE(packet.ok()) << packet.status();
      if (!packet.ok()) break;
      if (packet->kind == Packet::Kind::kNone) (void)(*stream)->Wait(absl::Seconds(1), wake);
      if (packet->kind == Packet::Kind::kData) types += packet->payload[0];
    }
    return types;
  }

  std::vector<std::string> switches_;
};

TEST_F(CatchUpStreamRefused, WithoutASlotToSpareItStreams) {
  EXPECT_EQ(Read(15, {"max_replication_slots=1"}, 2), "BRIIC");
  EXPECT_THAT(switches_, ElementsAre(HasSubstr("all replication slots are in use")));
}

TEST_F(CatchUpStreamRefused, ALimitOnTemporaryFilesMakesItStream) {
  EXPECT_EQ(Read(15, {"temp_file_limit=64kB", "work_mem=64kB"}, 5000), "BR" + std::string(5000, 'I') + "C");
  EXPECT_THAT(switches_, Contains(HasSubstr("temp_file_limit")));
}

TEST_F(CatchUpStreamRefused, ATimeoutOfIdleSlotsMakesItStream) {
  EXPECT_EQ(Read(18, {"idle_replication_slot_timeout=1h"}, 1), "BRIC");
  EXPECT_THAT(switches_, ElementsAre(HasSubstr("idle_replication_slot_timeout")));
}

}  // namespace
}  // namespace wallaby
