#include "postgres/table_copy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "absl/strings/str_cat.h"
#include "change/value.h"
#include "postgres/slot.h"
#include "test/support/test_postgres.h"

namespace wallaby {
namespace {

using ::testing::HasSubstr;

class TableCopyTest : public ::testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    dsn_ = TestPostgres::Shared(GetParam()).CreateDatabase();
    sql_ = MustConnect(dsn_);
    MustExecute(*sql_, "CREATE PUBLICATION p FOR ALL TABLES WITH (publish_via_partition_root = true)");
  }

  void Snapshot() {
    static int count = 0;
    auto made = SlotSnapshot::Create(dsn_, absl::StrCat("copy_", getpid(), "_", ++count), /*temporary=*/true, false);
    ASSERT_TRUE(made.ok()) << made.status();
    snapshot_ = *std::move(made);
  }

  std::vector<PublishedTable> Tables() {
    TypeCatalog types(sql_.get());
    auto tables = PublishedTables(*sql_, "p", types);
    EXPECT_TRUE(tables.ok()) << tables.status();
    return *std::move(tables);
  }

  absl::Status Copy(const PublishedTable& table, const TablePart& part, std::vector<std::string>* rows,
                    size_t batch_bytes = 1000) {
    int lasts = 0;
    const absl::Status status = CopyTablePart(*sql_, table, part, snapshot_->snapshot(), snapshot_->consistent(),
                                              batch_bytes, [&](std::unique_ptr<ChangeBatch> batch, bool last) {
                                                EXPECT_EQ(lasts, 0);
                                                lasts += last ? 1 : 0;
                                                EXPECT_EQ(batch->snapshot_part(), part.name);
                                                EXPECT_EQ(batch->transactions().size(), 1u);
                                                EXPECT_EQ(batch->last_transaction().commit, snapshot_->consistent());
                                                for (const Change& change : batch->changes())
                                                  rows->push_back(Row(*batch, change));
                                                return absl::OkStatus();
                                              });
    EXPECT_EQ(lasts, status.ok() ? 1 : 0);
    return status;
  }

  static std::string Row(const ChangeBatch& batch, const Change& change) {
    std::string row;
    for (TupleCursor c = batch.new_row(change); !c.done(); c.Next()) {
      if (c.index() > 0) row += "|";
      if (c.field().is_null()) {
        row += "null";
      } else {
        EXPECT_TRUE(AppendText(c.field(), batch.relation(change).columns[c.index()].type, &row).ok());
      }
    }
    return row;
  }

  // All rows of all parts; fails the test on a row that comes twice.
  std::multiset<std::string> CopyAll(const PublishedTable& table, const std::vector<TablePart>& parts) {
    std::multiset<std::string> all;
    for (const TablePart& part : parts) {
      std::vector<std::string> rows;
      const absl::Status status = Copy(table, part, &rows);
      EXPECT_TRUE(status.ok()) << part.name << ": " << status;
      all.insert(rows.begin(), rows.end());
    }
    return all;
  }

  std::string dsn_;
  std::unique_ptr<PgConnection> sql_;
  std::unique_ptr<SlotSnapshot> snapshot_;
};

INSTANTIATE_TEST_SUITE_P(Servers, TableCopyTest, ::testing::Values(14, 15, 18));

TEST_P(TableCopyTest, BinaryAndTextGiveTheSameText) {
  MustExecute(*sql_,
              "CREATE TYPE mood AS ENUM ('sad', 'happy'); CREATE DOMAIN small AS int CHECK (VALUE < 100);"
              "CREATE TABLE b (id int PRIMARY KEY, m mood, s small, n numeric(10,2), j jsonb, t text,"
              "                at timestamptz, x bytea);"
              "INSERT INTO b VALUES (1, 'happy', 7, 12.5, '{\"a\": 1}', E'tab\\tline\\n\\\\', '2024-02-29 12:00+02',"
              "                      '\\x00ff'); INSERT INTO b VALUES (2);"
              "CREATE TABLE c AS SELECT *, point(1, 2) AS p FROM b");
  Snapshot();
  const auto tables = Tables();
  ASSERT_EQ(tables.size(), 2u);
  const std::string row = "1|happy|7|12.50|{\"a\": 1}|tab\tline\n\\|2024-02-29 10:00:00+00|\\x00ff";
  std::vector<std::string> binary, text;
  ASSERT_TRUE(Copy(tables[0], {.name = "public.b/0:all"}, &binary).ok());
  EXPECT_THAT(binary, ::testing::ElementsAre(row, "2|null|null|null|null|null|null|null"));
  ASSERT_TRUE(Copy(tables[1], {.name = "public.c/0:all"}, &text).ok());
  EXPECT_THAT(text, ::testing::ElementsAre(row + "|(1,2)", "2|null|null|null|null|null|null|null|(1,2)"));
}

TEST_P(TableCopyTest, RowsOfTheSnapshotOnly) {
  MustExecute(*sql_, "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t SELECT generate_series(1, 10)");
  Snapshot();
  MustConnect(dsn_)->Execute("INSERT INTO t VALUES (11); DELETE FROM t WHERE id = 1").IgnoreError();
  const auto tables = Tables();
  std::vector<std::string> rows;
  ASSERT_TRUE(Copy(tables[0], {.name = "public.t/0:all"}, &rows).ok());
  EXPECT_EQ(rows.size(), 10u);
  EXPECT_EQ(rows[0], "1");
}

TEST_P(TableCopyTest, PartsHoldEveryRowOnce) {
  MustExecute(*sql_,
              "CREATE TABLE k (id bigint PRIMARY KEY, t text); CREATE TABLE h (id int, \"when\" timestamp);"
              "CREATE TABLE part (id int PRIMARY KEY) PARTITION BY RANGE (id);"
              "CREATE TABLE part1 PARTITION OF part FOR VALUES FROM (0) TO (500);"
              "CREATE TABLE part2 PARTITION OF part DEFAULT;"
              "INSERT INTO k SELECT g * 3 - 1000, repeat('x', 100) FROM generate_series(1, 1000) g;"
              "INSERT INTO h SELECT g, CASE WHEN g % 10 > 0 THEN '2024-01-01'::timestamp + g * interval '1 hour' END"
              "  FROM generate_series(1, 1000) g;"
              "INSERT INTO part SELECT generate_series(1, 1000)");
  for (const bool analysed : {false, true}) {
    if (analysed) MustExecute(*sql_, "ANALYZE");
    Snapshot();
    auto tables = Tables();
    ASSERT_EQ(tables.size(), 3u);  // h, k, part
    for (const PublishedTable& table : tables) {
      for (const std::string column : {"", "id", "when"}) {
        SCOPED_TRACE(absl::StrCat(table.relation.name, " by ", column, " analysed ", analysed));
        auto parts = PlanTableParts(*sql_, table, {.column = column, .count = 7});
        ASSERT_TRUE(parts.ok()) << parts.status();
        EXPECT_LE(parts->size(), 7u);
        EXPECT_GE(parts->size(), 5u);
        const auto rows = CopyAll(table, *parts);
        EXPECT_EQ(rows.size(), 1000u);
        EXPECT_EQ(std::set<std::string>(rows.begin(), rows.end()).size(), 1000u);
        std::set<std::string> names;
        for (const TablePart& part : *parts) names.insert(part.name);
        EXPECT_EQ(names.size(), parts->size());
      }
    }
  }
}

TEST_P(TableCopyTest, SmallAndEmptyTablesAreOnePart) {
  MustExecute(*sql_, "CREATE TABLE e (id int PRIMARY KEY); CREATE TABLE none ()");
  Snapshot();
  for (const PublishedTable& table : Tables()) {
    for (const int count : {0, 4}) {
      auto parts = PlanTableParts(*sql_, table, {.count = count});
      ASSERT_TRUE(parts.ok()) << parts.status();
      ASSERT_EQ(parts->size(), 1u);
      EXPECT_EQ((*parts)[0].name, absl::StrCat("public.", table.relation.name, "/0:all"));
      std::vector<std::string> rows;
      EXPECT_TRUE(Copy(table, (*parts)[0], &rows).ok());
      EXPECT_TRUE(rows.empty());
    }
  }
}

TEST_P(TableCopyTest, GeneratedColumnsAndInheritedRowsStayOut) {
  MustExecute(*sql_,
              "CREATE TABLE g (a int PRIMARY KEY, twice int GENERATED ALWAYS AS (a * 2) STORED, b int);"
              "CREATE TABLE child (c int) INHERITS (g); INSERT INTO g VALUES (1, DEFAULT, 3);"
              "INSERT INTO child (a, b, c) VALUES (4, 5, 6)");
  Snapshot();
  const auto tables = Tables();
  std::vector<std::string> rows;
  ASSERT_TRUE(Copy(tables[1], {.name = "public.g/0:all"}, &rows).ok());
  EXPECT_THAT(rows, ::testing::ElementsAre("1|3"));
}

TEST_P(TableCopyTest, RowFilterAndColumnList) {
  if (GetParam() < 15) GTEST_SKIP() << "PostgreSQL 14 has neither row filters nor column lists";
  MustExecute(
      *sql_,
      "DROP PUBLICATION p; CREATE SCHEMA s; CREATE FUNCTION s.one() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1';"
      "CREATE TABLE s.f (id int PRIMARY KEY, secret text, b text);"
      "INSERT INTO s.f SELECT g, 'hidden', 'b' || g FROM generate_series(1, 10) g;"
      "CREATE PUBLICATION p FOR TABLE s.f (id, b) WHERE (id % 2 = 0 OR id = 1)");
  Snapshot();
  MustExecute(*sql_, "SET search_path = s");
  const auto tables = Tables();
  EXPECT_EQ(MustQuery(*sql_, "SHOW search_path"), "s");
  std::vector<std::string> rows;
  ASSERT_TRUE(Copy(tables[0], {.name = "s.f/0", .condition = "id < 7"}, &rows).ok());
  EXPECT_THAT(rows, ::testing::ElementsAre("1|b1", "2|b2", "4|b4", "6|b6"));
}

TEST_P(TableCopyTest, RewrittenTablesBeginAgain) {
  MustExecute(*sql_, "CREATE TABLE t (id int); INSERT INTO t SELECT generate_series(1, 1000)");
  for (const std::string change : {"VACUUM FULL t", "TRUNCATE t", "ALTER TABLE t RENAME id TO number",
                                   "ALTER TABLE t RENAME TO u", "DROP TABLE u"}) {
    Snapshot();
    const auto tables = Tables();
    auto parts = PlanTableParts(*sql_, tables[0], {});
    ASSERT_TRUE(parts.ok());
    MustExecute(*sql_, change);
    std::vector<std::string> rows;
    EXPECT_EQ(Copy(tables[0], (*parts)[0], &rows).code(), absl::StatusCode::kAborted) << change;
    EXPECT_EQ(MustQuery(*sql_, "SELECT 1"), "1");
  }
}

TEST_P(TableCopyTest, LostSnapshotBeginsAgain) {
  MustExecute(*sql_, "CREATE TABLE t (id int)");
  Snapshot();
  const auto tables = Tables();
  const std::string name = snapshot_->snapshot();
  snapshot_.reset();
  Snapshot();
  const absl::Status status = CopyTablePart(*sql_, tables[0], {.name = "public.t/0"}, name, Lsn{1}, 1000,
                                            [](auto, bool) { return absl::OkStatus(); });
  EXPECT_EQ(status.code(), absl::StatusCode::kAborted) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("public.t"));
}

TEST_P(TableCopyTest, AnErrorOfTheReceiverEndsTheCopy) {
  MustExecute(
      *sql_,
      "CREATE TABLE t (id int, x text); INSERT INTO t SELECT g, repeat('x', 500) FROM generate_series(1, 50000) g");
  Snapshot();
  const auto tables = Tables();
  int batches = 0;
  const absl::Status status =
      CopyTablePart(*sql_, tables[0], {.name = "public.t/0"}, snapshot_->snapshot(), Lsn{1}, 10000,
                    [&](auto, bool) { return ++batches < 3 ? absl::OkStatus() : absl::CancelledError("enough"); });
  EXPECT_EQ(status, absl::CancelledError("enough"));
  EXPECT_EQ(batches, 3);
  EXPECT_EQ(MustQuery(*sql_, "SELECT count(*) FROM t"), "50000");
}

TEST_P(TableCopyTest, RowSecurityIsAnErrorNotAGap) {
  MustExecute(*sql_, "CREATE TABLE t (id int); INSERT INTO t VALUES (1); ALTER TABLE t ENABLE ROW LEVEL SECURITY;");
  const std::string role = "reader_" + MustQuery(*sql_, "SELECT current_database()");
  MustExecute(*sql_, "CREATE ROLE " + role + " LOGIN; GRANT SELECT ON t TO " + role);
  Snapshot();
  const auto tables = Tables();
  sql_ = MustConnect(TestPostgres::Shared(GetParam()).Dsn(MustQuery(*sql_, "SELECT current_database()"), role));
  std::vector<std::string> rows;
  EXPECT_EQ(Copy(tables[0], {.name = "public.t/0"}, &rows).code(), absl::StatusCode::kPermissionDenied);
}

}  // namespace
}  // namespace wallaby
