// The conformance tests with runs through a DBOS system database, and what the database must be like.
#include "dispatch/dbos/dbos_dispatcher.h"

#include "absl/strings/str_cat.h"
#include "dispatch/conformance_test.h"
#include "dispatch/dbos/schema.h"
#include "gmock/gmock.h"
#include "test/support/test_postgres.h"

namespace wallaby {
namespace {

using testing::HasSubstr;

class DbosHarness final : public DispatchHarness {
 public:
  DbosHarness() : dsn_(TestPostgres::Shared(15).CreateDatabase()) {}

  std::unique_ptr<Dispatcher> Make(ControlStore* store, const std::string& worker, bool spools) override {
    DbosOptions options;
    options.dsn = dsn_;
    options.run.worker = worker;
    options.executor.poll_interval = absl::Milliseconds(100);
    options.executor.watch_interval = absl::Milliseconds(50);
    options.spools = spools;
    options.review_interval = absl::Milliseconds(100);
    options.backoff_base = absl::Milliseconds(20);
    options.backoff_cap = absl::Milliseconds(100);
    return std::make_unique<DbosDispatcher>(store, store, options);
  }

 private:
  const std::string dsn_;
};

const DispatcherKind kDbos{.name = "Dbos",
                           .why_not = [] { return std::string(); },
                           .make = [] { return std::make_unique<DbosHarness>(); },
                           .workers_outlive = false};

INSTANTIATE_TEST_SUITE_P(Dispatchers, DispatcherConformanceTest, testing::Values(kDbos), KindName);

class DbosSchemaTest : public testing::Test {
 protected:
  DbosSchemaTest() : sql_(MustConnect(TestPostgres::Shared(15).CreateDatabase())) {}
  absl::Status Prepare() { return PrepareDbosSchema(*sql_); }
  std::string Query(const std::string& sql) { return MustQuery(*sql_, sql); }

  std::unique_ptr<PgConnection> sql_;
};

TEST_F(DbosSchemaTest, AnAbsentOneIsMadeOnce) {
  ASSERT_TRUE(Prepare().ok());
  EXPECT_EQ(Query("SELECT version FROM dbos.dbos_migrations"), "125");
  EXPECT_TRUE(Prepare().ok());
  ASSERT_TRUE(sql_->Execute(std::string(DbosSchemaSql())).ok());
  EXPECT_EQ(Query("SELECT count(*) FROM dbos.dbos_migrations"), "1");
}

TEST_F(DbosSchemaTest, AnotherVersionIsRefusedWithoutAWrite) {
  ASSERT_TRUE(Prepare().ok());
  for (const auto& [version, says] : {std::pair(124, "dbos migrate"), std::pair(126, "newer WALlaby")}) {
    MustExecute(*sql_, absl::StrCat("UPDATE dbos.dbos_migrations SET version = ", version));
    const absl::Status refused = Prepare();
    EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
    EXPECT_THAT(std::string(refused.message()), HasSubstr(absl::StrCat("at migration ", version)));
    EXPECT_THAT(std::string(refused.message()), HasSubstr(says));
    EXPECT_EQ(Query("SELECT version FROM dbos.dbos_migrations"), absl::StrCat(version));
    EXPECT_EQ(Query("SELECT count(*) FROM dbos.queues"), "0");
  }
}

TEST_F(DbosSchemaTest, AnotherSchemaOfThatNameIsRefused) {
  MustExecute(*sql_, "CREATE SCHEMA dbos; CREATE TABLE dbos.mine (id int)");
  EXPECT_THAT(std::string(Prepare().message()), HasSubstr("not a DBOS system database"));
  EXPECT_EQ(Query("SELECT count(*) FROM pg_tables WHERE schemaname = 'dbos'"), "1");
}

}  // namespace
}  // namespace wallaby
