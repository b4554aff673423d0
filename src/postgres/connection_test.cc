#include "postgres/connection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "test/support/test_postgres.h"

namespace wallaby {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class ConnectionTest : public ::testing::TestWithParam<int> {
 protected:
  void SetUp() override { connection_ = MustConnect(server().dsn()); }
  TestPostgres& server() { return TestPostgres::Shared(GetParam()); }
  std::unique_ptr<PgConnection> connection_;
};

INSTANTIATE_TEST_SUITE_P(Servers, ConnectionTest, ::testing::Values(15, 18));

TEST(ServerOfDsnTest, OneServerByItsWaysOfWriting) {
  for (const char* dsn : {"postgres://a:b@localhost:5432/x", "host=127.0.0.1 dbname=y", "dbname=z", "host=LOCALHOST",
                          "host=elsewhere hostaddr=::1"}) {
    EXPECT_EQ(ServerOfDsn(dsn), "localhost:5432") << dsn;
  }
  EXPECT_EQ(ServerOfDsn("postgres://u:secret@db.example.com:6543/x"), "db.example.com:6543");
  EXPECT_EQ(ServerOfDsn("host=/run/pg port=5433"), "/run/pg:5433");
  EXPECT_EQ(ServerOfDsn("nonsense"), "");
}

TEST_P(ConnectionTest, FixesTextForms) {
  PgConnection& sql = *connection_;
  EXPECT_EQ(sql.server_major(), GetParam());
  EXPECT_EQ(MustQuery(sql, "SHOW DateStyle").substr(0, 3), "ISO");
  EXPECT_EQ(MustQuery(sql, "SHOW TimeZone"), "UTC");
  EXPECT_EQ(MustQuery(sql, "SELECT '\\xff'::bytea"), "\\xff");
  EXPECT_EQ(MustQuery(sql, "SELECT 0.1::float4"), "0.1");
  EXPECT_EQ(MustQuery(sql, "SHOW application_name"), "wallaby");
}

TEST_P(ConnectionTest, SettingsAndTheDsnsOwnOptions) {
  ConnectOptions options;
  options.settings["search_path"] = "one, \"t w\\o\"";
  auto sql = PgConnection::Connect(server().dsn() + "?options=-c%20work_mem%3D5MB%20-c%20DateStyle%3DGerman", options);
  ASSERT_TRUE(sql.ok()) << sql.status();
  EXPECT_EQ(MustQuery(**sql, "SHOW search_path"), "one, \"t w\\o\"");
  EXPECT_EQ(MustQuery(**sql, "SHOW work_mem"), "5MB");
  EXPECT_EQ(MustQuery(**sql, "SHOW DateStyle").substr(0, 3), "ISO");
}

TEST_P(ConnectionTest, ReplicationConnectionsTakeTheSettingsToo) {
  ConnectOptions options;
  options.replication = true;
  auto sql = PgConnection::Connect(server().dsn(), options);
  ASSERT_TRUE(sql.ok()) << sql.status();
  EXPECT_EQ(MustQuery(**sql, "SHOW TimeZone"), "UTC");
  EXPECT_NE(MustQuery(**sql, "IDENTIFY_SYSTEM"), "");
}

TEST_P(ConnectionTest, ParametersAndNulls) {
  auto rows = connection_->Query("SELECT $1::text, $2::int + 1, $3::bool", {std::nullopt, "41", "true"});
  ASSERT_TRUE(rows.ok()) << rows.status();
  EXPECT_TRUE(rows->IsNull(0, 0));
  EXPECT_EQ(rows->Int(0, 1), 42);
  EXPECT_TRUE(rows->Bool(0, 2));
  EXPECT_EQ(connection_->Query("SELECT $1::text", {std::string("a\0b", 3)}).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_P(ConnectionTest, ErrorsAreMapped) {
  const auto code = [this](const std::string& statement) { return connection_->Execute(statement).code(); };
  EXPECT_EQ(code("SELECT * FROM nowhere"), absl::StatusCode::kNotFound);
  EXPECT_EQ(code("SELECT 1/0"), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code("SELEKT"), absl::StatusCode::kInternal);
  EXPECT_EQ(code("CREATE TEMP TABLE t (a int unique); CREATE TEMP TABLE t (a int)"), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(code("CREATE ROLE no_rights; SET ROLE no_rights; CREATE SCHEMA x"), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(code("BEGIN; SET LOCAL statement_timeout = 1; SELECT pg_sleep(1)"), absl::StatusCode::kCancelled);
  EXPECT_EQ(code("ROLLBACK"), absl::StatusCode::kOk);
  const absl::Status duplicate =
      connection_->Execute("CREATE TEMP TABLE u (a text unique); INSERT INTO u VALUES ('secret'), ('secret')");
  EXPECT_EQ(duplicate.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(duplicate.message(), HasSubstr("SQLSTATE 23505"));
  EXPECT_THAT(duplicate.message(), Not(HasSubstr("Key (a)")));
}

TEST_P(ConnectionTest, ConnectErrorsSayWhatFailed) {
  const auto no_database = PgConnection::Connect(server().Dsn("nowhere"));
  EXPECT_EQ(no_database.status().code(), absl::StatusCode::kNotFound) << no_database.status();
  const auto no_role = PgConnection::Connect(server().Dsn("postgres", "nobody:hunter2"));
  EXPECT_EQ(no_role.status().code(), absl::StatusCode::kUnauthenticated) << no_role.status();
  EXPECT_THAT(no_role.status().message(), HasSubstr("as nobody: role \"nobody\" does not exist"));
  EXPECT_THAT(no_role.status().message(), Not(HasSubstr("hunter2")));
  const auto refused = PgConnection::Connect("host=127.0.0.1 port=1 user=x");
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kUnavailable) << refused.status();
}

TEST_P(ConnectionTest, TriesEachHostOfTheDsn) {
  const std::string port = MustQuery(*connection_, "SHOW port");
  auto sql = PgConnection::Connect("host=127.0.0.1,127.0.0.1 port=1," + port +
                                   " user=postgres dbname=postgres target_session_attrs=read-write");
  ASSERT_TRUE(sql.ok()) << sql.status();
  EXPECT_EQ(MustQuery(**sql, "SHOW port"), port);
}

TEST_P(ConnectionTest, CopyInAndOut) {
  PgConnection& sql = *connection_;
  MustExecute(sql, "CREATE TEMP TABLE c (a int, b text)");
  ASSERT_TRUE(sql.BeginCopyIn("COPY c FROM STDIN").ok());
  ASSERT_TRUE(sql.PutCopyData("1\to").ok());
  ASSERT_TRUE(sql.PutCopyData("ne\n2\ttwo\n").ok());
  EXPECT_EQ(sql.EndCopyIn().value(), 2);

  ASSERT_TRUE(sql.BeginCopyIn("COPY c FROM STDIN").ok());
  ASSERT_TRUE(sql.PutCopyData("3\tthree\n").ok());
  sql.AbortCopyIn("changed my mind");
  EXPECT_EQ(MustQuery(sql, "SELECT count(*) FROM c"), "2");

  ASSERT_TRUE(sql.BeginCopyIn("COPY c FROM STDIN").ok());
  ASSERT_TRUE(sql.PutCopyData("x\ty\n").ok());
  EXPECT_EQ(sql.EndCopyIn().status().code(), absl::StatusCode::kInvalidArgument);

  ASSERT_TRUE(sql.BeginCopyOut("COPY (SELECT a FROM c ORDER BY a) TO STDOUT").ok());
  std::string all;
  std::string_view row;
  while (sql.GetCopyRow(&row).value()) all += row;
  EXPECT_EQ(all, "1\n2\n");
  EXPECT_EQ(sql.BeginCopyOut("COPY nowhere TO STDOUT").code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(MustQuery(sql, "SELECT 1"), "1");
}

TEST_P(ConnectionTest, ServerErrorDuringCopyIsTheReason) {
  PgConnection& sql = *connection_;
  MustExecute(sql, "CREATE TEMP TABLE c (a int)");
  ASSERT_TRUE(sql.BeginCopyIn("COPY c FROM STDIN").ok());
  const std::string junk = "junk\n" + std::string(1 << 20, '1') + "\n";
  absl::Status status;
  for (int i = 0; i < 100 && status.ok(); ++i) status = sql.PutCopyData(junk);
  if (status.ok()) status = sql.EndCopyIn().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  EXPECT_EQ(MustQuery(sql, "SELECT 1"), "1");
}

TEST_P(ConnectionTest, CancelFromAnotherThread) {
  auto observer = MustConnect(server().dsn());
  const std::string running = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND pid = " +
                              std::to_string(connection_->backend_pid());
  std::thread other([&] {
    while (MustQuery(*observer, running) != "1") std::this_thread::yield();
    EXPECT_TRUE(connection_->Cancel().ok());
  });
  EXPECT_EQ(connection_->Execute("SELECT pg_sleep(60)").code(), absl::StatusCode::kCancelled);
  other.join();
}

TEST_P(ConnectionTest, LostConnectionIsUnavailable) {
  auto other = MustConnect(server().dsn());
  MustExecute(*other, "SELECT pg_terminate_backend(" + std::to_string(connection_->backend_pid()) + ")");
  EXPECT_EQ(connection_->Execute("SELECT 1").code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(connection_->Execute("SELECT 1").code(), absl::StatusCode::kUnavailable);
}

TEST_P(ConnectionTest, DatabaseInAnotherEncoding) {
  const std::string dsn = server().CreateDatabase("ENCODING 'LATIN1' TEMPLATE template0");
  EXPECT_EQ(MustQuery(*MustConnect(dsn), "SELECT chr(228)"), "\xc3\xa4");
}

TEST(DsnTest, ComplaintsNameTheKeywordAndNoValue) {
  const auto unknown = PgConnection::Connect("postgres://u:hunter2@h/d?passwrd=hunter3");
  EXPECT_EQ(unknown.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(unknown.status().message(), HasSubstr("\"passwrd\""));
  const auto split = PgConnection::Connect("host=h password=my hunter2");
  EXPECT_EQ(split.status().code(), absl::StatusCode::kInvalidArgument);
  for (const auto& status : {unknown.status(), split.status()}) {
    EXPECT_THAT(status.message(), Not(HasSubstr("hunter")));
  }
  EXPECT_EQ(PgConnection::Connect("").status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_P(ConnectionTest, AnAnswerThatDoesNotComeEndsTheConnection) {
  ConnectOptions options;
  options.answer_limit = absl::Milliseconds(300);
  auto sql = PgConnection::Connect(server().dsn(), options);
  ASSERT_TRUE(sql.ok()) << sql.status();
  EXPECT_EQ(MustQuery(**sql, "SELECT 1; SELECT 2"), "2");
  EXPECT_EQ((*sql)->Query("SELECT $1::int / 0", {"1"}).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(MustQuery(**sql, "SHOW lock_timeout"), "150ms");
  const absl::Status silent = (*sql)->Execute("SELECT pg_sleep(60)");
  EXPECT_EQ(silent.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(silent.message()), HasSubstr("no answer from the server within 300ms"));
  EXPECT_EQ((*sql)->Execute("SELECT 1").code(), absl::StatusCode::kUnavailable);
}

TEST_P(ConnectionTest, SilenceLimitIsTheDsnsUserTimeout) {
  EXPECT_EQ(connection_->silence_limit(), absl::Minutes(1));
  EXPECT_EQ(MustConnect(server().dsn() + "?tcp_user_timeout=2500")->silence_limit(), absl::Milliseconds(2500));
  EXPECT_EQ(MustConnect(server().dsn() + "?tcp_user_timeout=0")->silence_limit(), absl::InfiniteDuration());
}

}  // namespace
}  // namespace wallaby
