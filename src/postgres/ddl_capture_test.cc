#include "postgres/ddl_capture.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "pgoutput/messages.h"
#include "test/support/test_postgres.h"

namespace wallaby {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string FromHex(std::string_view hex) {
  std::string bytes;
  for (size_t i = 2; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  }
  return bytes;
}

class DdlCaptureTest : public ::testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    dsn_ = TestPostgres::Shared(GetParam()).CreateDatabase();
    sql_ = MustConnect(dsn_);
    MustExecute(*sql_,
                "CREATE TABLE orders (id int PRIMARY KEY, note text); CREATE TABLE other (id int PRIMARY KEY);"
                "CREATE PUBLICATION p FOR TABLE orders");
    slot_ = MustQuery(*sql_, "SELECT current_database()") + "_ddl";
  }
  void TearDown() override {
    if (captured_) MustExecute(*sql_, absl::StrCat("SELECT pg_drop_replication_slot('", slot_, "')"));
  }
  void Capture() {
    const absl::Status status = EnsureDdlCapture(*sql_, options_);
    ASSERT_TRUE(status.ok()) << status;
    MustExecute(*sql_, absl::StrCat("SELECT pg_create_logical_replication_slot('", slot_, "', 'pgoutput')"));
    captured_ = true;
  }

  // "TAG table: step, step" for each message since the last call.
  std::vector<std::string> Seen() {
    std::vector<std::string> seen;
    auto rows = sql_->Query(absl::StrCat("SELECT data FROM pg_logical_slot_get_binary_changes('", slot_,
                                         "', NULL, NULL, 'proto_version', '1', 'publication_names', 'p', 'messages', "
                                         "'true')"));
    EXPECT_TRUE(rows.ok()) << rows.status();
    TypeCatalog types(sql_.get());
    for (int i = 0; i < rows->size(); ++i) {
      const std::string bytes = FromHex(rows->Text(i, 0));
      if (bytes.empty() || bytes[0] != 'M') continue;
      pgoutput::LogicalMessage logical;
      EXPECT_TRUE(pgoutput::ParseLogicalMessage(bytes, &logical).ok());
      EXPECT_TRUE(logical.transactional);
      if (logical.prefix != options_.ddl_message_prefix) continue;
      auto message = ParseDdlMessage(logical.content, "p", types);
      EXPECT_TRUE(message.ok()) << message.status() << logical.content;
      last_ = *message;
      const SchemaChange change =
          CompareShapes(message->before ? &*message->before : nullptr, message->after ? &*message->after : nullptr);
      seen.push_back(
          absl::StrCat(message->tag, " ", change.Table(), ": ",
                       absl::StrJoin(change.steps, ", ",
                                     [](std::string* out, const SchemaStep& step) { *out += DescribeStep(step); }),
                       change.copy ? " (copy)" : ""));
    }
    return seen;
  }

  std::string dsn_, slot_;
  bool captured_ = false;
  std::unique_ptr<PgConnection> sql_;
  SourceOptions options_;
  DdlMessage last_;
};

TEST_P(DdlCaptureTest, EachKindOfChangeOnce) {
  Capture();
  MustExecute(*sql_, "ALTER TABLE orders ADD amount numeric(10,2) NOT NULL DEFAULT 7.5");
  EXPECT_THAT(Seen(), ElementsAre("ALTER TABLE public.orders: add column amount (numeric(10,2))"));
  ASSERT_EQ(last_.after->details.size(), 3u);
  EXPECT_EQ(last_.after->details[2].fill, "7.50");
  EXPECT_TRUE(last_.after->details[2].not_null);
  EXPECT_EQ(last_.sql, "ALTER TABLE orders ADD amount numeric(10,2) NOT NULL DEFAULT 7.5");
  MustExecute(*sql_, "ALTER TABLE orders RENAME note TO remark");
  MustExecute(*sql_, "ALTER TABLE orders ALTER amount TYPE numeric(12,2), ALTER remark SET NOT NULL");
  MustExecute(*sql_, "ALTER TABLE orders ALTER id TYPE text");
  MustExecute(*sql_, "ALTER TABLE orders DROP amount, ADD n serial");
  MustExecute(*sql_, "ALTER TABLE orders ALTER remark SET DEFAULT 'x'");
  MustExecute(*sql_, "ALTER TABLE orders DROP CONSTRAINT orders_pkey, ADD PRIMARY KEY (n)");
  EXPECT_THAT(
      Seen(),
      ElementsAre("ALTER TABLE public.orders: rename column note to remark",
                  "ALTER TABLE public.orders: remark is no longer nullable, retype column amount from numeric(10,2) to "
                  "numeric(12,2)",
                  "ALTER TABLE public.orders: retype column id from integer to text (copy)",
                  "ALTER TABLE public.orders: drop column amount, add column n (integer) (copy)",
                  "ALTER TABLE public.orders: default of remark becomes 'x'::text",
                  "ALTER TABLE public.orders: the key becomes n"));
  MustExecute(*sql_, "ALTER TABLE orders RENAME TO sales; CREATE SCHEMA shop; ALTER TABLE sales SET SCHEMA shop;");
  EXPECT_THAT(Seen(), ElementsAre("ALTER TABLE public.sales: rename table public.orders",
                                  "ALTER TABLE shop.sales: rename table public.sales, default of n becomes "
                                  "nextval('shop.orders_n_seq'::regclass)"));
  MustExecute(*sql_,
              "ALTER SCHEMA shop RENAME TO mall; ALTER TABLE mall.sales OWNER TO CURRENT_USER; "
              "COMMENT ON TABLE mall.sales IS 'x'; ANALYZE mall.sales; CREATE INDEX ON mall.sales (remark)");
  EXPECT_THAT(Seen(), ElementsAre("ALTER SCHEMA mall.sales: rename table shop.sales, default of n becomes "
                                  "nextval('mall.orders_n_seq'::regclass)"));
  MustExecute(*sql_, "DROP SCHEMA mall CASCADE");
  EXPECT_THAT(Seen(), ElementsAre("DROP SCHEMA mall.sales: drop table"));
}

TEST_P(DdlCaptureTest, WhatIsNotPublishedIsNotTold) {
  Capture();
  MustExecute(
      *sql_,
      "ALTER TABLE other ADD x int; CREATE TABLE third (id int); DROP TABLE third; CREATE TEMP TABLE t (id int);"
      "CREATE UNLOGGED TABLE u (id int); ALTER TABLE orders ADD g int GENERATED ALWAYS AS (id * 2) STORED;"
      "CREATE VIEW v AS SELECT id FROM orders; CREATE TABLE other2 AS SELECT * FROM other");
  // The generated column is a change of the table, and none of what is published.
  EXPECT_THAT(Seen(), ElementsAre("ALTER TABLE public.orders: "));
}

TEST_P(DdlCaptureTest, APublicationOfAllTablesTellsOfNewOnesAndNotOfOurs) {
  MustExecute(*sql_, "DROP PUBLICATION p; CREATE PUBLICATION p FOR ALL TABLES");
  Capture();
  MustExecute(*sql_, "ALTER TABLE wallaby.source_state ADD x int; ALTER TABLE wallaby.source_state DROP x");
  EXPECT_THAT(Seen(), IsEmpty());
  MustExecute(*sql_, "CREATE TABLE fifth AS SELECT 1 AS a; CREATE TABLE sixth (id int PRIMARY KEY, b text)");
  EXPECT_THAT(Seen(),
              ElementsAre("CREATE TABLE AS public.fifth: create table", "CREATE TABLE public.sixth: create table"));
  EXPECT_TRUE(last_.first_seen);
}

TEST_P(DdlCaptureTest, MembershipFollowsThePublication) {
  Capture();
  MustExecute(*sql_, "ALTER PUBLICATION p ADD TABLE other; ALTER TABLE other ADD x int");
  EXPECT_THAT(Seen(), ElementsAre("ALTER TABLE public.other: add column x (integer)"));
  MustExecute(*sql_, "ALTER PUBLICATION p DROP TABLE other; ALTER TABLE other DROP x; DROP TABLE other");
  EXPECT_THAT(Seen(), IsEmpty());
  MustExecute(*sql_, "BEGIN; ALTER TABLE orders ADD x int; ROLLBACK");
  EXPECT_THAT(Seen(), IsEmpty());
}

TEST_P(DdlCaptureTest, ColumnListsHideWhatTheyLeaveOut) {
  if (GetParam() < 15) GTEST_SKIP() << "PostgreSQL 14 has no column lists";
  MustExecute(*sql_, "ALTER PUBLICATION p SET TABLE orders (id)");
  Capture();
  MustExecute(*sql_,
              "ALTER TABLE orders ADD x int; ALTER TABLE orders RENAME note TO remark; "
              "ALTER TABLE orders RENAME id TO key");
  EXPECT_THAT(Seen(), ElementsAre("ALTER TABLE public.orders: ", "ALTER TABLE public.orders: ",
                                  "ALTER TABLE public.orders: rename column id to key"));
}

TEST_P(DdlCaptureTest, PartitionsAreToldAsTheyArePublished) {
  MustExecute(*sql_,
              "CREATE TABLE part (id int, day int) PARTITION BY RANGE (day);"
              "CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (10);"
              "DROP PUBLICATION p; CREATE PUBLICATION p FOR TABLE part WITH (publish_via_partition_root = true)");
  Capture();
  MustExecute(*sql_,
              "CREATE TABLE part_2 PARTITION OF part FOR VALUES FROM (10) TO (20); "
              "ALTER TABLE part ADD x int; DROP TABLE part_1");
  EXPECT_THAT(Seen(), ElementsAre("ALTER TABLE public.part: add column x (integer)"));
  MustExecute(*sql_,
              "ALTER PUBLICATION p SET (publish_via_partition_root = false); ALTER TABLE part ADD y int;"
              "CREATE TABLE part_3 PARTITION OF part FOR VALUES FROM (20) TO (30); DROP TABLE part_3");
  EXPECT_THAT(Seen(), ElementsAre("ALTER TABLE public.part_2: add column y (integer)",
                                  "CREATE TABLE public.part_3: create table", "DROP TABLE public.part_3: drop table"));
}

TEST_P(DdlCaptureTest, SeveralCommandsInOneTransactionAndQuotedNames) {
  Capture();
  MustExecute(*sql_, R"(BEGIN; ALTER TABLE orders ADD "Wei""rd" text DEFAULT 'a''b"c'; INSERT INTO orders VALUES (1);
                        ALTER TABLE orders RENAME "Wei""rd" TO "x y"; DROP TABLE orders; COMMIT)");
  EXPECT_THAT(Seen(), ElementsAre(R"(ALTER TABLE public.orders: add column Wei"rd (text))",
                                  R"(ALTER TABLE public.orders: rename column Wei"rd to x y)",
                                  "DROP TABLE public.orders: drop table"));
}

TEST_P(DdlCaptureTest, IsInstalledOnceAndMendedWhenItIsBroken) {
  Capture();
  const std::string before = MustQuery(*sql_, "SELECT oid FROM pg_event_trigger WHERE evtname = 'wallaby_ddl_capture'");
  ASSERT_TRUE(EnsureDdlCapture(*sql_, options_).ok());
  EXPECT_EQ(MustQuery(*sql_, "SELECT oid FROM pg_event_trigger WHERE evtname = 'wallaby_ddl_capture'"), before);
  // Without its table the trigger warns, and the command goes on.
  MustExecute(*sql_, "DROP TABLE wallaby.source_state; ALTER TABLE orders ADD x int");
  EXPECT_THAT(Seen(), IsEmpty());
  options_.ensure_state = false;
  EXPECT_EQ(EnsureDdlCapture(*sql_, options_).code(), absl::StatusCode::kFailedPrecondition);
  options_.ensure_state = true;
  ASSERT_TRUE(EnsureDdlCapture(*sql_, options_).ok());
  MustExecute(*sql_, "ALTER TABLE orders ADD y int");
  EXPECT_THAT(Seen(), ElementsAre("ALTER TABLE public.orders: add column y (integer)"));
}

TEST_P(DdlCaptureTest, ARoleWithoutTheRightIsToldAndLeavesNothing) {
  const std::string role = absl::StrCat("r_", MustQuery(*sql_, "SELECT current_database()"));
  MustExecute(*sql_, absl::StrCat("CREATE ROLE ", role,
                                  "; DO $$ BEGIN EXECUTE 'GRANT CREATE ON DATABASE ' || "
                                  "current_database() || ' TO ",
                                  role, "'; END $$; SET ROLE ", role));
  const absl::Status status = EnsureDdlCapture(*sql_, options_);
  EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied);
  EXPECT_THAT(std::string(status.message()), HasSubstr("superuser"));
  MustExecute(*sql_, "RESET ROLE");
  EXPECT_EQ(MustQuery(*sql_, "SELECT count(*) FROM pg_namespace WHERE nspname = 'wallaby'"), "0");
  // Somebody else's DDL is told as well.
  Capture();
  MustExecute(*sql_, absl::StrCat("ALTER TABLE orders OWNER TO ", role, "; GRANT ALL ON SCHEMA public TO ", role,
                                  "; SET ROLE ", role, "; ALTER TABLE orders ADD z int; RESET ROLE"));
  EXPECT_THAT(Seen(), ElementsAre("ALTER TABLE public.orders: add column z (integer)"));
}

TEST_P(DdlCaptureTest, ForeignMessagesAreRefused) {
  TypeCatalog types(nullptr);
  for (const char* content :
       {"", "x", "[]", "{}", R"({"v":2})", R"({"v":1,"server":15,"tag":"T","sql":"","after":{}})"}) {
    EXPECT_EQ(ParseDdlMessage(content, "p", types).status().code(), absl::StatusCode::kDataLoss) << content;
  }
  const std::string good =
      R"({"v":1,"server":15,"tag":"T","sql":"","after":{"oid":7,"schema":"s","name":"t","identity":"d","pk":[],"ri":[],)"
      R"("columns":[],"publications":{"p":null}}})";
  ASSERT_TRUE(ParseDdlMessage(good, "p", types).ok()) << ParseDdlMessage(good, "p", types).status();
  for (const auto& [from, to] : {std::pair("\"d\"", "\"\""), {"\"d\"", "\"\u00e4\""}, {"7", "1e300"}, {"7", "-7"}}) {
    const std::string bad = absl::StrReplaceAll(good, {{from, to}});
    EXPECT_EQ(ParseDdlMessage(bad, "p", types).status().code(), absl::StatusCode::kDataLoss) << bad;
  }
}

INSTANTIATE_TEST_SUITE_P(Servers, DdlCaptureTest, ::testing::Values(14, 15, 18), testing::PrintToStringParamName());

}  // namespace
}  // namespace wallaby
