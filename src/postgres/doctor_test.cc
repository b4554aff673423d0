// The doctor against real servers: each check is made to fire, what it printed is run, and the finding is gone.
#include "postgres/doctor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <libpq-fe.h>

#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "postgres/server_checks.h"
#include "postgres/slot.h"
#include "test/support/test_postgres.h"

namespace wallaby {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

std::vector<Diagnosis> Examine(const DoctorOptions& options) {
  auto sql = MustConnect(options.source.dsn);
  auto report = ExamineSource(*sql, options);
  EXPECT_TRUE(report.ok()) << report.status();
  for (const Diagnosis& d : *report) {
    EXPECT_THAT(d.sentence, Not(HasSubstr("could not be checked"))) << d.check;
    EXPECT_FALSE(d.sentence.empty()) << d.check;
    EXPECT_EQ(d.sql.empty(), d.run_as.empty()) << d.check;
  }
  return report.ok() ? *std::move(report) : std::vector<Diagnosis>();
}

// "status check object" of all that is not ok, but for `besides`.
std::vector<std::string> Found(const DoctorOptions& options, std::string_view besides = "wal_keep_limit") {
  std::vector<std::string> found;
  for (const Diagnosis& d : Examine(options)) {
    if (d.health == Health::kOk || d.check == besides) continue;
    found.push_back(absl::StrCat(HealthName(d.health), " ", d.check, d.object.empty() ? "" : " ", d.object));
  }
  return found;
}

std::optional<Diagnosis> Find(const DoctorOptions& options, std::string_view check, std::string_view object = "") {
  for (Diagnosis& d : Examine(options)) {
    if (d.check == check && d.health != Health::kOk && absl::StrContains(d.object, object)) return std::move(d);
  }
  return std::nullopt;
}

// As psql would: ALTER SYSTEM stands by itself; a replication command goes over a replication connection.
void RunSql(const std::string& dsn, const std::string& text) {
  ASSERT_FALSE(text.empty());
  ConnectOptions how;
  how.replication = absl::StartsWith(text, "ALTER_REPLICATION_SLOT");
  auto sql = PgConnection::Connect(dsn, how);
  ASSERT_TRUE(sql.ok()) << sql.status();
  std::vector<std::string> statements = {text};
  if (absl::StrContains(text, "ALTER SYSTEM")) statements = absl::StrSplit(text, '\n');
  for (const std::string& statement : statements) {
    const absl::Status status = (*sql)->Execute(statement);
    EXPECT_TRUE(status.ok()) << status << "\n" << statement;
  }
}

class DoctorTest : public ::testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    admin_ = server().CreateDatabase();
    options_.source.dsn = admin_;
    sql_ = MustConnect(admin_);
    database_ = MustQuery(*sql_, "SELECT current_database()");
  }
  void TearDown() override {
    MustExecute(*sql_,
                "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = "
                "current_database() AND NOT active");
  }
  TestPostgres& server() { return TestPostgres::Shared(GetParam()); }

  // The check finds something, what it prints mends it.
  void FiresAndMends(Health health, const std::string& check, const std::string& object = "") {
    const auto found = Find(options_, check, object);
    ASSERT_TRUE(found) << check << " found nothing";
    EXPECT_EQ(found->health, health) << check;
    RunSql(admin_, found->sql);
    EXPECT_FALSE(Find(options_, check, object)) << check << " after " << found->sql;
  }

  DoctorOptions options_;
  std::string admin_;  // a superuser's DSN
  std::string database_;
  std::unique_ptr<PgConnection> sql_;
};

INSTANTIATE_TEST_SUITE_P(Servers, DoctorTest, ::testing::Values(14, 15, 16, 17, 18));

TEST_P(DoctorTest, EveryCheckIsInTheReportInOneOrder) {
  MustExecute(*sql_, "CREATE TABLE a (id int PRIMARY KEY, t text); CREATE PUBLICATION p FOR TABLE a");
  std::vector<std::string> checks;
  for (const Diagnosis& d : Examine(options_)) {
    checks.push_back(d.check);
    if (d.check == "wal_keep_limit") continue;
    EXPECT_EQ(d.health, Health::kOk) << d.check << ": " << d.sentence;
  }
  EXPECT_THAT(checks, ElementsAre("connection", "server_version", "wal_level", "replication_slots", "wal_senders",
                                  "output_plugin_libraries", "standby", "wal_keep_limit", "idle_slot_timeout", "pooler",
                                  "role", "replication_connection", "event_trigger", "slot", "slot_in_use", "failover",
                                  "long_transactions", "prepared_transactions", "publication", "publication_rights",
                                  "partitions", "replica_identity", "toast_fetch", "table_rights", "row_security",
                                  "unlogged_tables", "foreign_tables", "generated_columns", "column_lists",
                                  "row_filters", "own_tables", "types"));
}

TEST_P(DoctorTest, ReplicaIdentityByTheLeastThatIsNeeded) {
  MustExecute(*sql_,
              "CREATE TABLE keyless (a int); CREATE TABLE nothing (id int PRIMARY KEY);"
              "ALTER TABLE nothing REPLICA IDENTITY NOTHING;"
              "CREATE TABLE uniq (a int NOT NULL, b int); CREATE UNIQUE INDEX uniq_a ON uniq (a);"
              "CREATE TABLE \"Or'd\" (\"a;b\" int);"
              "INSERT INTO keyless VALUES (1); INSERT INTO nothing VALUES (1); INSERT INTO uniq VALUES (1);");
  for (const bool published : {false, true}) {
    if (published) MustExecute(*sql_, "CREATE PUBLICATION p FOR TABLE keyless, nothing, uniq, \"Or'd\"");
    EXPECT_THAT(
        Found(options_),
        ElementsAre("problem replica_identity table public.Or'd", "problem replica_identity table public.keyless",
                    "problem replica_identity table public.nothing", "problem replica_identity table public.uniq"));
  }
  EXPECT_FALSE(sql_->Execute("UPDATE keyless SET a = 2").ok()) << "it was no problem";
  EXPECT_THAT(Find(options_, "replica_identity", "uniq")->sql, HasSubstr("USING INDEX \"uniq_a\""));
  EXPECT_THAT(Find(options_, "replica_identity", "nothing")->sql, HasSubstr("IDENTITY DEFAULT"));
  for (const char* table : {"keyless", "nothing", "uniq", "Or'd"}) {
    FiresAndMends(Health::kProblem, "replica_identity", table);
  }
  MustExecute(*sql_, "UPDATE keyless SET a = 2; UPDATE nothing SET id = 2; DELETE FROM uniq");
  EXPECT_THAT(Found(options_), IsEmpty());
}

TEST_P(DoctorTest, Partitions) {
  MustExecute(*sql_,
              "CREATE TABLE root (a int PRIMARY KEY) PARTITION BY RANGE (a);"
              "CREATE TABLE leaf PARTITION OF root DEFAULT; CREATE PUBLICATION p FOR TABLE root");
  FiresAndMends(Health::kWarning, "partitions", "publication p");
  EXPECT_THAT(Found(options_), IsEmpty());
  // Each partition has an identity of its own.
  MustExecute(*sql_, "ALTER TABLE leaf REPLICA IDENTITY NOTHING");
  FiresAndMends(Health::kProblem, "replica_identity", "public.leaf");
}

TEST_P(DoctorTest, WhatThePublicationLeavesOut) {
  MustExecute(*sql_,
              "CREATE TABLE gen (id int PRIMARY KEY, g int GENERATED ALWAYS AS (id) STORED);"
              "CREATE UNLOGGED TABLE fleeting (a int PRIMARY KEY);"
              "CREATE PUBLICATION p FOR ALL TABLES WITH (publish = 'insert, truncate')");
  FiresAndMends(Health::kWarning, "publication", "publication p");
  FiresAndMends(Health::kWarning, "unlogged_tables", "public.fleeting");
  if (GetParam() >= 18) {
    FiresAndMends(Health::kWarning, "generated_columns", "public.gen");
  } else {
    EXPECT_THAT(Examine(options_),
                Contains(Field(&Diagnosis::sentence, HasSubstr("generated columns are not replicated: g"))));
  }
  EXPECT_THAT(Found(options_), IsEmpty());
}

TEST_P(DoctorTest, FiltersAndLists) {
  if (GetParam() < 15) GTEST_SKIP() << "PostgreSQL 14 has neither row filters nor column lists";
  MustExecute(*sql_,
              "CREATE TABLE a (id int PRIMARY KEY, b int); CREATE PUBLICATION p FOR TABLE a (id) WHERE (id > 3)");
  const auto report = Examine(options_);
  EXPECT_THAT(report, Contains(Field(&Diagnosis::sentence, HasSubstr("column list leaves out: b"))));
  EXPECT_THAT(report, Contains(Field(&Diagnosis::sentence, HasSubstr("only rows with (id > 3) are replicated"))));
  EXPECT_THAT(Found(options_), IsEmpty());
}

TEST_P(DoctorTest, NamedPublication) {
  MustExecute(*sql_, "CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY)");
  options_.source.publication = "p";
  options_.source.ensure_publication = false;
  options_.source.publication_tables = {"public.a"};
  FiresAndMends(Health::kProblem, "publication");
  options_.source.publication_tables = {"public.a", "public.b"};
  FiresAndMends(Health::kWarning, "publication");
  EXPECT_EQ(MustQuery(*sql_, "SELECT count(*) FROM pg_publication_tables"), "2");
}

TEST_P(DoctorTest, Types) {
  MustExecute(*sql_,
              "CREATE TYPE pair AS (a int, b int); CREATE TYPE mood AS ENUM ('well', 'ill');"
              "CREATE TABLE a (id int PRIMARY KEY, t text, v varchar(3), n numeric(10, 2), j jsonb, m mood,"
              " free numeric, address inet, list int[], two pair)");
  const auto sentence = [this] {
    const auto found = Find(options_, "types", "table public.a");
    return found ? found->sentence : "";
  };
  EXPECT_EQ(sentence(),
            "columns are carried as text at some destinations, with every value whole: free (numeric), address (inet), "
            "list (integer[]), two (public.pair)");
  MustExecute(*sql_, "CREATE PUBLICATION p FOR TABLE a");
  EXPECT_THAT(sentence(), HasSubstr("free (numeric), address (inet), list (integer[]), two (public.pair)"));
  options_.only_postgres = true;
  EXPECT_EQ(sentence(), "a column is carried as text, with every value whole: two (public.pair)");
}

// The role of docs/sources/postgres.md, from nothing to all that it needs, by the printed SQL alone.
TEST_P(DoctorTest, LeastPrivileges) {
  const std::string role = "role_" + database_;
  MustExecute(*sql_, "CREATE SCHEMA shop; CREATE TABLE shop.orders (id int PRIMARY KEY); CREATE ROLE " + role +
                         " LOGIN; ALTER TABLE shop.orders ENABLE ROW LEVEL SECURITY");
  options_.source.dsn = server().Dsn(database_, role);
  EXPECT_THAT(Found(options_), ElementsAre("problem role role", "warning publication_rights database " + database_,
                                           "warning table_rights table shop.orders"));
  DoctorOptions probe = options_;
  FiresAndMends(Health::kWarning, "publication_rights");
  MustExecute(*sql_, "REVOKE CREATE ON DATABASE " + database_ + " FROM " + role);

  options_.source.slot = "s_" + database_;
  options_.source.publication = "p";
  options_.source.publication_tables = {"shop.orders"};
  options_.source.capture_ddl = true;
  options_.wants_capture = true;
  EXPECT_THAT(Found(options_),
              ElementsAre("problem role role", "problem event_trigger event trigger wallaby_ddl_capture",
                          "problem publication_rights publication p", "problem publication_rights publication p",
                          "problem table_rights table shop.orders"));
  FiresAndMends(Health::kProblem, "role");
  FiresAndMends(Health::kProblem, "event_trigger");
  FiresAndMends(Health::kProblem, "publication_rights");
  FiresAndMends(Health::kProblem, "table_rights");
  FiresAndMends(Health::kProblem, "row_security");
  EXPECT_THAT(Found(options_), IsEmpty());
  EXPECT_EQ(MustQuery(*sql_, "SELECT has_database_privilege('" + role + "', current_database(), 'CREATE')"), "f");
  options_.source.create_slot = false;
  FiresAndMends(Health::kProblem, "slot");
  EXPECT_THAT(Found(options_), IsEmpty());

  // With no more rights than that, all of the source is looked at.
  EXPECT_THAT(Found(probe), IsEmpty());
}

TEST_P(DoctorTest, SlotsOfOtherKinds) {
  const std::string slot = "s_" + database_;
  MustExecute(*sql_, "SELECT pg_create_logical_replication_slot('" + slot + "', 'test_decoding')");
  EXPECT_THAT(Found(options_), IsEmpty()) << "somebody else's";
  options_.source.slot = slot;
  EXPECT_THAT(Find(options_, "slot")->sentence, HasSubstr("test_decoding, not pgoutput"));
  EXPECT_EQ(Find(options_, "slot")->health, Health::kProblem);
}

TEST_P(DoctorTest, OpenTransactions) {
  options_.long_transaction = absl::ZeroDuration();
  MustExecute(*sql_, "CREATE TABLE a (id int PRIMARY KEY)");
  auto session = MustConnect(admin_);
  MustExecute(*session, "BEGIN; INSERT INTO a VALUES (1)");
  const std::string gid = "it's " + database_;
  auto preparing = MustConnect(admin_);
  MustExecute(*preparing, "BEGIN; INSERT INTO a VALUES (2); PREPARE TRANSACTION 'it''s " + database_ + "'");

  // Other tests have transactions of their own on this server.
  const auto of = [this](std::string_view check, const std::string& what) -> std::optional<Diagnosis> {
    for (Diagnosis& d : Examine(options_)) {
      if (d.check == check && absl::StrContains(d.sentence, what)) return std::move(d);
    }
    return std::nullopt;
  };
  const std::string pid = absl::StrCat("pid ", session->backend_pid(), " ");
  const auto held = of("long_transactions", pid);
  ASSERT_TRUE(held);
  EXPECT_THAT(held->sentence, HasSubstr("(idle in transaction, "));
  EXPECT_EQ(held->health, Health::kWarning);
  const auto prepared = of("prepared_transactions", database_);
  ASSERT_TRUE(prepared);
  EXPECT_THAT(prepared->sentence, HasSubstr("prepared transaction 'it''s " + database_ + "'"));

  // A role that may see no ages says so, and guesses nothing.
  const std::string role = "role_" + database_;
  MustExecute(*sql_, "CREATE ROLE " + role + " LOGIN REPLICATION");
  DoctorOptions least = options_;
  least.source.dsn = server().Dsn(database_, role);
  bool told = false;
  for (const Diagnosis& d : Examine(least)) {
    if (d.check != "long_transactions") continue;
    EXPECT_EQ(d.health, Health::kOk);
    told = told || absl::StrContains(d.sentence, "pg_read_all_stats");
  }
  EXPECT_TRUE(told);

  RunSql(admin_, held->sql);
  RunSql(admin_, prepared->sql);
  EXPECT_FALSE(of("long_transactions", pid));
  EXPECT_FALSE(of("prepared_transactions", database_));
}

TEST_P(DoctorTest, NoSuchSlotOrPublication) {
  MustExecute(*sql_, "CREATE TABLE a (id int PRIMARY KEY)");
  options_.source.slot = "s_" + database_;
  options_.source.publication = "p";
  options_.source.create_slot = options_.source.ensure_publication = false;
  FiresAndMends(Health::kProblem, "slot");
  FiresAndMends(Health::kProblem, "publication");
  options_.source.slot = "Böse Slot";
  const auto found = Find(options_, "slot", "slot Böse Slot");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->sql, "") << "PostgreSQL would refuse it";
  EXPECT_THAT(found->sentence, HasSubstr("lower case letters, digits and _"));
}

class DoctorServerTest : public ::testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Servers, DoctorServerTest, ::testing::Values(15, 18));

TEST_P(DoctorServerTest, SettingsFromBadToGood) {
  std::vector<std::string> settings = {"wal_level=replica", "max_replication_slots=1", "max_wal_senders=1",
                                       "max_slot_wal_keep_size=100MB"};
  if (GetParam() >= 18) settings.push_back("idle_replication_slot_timeout=600s");
  TestPostgres server(GetParam(), settings);
  DoctorOptions options;
  options.source.dsn = server.dsn();
  {
    auto sql = MustConnect(server.dsn());
    MustExecute(*sql, "SELECT pg_create_physical_replication_slot('taken')");
  }
  std::vector<std::string> expected = {"problem wal_level wal_level", "problem replication_slots max_replication_slots",
                                       "warning wal_senders max_wal_senders",
                                       "warning wal_keep_limit max_slot_wal_keep_size"};
  if (GetParam() >= 18) expected.push_back("warning idle_slot_timeout idle_replication_slot_timeout");
  EXPECT_EQ(Found(options, ""), expected);
  {
    // All WAL senders taken.
    ConnectOptions replication;
    replication.replication = true;
    const auto taken = PgConnection::Connect(server.dsn(), replication);
    ASSERT_TRUE(taken.ok()) << taken.status();
    auto sql = MustConnect(server.dsn());
    const auto report = ExamineSource(*sql, options);
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_THAT(*report, Contains(Field(&Diagnosis::sentence,
                                        HasSubstr("1 of 1 WAL senders are in use, so that a flow cannot begin"))));
  }
  for (const Diagnosis& d : Examine(options)) {
    if (d.health != Health::kOk) RunSql(server.dsn(), d.sql);
  }
  server.Restart();
  EXPECT_THAT(Found(options, ""), IsEmpty());

  // No limit at all.
  RunSql(server.dsn(), "ALTER SYSTEM SET max_slot_wal_keep_size = -1;\nSELECT pg_reload_conf();");
  // A reload is done when it is done.
  while (!Find(options, "wal_keep_limit")) absl::SleepFor(absl::Milliseconds(20));
  RunSql(server.dsn(), Find(options, "wal_keep_limit")->sql);
  while (Find(options, "wal_keep_limit")) absl::SleepFor(absl::Milliseconds(20));
}

TEST_P(DoctorServerTest, LostSlot) {
  TestPostgres server(GetParam(), {"max_slot_wal_keep_size=2MB", "min_wal_size=32MB", "max_wal_size=32MB"});
  auto sql = MustConnect(server.dsn());
  MustExecute(*sql, "CREATE TABLE a (id int PRIMARY KEY)");
  MustExecute(*sql, "SELECT pg_create_logical_replication_slot('s', 'pgoutput')");
  DoctorOptions options;
  options.source.dsn = server.dsn();
  for (int i = 0; i < 20 && !Find(options, "slot", "slot s"); ++i) {
    MustExecute(*sql, "SELECT pg_switch_wal(); INSERT INTO a VALUES (" + std::to_string(i) + "); ");
    MustExecute(*sql, "CHECKPOINT");
  }
  const auto found = Find(options, "slot", "slot s");
  ASSERT_TRUE(found);
  while (Find(options, "slot", "slot s")->health != Health::kProblem) {
    MustExecute(*sql, "SELECT pg_switch_wal(); DELETE FROM a; INSERT INTO a VALUES (1)");
    MustExecute(*sql, "CHECKPOINT");
  }
  RunSql(server.dsn(), Find(options, "slot", "slot s")->sql);
  EXPECT_FALSE(Find(options, "slot", "slot s"));
}

class DoctorFailoverTest : public ::testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Servers, DoctorFailoverTest, ::testing::Values(16, 17, 18));

TEST_P(DoctorFailoverTest, SlotThatAFailoverWouldLose) {
  TestPostgres server(GetParam());
  auto sql = MustConnect(server.dsn());
  MustExecute(*sql,
              "SELECT pg_create_logical_replication_slot('s', 'pgoutput');"
              "SELECT pg_create_physical_replication_slot('standby', true)");
  DoctorOptions options;
  options.source.dsn = server.dsn();
  EXPECT_FALSE(Find(options, "failover")) << "nobody reads the physical slot";
  // Who reads it stands for a standby.
  ConnectOptions replication;
  replication.replication = true;
  auto standby = PgConnection::Connect(server.dsn(), replication);
  ASSERT_TRUE(standby.ok()) << standby.status();
  const std::string start =
      "START_REPLICATION SLOT standby PHYSICAL " + MustQuery(*sql, "SELECT pg_current_wal_flush_lsn()");
  PGresult* result = PQexec((*standby)->raw(), start.c_str());
  EXPECT_EQ(PQresultStatus(result), PGRES_COPY_BOTH) << PQresultErrorMessage(result);
  PQclear(result);
  if (GetParam() < 17) {
    EXPECT_FALSE(Find(options, "failover"));
    EXPECT_THAT(Examine(options), Contains(Field(&Diagnosis::sentence, HasSubstr("has no failover slots"))));
    return;
  }
  const auto lost = Find(options, "failover", "slot s");
  ASSERT_TRUE(lost);
  EXPECT_THAT(lost->sentence, HasSubstr("is not a failover slot: when the standby behind slot standby"));
  RunSql(server.dsn(), lost->sql);
  const auto ahead = Find(options, "failover", "slot s");
  ASSERT_TRUE(ahead);
  EXPECT_THAT(ahead->sentence, HasSubstr("synchronized_standby_slots is empty"));
  RunSql(server.dsn(), ahead->sql);
  while (Find(options, "failover", "slot s")) absl::SleepFor(absl::Milliseconds(20));
  EXPECT_EQ(MustQuery(*MustConnect(server.dsn()), "SHOW synchronized_standby_slots"), "standby");
}

TEST(DoctorWordsTest, OutputPlugins) {
  EXPECT_TRUE(NamesPgoutput("pgoutput, test_decoding"));
  EXPECT_TRUE(NamesPgoutput("wal2json,\"pgoutput\""));
  EXPECT_FALSE(NamesPgoutput(""));
  EXPECT_FALSE(NamesPgoutput("test_decoding, my_pgoutput, PGOUTPUT"));
}

TEST(DoctorWordsTest, NoConnection) {
  const auto refused = DiagnoseNoConnection(absl::UnavailableError("connection refused"));
  ASSERT_EQ(refused.size(), 1u);
  EXPECT_EQ(refused[0].check, "connection");
  EXPECT_EQ(refused[0].health, Health::kProblem);
  EXPECT_EQ(DiagnoseNoConnection(absl::FailedPreconditionError("a connection pooler stands between"))[0].check,
            "pooler");
}

}  // namespace
}  // namespace wallaby
