// Waiting for messages, against a real server.
#include "stream/stream_database.h"

#include <thread>

#include "absl/time/clock.h"
#include "stream/stream_test_base.h"

namespace wallaby {
namespace {

using Woken = StreamDatabase::Woken;

TEST(StreamNotice, Parse) {
  StreamKey stream;
  int64_t last = 0;
  ASSERT_TRUE(ParseStreamNotice("3 17 my schema", &stream, &last));
  EXPECT_EQ(stream, (StreamKey{"my schema", 3}));
  EXPECT_EQ(last, 17);
  for (const char* bad : {"", "3", "3 ", "3 17", "x 17 s", "3 y s", "3  s"}) {
    EXPECT_FALSE(ParseStreamNotice(bad, &stream, &last)) << bad;
  }
}

class StreamDatabaseTest : public StreamTest {
 protected:
  // As a consumer does: looks whenever it is woken, until there are messages.
  bool AwaitMessages(StreamDatabase& database, int64_t next) {
    const absl::Time end = absl::Now() + absl::Seconds(60);
    while (absl::Now() < end) {
      database.Wait(
          {"wallaby", kId}, [next] { return next; }, absl::Seconds(60), [] { return false; });
      if (MustQuery(*sql_, absl::StrCat("SELECT last_id >= ", next, " FROM wallaby.streams")) == "t") return true;
    }
    return false;
  }
};

TEST_F(StreamDatabaseTest, AMessageWakesWhoWaits) {
  StreamDatabase database(dsn_);
  // Listens from the first wait on; then nobody needs to look.
  EXPECT_EQ(database.Wait(
                {"wallaby", kId}, [] { return 1; }, absl::Seconds(60), [] { return false; }),
            Woken::kPerhaps);
  std::thread writer([this] {
    auto sql = MustConnect(dsn_);
    AppendMessages(*sql, 3, 10);
  });
  while (database.Wait(
             {"wallaby", kId}, [] { return 1; }, absl::Seconds(60), [] { return false; }) != Woken::kMessages) {
  }
  writer.join();
  EXPECT_EQ(database.LastTold({"wallaby", kId}), 3);
  EXPECT_EQ(database.LastTold({"other", kId}), 0);
  database.Forget({"wallaby", kId}, 2);
  EXPECT_EQ(database.LastTold({"wallaby", kId}), 3);
  database.Forget({"wallaby", kId}, 3);
  EXPECT_EQ(database.LastTold({"wallaby", kId}), 0);
}

TEST_F(StreamDatabaseTest, TheWaitEnds) {
  StreamDatabase database(dsn_);
  while (database.Wait(
             {"wallaby", kId}, [] { return 1; }, absl::Milliseconds(20), [] { return false; }) != Woken::kNot) {
  }
  while (database.Wait(
             {"wallaby", kId}, [] { return 1; }, absl::Seconds(600), [] { return true; }) != Woken::kNot) {
  }
  std::thread waker([&database] { database.Wake(); });
  EXPECT_EQ(database.Wait(
                {"wallaby", kId}, [] { return 1; }, absl::Seconds(1), [] { return false; }) == Woken::kMessages,
            false);
  waker.join();
  database.Wake(/*end=*/true);
  EXPECT_EQ(database.Wait(
                {"wallaby", kId}, [] { return 1; }, absl::Seconds(600), [] { return false; }),
            Woken::kNot);
}

TEST_F(StreamDatabaseTest, ALostConnectionIsMadeAnew) {
  StreamDatabase database(dsn_);
  ASSERT_TRUE(database.Run([](PgConnection& sql) { return sql.Execute("SELECT 1"); }).ok());
  database.Wait(
      {"wallaby", kId}, [] { return 1; }, absl::Seconds(60), [] { return false; });
  MustExecute(*sql_,
              "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'wallaby "
              "streams' AND datname = current_database()");
  std::thread writer([this] {
    auto sql = MustConnect(dsn_);
    AppendMessages(*sql, 1, 10);
  });
  EXPECT_TRUE(AwaitMessages(database, 1));
  writer.join();
  const absl::Status status = database.Run([](PgConnection& sql) { return sql.Execute("SELECT 1"); });
  EXPECT_TRUE(status.ok()) << status;
}

TEST_F(StreamDatabaseTest, AnErrorCostsTheConnectionOnly) {
  StreamDatabase database(dsn_);
  EXPECT_FALSE(database.Run([](PgConnection& sql) { return sql.Execute("BEGIN; SELECT nothing"); }).ok());
  EXPECT_TRUE(database.Run([](PgConnection& sql) { return sql.Execute("SELECT 1"); }).ok());
  StreamDatabase nowhere("postgres://127.0.0.1:1/none");
  EXPECT_TRUE(absl::IsUnavailable(nowhere.Run([](PgConnection&) { return absl::OkStatus(); })));
}

}  // namespace
}  // namespace wallaby
