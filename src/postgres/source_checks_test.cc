#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "postgres/catalog.h"
#include "postgres/slot.h"
#include "test/support/test_postgres.h"

namespace wallaby {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class SourceChecksTest : public ::testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    options_.dsn = server().CreateDatabase();
    sql_ = MustConnect(options_.dsn);
    database_ = MustQuery(*sql_, "SELECT current_database()");
    options_.slot = "checks_" + database_;
    options_.publication = "p";
  }
  void TearDown() override { (void)DropSlot(*sql_, options_.slot); }
  TestPostgres& server() { return TestPostgres::Shared(GetParam()); }

  // "E subject: message | remedy"
  std::vector<std::string> Check() {
    auto sql = MustConnect(options_.dsn);
    const auto findings = CheckSource(*sql, options_);
    EXPECT_TRUE(findings.ok()) << findings.status();
    std::vector<std::string> shown;
    for (const Finding& finding : *findings) {
      shown.push_back(absl::StrCat(std::string(1, "EWI"[static_cast<int>(finding.severity)]), " ", finding.subject,
                                   ": ", finding.message, " | ", finding.remedy));
    }
    return shown;
  }

  SourceOptions options_;
  std::string database_;
  std::unique_ptr<PgConnection> sql_;
};

INSTANTIATE_TEST_SUITE_P(Servers, SourceChecksTest, ::testing::Values(14, 15, 16, 17, 18));

TEST_P(SourceChecksTest, NothingToFind) {
  MustExecute(*sql_, "CREATE TABLE a (id int PRIMARY KEY)");
  EXPECT_THAT(Check(), ::testing::IsEmpty());
  MustExecute(*sql_, "CREATE PUBLICATION p FOR TABLE a");
  EXPECT_THAT(Check(), ::testing::IsEmpty());
}

TEST_P(SourceChecksTest, Tables) {
  MustExecute(*sql_,
              "CREATE TABLE keyless (a int); CREATE TABLE nothing (id int PRIMARY KEY);"
              "ALTER TABLE nothing REPLICA IDENTITY NOTHING; CREATE UNLOGGED TABLE fleeting (a int);"
              "CREATE TABLE gen (id int PRIMARY KEY, g int GENERATED ALWAYS AS (id) STORED);"
              "CREATE TABLE root (a int) PARTITION BY RANGE (a); ALTER TABLE root REPLICA IDENTITY FULL;"
              "CREATE TABLE leaf PARTITION OF root DEFAULT");
  const auto before = Check();
  EXPECT_THAT(before,
              Contains(AllOf(StartsWith("E table public.keyless: has no primary key: as soon as the flow publishes"),
                             HasSubstr("| ALTER TABLE \"public\".\"keyless\" REPLICA IDENTITY FULL"))));
  EXPECT_THAT(before, Contains(StartsWith("E table public.leaf: has no primary key")));
  EXPECT_THAT(before, Contains(StartsWith("E table public.nothing: has REPLICA IDENTITY NOTHING")));
  EXPECT_THAT(before, Contains(StartsWith("I table public.fleeting: is unlogged")));
  EXPECT_THAT(before, Each(Not(HasSubstr("pg_catalog"))));
  MustExecute(*sql_, "CREATE PUBLICATION p FOR ALL TABLES WITH (publish_via_partition_root = true)");
  const auto after = Check();
  EXPECT_THAT(after, Contains(StartsWith("W table public.keyless: has no primary key: UPDATE and DELETE on it FAIL")));
  EXPECT_THAT(after, Contains(StartsWith("W table public.leaf: has no primary key")));
  EXPECT_THAT(after, Contains(StartsWith("I table public.gen: generated columns are not replicated: g")));
  options_.toast_fetch = ToastFetch::kFull;
  EXPECT_THAT(Check(), Contains(StartsWith("E table public.gen: toast_fetch=full needs REPLICA IDENTITY FULL")));
}

TEST_P(SourceChecksTest, Publication) {
  MustExecute(*sql_, "CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY)");
  options_.publication_tables = {"public.a", "public.gone"};
  EXPECT_THAT(Check(), Contains(AllOf(StartsWith("E publication p:"), HasSubstr("public.gone"))));
  options_.publication_tables = {"public.a"};
  options_.ensure_publication = false;
  EXPECT_THAT(Check(), Contains(AllOf(StartsWith("E publication p: there is no such publication"),
                                      HasSubstr("| CREATE PUBLICATION \"p\" FOR TABLE \"public\".\"a\""))));
  MustExecute(*sql_, "CREATE PUBLICATION p FOR TABLE b WITH (publish = 'insert, truncate')");
  auto found = Check();
  EXPECT_THAT(found, Contains(StartsWith("W publication p: does not publish update, delete")));
  EXPECT_THAT(found, Contains(HasSubstr("does not carry \"public\".\"a\"")));
  options_.sync_publication = true;
  options_.sync_publication_mode = PublicationMode::kSync;
  EXPECT_THAT(Check(), Contains(HasSubstr("carries \"public\".\"b\", which sync_publication_mode=sync takes out")));
  MustExecute(*sql_, "DROP PUBLICATION p; CREATE PUBLICATION p FOR ALL TABLES");
  EXPECT_THAT(Check(), Contains(StartsWith("E publication p: is FOR ALL TABLES")));
}

TEST_P(SourceChecksTest, FiltersAndLists) {
  if (GetParam() < 15) GTEST_SKIP() << "PostgreSQL 14 has neither row filters nor column lists";
  MustExecute(*sql_,
              "CREATE TABLE a (id int PRIMARY KEY, b int); CREATE PUBLICATION p FOR TABLE a (id) WHERE (id > 3)");
  const auto found = Check();
  EXPECT_THAT(found, Contains(HasSubstr("column list leaves out: b")));
  EXPECT_THAT(found, Contains(HasSubstr("only rows with (id > 3)")));
}

TEST_P(SourceChecksTest, Slot) {
  options_.create_slot = false;
  EXPECT_THAT(Check(), Contains(AllOf(StartsWith("E slot"), HasSubstr("pg_create_logical_replication_slot"))));
  MustExecute(*sql_, absl::StrCat("SELECT pg_create_logical_replication_slot('", options_.slot, "', 'test_decoding')"));
  EXPECT_THAT(Check(), Contains(AllOf(StartsWith("E slot"), HasSubstr("test_decoding, not pgoutput"))));
  options_.slot = "other_" + options_.slot;
  options_.failover = true;
  options_.create_slot = true;
  if (GetParam() >= 17) return;
  EXPECT_THAT(Check(), Contains(StartsWith("E option failover")));
}

// The least rights that docs/sources/postgres.md gives, and what is said when one is missing.
TEST_P(SourceChecksTest, LeastPrivileges) {
  const std::string role = "role_" + database_;
  MustExecute(*sql_,
              "CREATE SCHEMA shop; CREATE TABLE shop.orders (id int PRIMARY KEY); CREATE ROLE " + role + " LOGIN");
  options_.dsn = server().Dsn(database_, role);
  options_.publication_tables = {"shop.orders"};
  auto found = Check();
  EXPECT_THAT(found, Contains(AllOf(StartsWith("E role:"), HasSubstr("| ALTER ROLE \"" + role + "\" REPLICATION"))));
  EXPECT_THAT(found, Contains(AllOf(StartsWith("E publication p:"), HasSubstr("| GRANT CREATE ON DATABASE"))));
  EXPECT_THAT(found, Contains(AllOf(StartsWith("E publication p:"), HasSubstr("does not own shop.orders"))));
  EXPECT_THAT(found,
              Contains(AllOf(StartsWith("E table shop.orders:"), HasSubstr("GRANT SELECT ON \"shop\".\"orders\""))));
  options_.publication_tables.clear();
  EXPECT_THAT(Check(),
              Contains(AllOf(StartsWith("E publication p:"), HasSubstr("as a superuser: CREATE PUBLICATION"))));

  MustExecute(*sql_, absl::StrCat("ALTER ROLE ", role, " REPLICATION; GRANT USAGE ON SCHEMA shop TO ", role,
                                  "; GRANT SELECT ON ALL TABLES IN SCHEMA shop TO ", role,
                                  "; CREATE PUBLICATION p FOR TABLE shop.orders"));
  EXPECT_THAT(Check(), ::testing::IsEmpty());
  auto snapshot = SlotSnapshot::Create(options_.dsn, options_.slot, false, false);
  EXPECT_TRUE(snapshot.ok()) << snapshot.status();

  MustExecute(*sql_, "ALTER TABLE shop.orders ENABLE ROW LEVEL SECURITY");
  EXPECT_THAT(Check(), Contains(AllOf(StartsWith("W table shop.orders: row level security"), HasSubstr("BYPASSRLS"))));
}

TEST(SourceChecksServerTest, WalLevelAndNoSlotsLeft) {
  TestPostgres server(15, {"wal_level=replica", "max_replication_slots=1", "max_wal_senders=1"});
  auto sql = MustConnect(server.dsn());
  MustExecute(*sql, "SELECT pg_create_physical_replication_slot('taken')");
  SourceOptions options;
  options.dsn = server.dsn();
  options.slot = "s";
  options.publication = "p";
  const auto findings = CheckSource(*sql, options);
  ASSERT_TRUE(findings.ok()) << findings.status();
  ASSERT_EQ(findings->size(), 2u);
  EXPECT_EQ((*findings)[0].remedy, "ALTER SYSTEM SET wal_level = 'logical'; then restart the server");
  EXPECT_THAT((*findings)[1].message, HasSubstr("all 1 replication slots of the server are in use"));

  // All walsenders in use: that may pass by itself, so it is no finding but an error that is tried again.
  ConnectOptions replication;
  replication.replication = true;
  const auto taken = PgConnection::Connect(server.dsn(), replication);
  ASSERT_TRUE(taken.ok()) << taken.status();
  EXPECT_EQ(CheckSource(*sql, options).status().code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace wallaby
