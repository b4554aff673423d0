// What the doctor says of replica identities against what real servers do: tables and publications of many kinds are
// made, the application's UPDATE and DELETE are tried, what was printed is run, and they are tried again.
#include "postgres/replica_identity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "postgres/doctor.h"
#include "test/support/test_postgres.h"

namespace wallaby {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

class ReplicaIdentityTest : public ::testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    options_.source.dsn = TestPostgres::Shared(GetParam()).CreateDatabase();
    sql_ = MustConnect(options_.source.dsn);
  }

  std::vector<Diagnosis> Examine(std::string_view check = "replica_identity") {
    auto report = ExamineSource(*MustConnect(options_.source.dsn), options_);
    EXPECT_TRUE(report.ok()) << report.status();
    std::vector<Diagnosis> found;
    for (Diagnosis& d : *report) {
      EXPECT_THAT(d.sentence, Not(HasSubstr("could not be checked"))) << d.check;
      EXPECT_EQ(d.sql.empty(), d.run_as.empty()) << d.check;
      if (d.check == check && d.health != Health::kOk) found.push_back(std::move(d));
    }
    return found;
  }

  // Why the application's statement fails; "" when it does not. Nothing stays changed.
  std::string Fails(const std::string& statement) {
    const absl::Status status = sql_->Execute("BEGIN; " + statement + "; ROLLBACK");
    if (!status.ok()) MustExecute(*sql_, "ROLLBACK");
    return std::string(status.message());
  }

  // The one finding about replica identities, which the application feels; what is printed mends it.
  void Mends(const std::string& application, const std::string& sentence, const std::string& statement) {
    SCOPED_TRACE(application);
    EXPECT_NE(Fails(application), "");
    const auto found = Examine();
    ASSERT_EQ(found.size(), 1u);
    EXPECT_EQ(found[0].health, Health::kProblem);
    EXPECT_THAT(found[0].sentence, HasSubstr(sentence));
    EXPECT_THAT(found[0].sql, HasSubstr(statement));
    MustExecute(*sql_, found[0].sql);
    EXPECT_EQ(Fails(application), "");
    EXPECT_THAT(Examine(), IsEmpty());
  }

  DoctorOptions options_;
  std::unique_ptr<PgConnection> sql_;
};

INSTANTIATE_TEST_SUITE_P(Servers, ReplicaIdentityTest, ::testing::Values(14, 15, 16, 17, 18));

TEST_P(ReplicaIdentityTest, RowFilter) {
  if (GetParam() < 15) GTEST_SKIP() << "PostgreSQL 14 has no row filters";
  MustExecute(*sql_,
              "CREATE TABLE rf (id int PRIMARY KEY, n int, s text, \"N'o\" int); INSERT INTO rf VALUES (1, 9);"
              "CREATE PUBLICATION p FOR TABLE rf WHERE (n > 5 AND s <> ':varattno 1' AND \"N'o\" IS NULL)");
  Mends("UPDATE rf SET n = 7; DELETE FROM rf",
        "the row filter of publication p looks at n, s, N'o, which is not in its replica identity (id): UPDATE and "
        "DELETE on it FAIL at the source",
        "REPLICA IDENTITY FULL");
  // A unique index that has it costs less; one that may be null is none.
  MustExecute(*sql_,
              "CREATE TABLE ix (id int PRIMARY KEY, n int NOT NULL, o int); CREATE UNIQUE INDEX ix_o ON ix (o, n);"
              "CREATE UNIQUE INDEX ix_n ON ix (id, n); ALTER PUBLICATION p ADD TABLE ix WHERE (n > 5)");
  Mends("UPDATE ix SET n = 7", "looks at n", "USING INDEX \"ix_n\"");
}

TEST_P(ReplicaIdentityTest, ColumnList) {
  if (GetParam() < 15) GTEST_SKIP() << "PostgreSQL 14 has no column lists";
  MustExecute(*sql_,
              "CREATE TABLE cl (id int PRIMARY KEY, \"N\" int, hidden int); INSERT INTO cl VALUES (1, 9);"
              "CREATE PUBLICATION p FOR TABLE cl (\"N\") WHERE (id > 0)");
  Mends("UPDATE cl SET hidden = 7; DELETE FROM cl",
        "the column list of publication p leaves out id of its replica identity (id): UPDATE and DELETE on it FAIL",
        "ADD TABLE ONLY \"public\".\"cl\" (\"N\", \"id\") WHERE ((id > 0));");
  EXPECT_EQ(MustQuery(*sql_, "SELECT attnames::text || rowfilter FROM pg_publication_tables"), "{id,N}(id > 0)");
  // An index that the list has leaves the list as it was chosen.
  MustExecute(*sql_,
              "CREATE TABLE ix (id int PRIMARY KEY, n int NOT NULL UNIQUE); ALTER PUBLICATION p ADD TABLE ix (n)");
  Mends("UPDATE ix SET n = 7", "leaves out id", "USING INDEX \"ix_n_key\"");
  MustExecute(*sql_,
              "CREATE TABLE f (id int PRIMARY KEY, n int); ALTER TABLE f REPLICA IDENTITY FULL;"
              "ALTER PUBLICATION p ADD TABLE f (id)");
  Mends("UPDATE f SET n = 7", "has REPLICA IDENTITY FULL, with which publication p may have no column list",
        "REPLICA IDENTITY DEFAULT");
}

TEST_P(ReplicaIdentityTest, GeneratedKey) {
  MustExecute(*sql_,
              "CREATE TABLE g (b int, id int GENERATED ALWAYS AS (b) STORED PRIMARY KEY); INSERT INTO g VALUES (1);"
              "CREATE PUBLICATION p FOR TABLE g");
  if (GetParam() >= 18) {
    return Mends("UPDATE g SET b = 7; DELETE FROM g",
                 "publication p does not carry the generated column id of its replica identity (id): UPDATE and DELETE "
                 "on it FAIL at the source",
                 "ALTER PUBLICATION \"p\" SET (publish_generated_columns = stored);");
  }
  // The application feels nothing; the flow would.
  EXPECT_EQ(Fails("UPDATE g SET b = 7; DELETE FROM g"), "");
  const auto found = Examine();
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].health, Health::kProblem);
  EXPECT_THAT(found[0].sentence, AllOf(HasSubstr("PostgreSQL before 18 does not send id of its replica identity (id)"),
                                       HasSubstr("stop the flow")));
  MustExecute(*sql_, found[0].sql);
  EXPECT_THAT(Examine(), IsEmpty());
  EXPECT_EQ(Fails("UPDATE g SET b = 7; DELETE FROM g"), "");
}

// A table stands in several publications: what is printed fits all of them, and is printed once.
TEST_P(ReplicaIdentityTest, SeveralPublications) {
  if (GetParam() < 15) GTEST_SKIP() << "PostgreSQL 14 has neither row filters nor column lists";
  MustExecute(*sql_,
              "CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL, o int); CREATE UNIQUE INDEX t_n ON t (n);"
              "CREATE TABLE keyless (a int); CREATE PUBLICATION filters FOR TABLE t WHERE (n > 5), keyless;"
              "CREATE PUBLICATION lists FOR TABLE t (n, o), keyless; CREATE PUBLICATION whole FOR TABLE t, keyless");
  auto found = Examine();
  ASSERT_EQ(found.size(), 2u);
  EXPECT_THAT(found[0].sentence,
              AllOf(StartsWith("has no primary key"), HasSubstr(" (publications filters, lists, whole)")));
  EXPECT_THAT(found[1].sentence, AllOf(HasSubstr("row filter of publication filters looks at n"),
                                       HasSubstr("column list of publication lists leaves out id")));
  for (const Diagnosis& d : found) MustExecute(*sql_, d.sql);
  EXPECT_EQ(Fails("UPDATE t SET o = 1; DELETE FROM t; UPDATE keyless SET a = 1"), "");
  EXPECT_THAT(Examine(), IsEmpty());
  // Of one publication only: the others' demands are the table's all the same.
  MustExecute(*sql_, "ALTER TABLE t REPLICA IDENTITY DEFAULT");
  options_.source.publication = "whole";
  found = Examine();
  ASSERT_EQ(found.size(), 1u);
  EXPECT_THAT(found[0].sql, HasSubstr("USING INDEX \"t_n\""));
}

// No identity fits, and to show columns that a list hides is nobody's to offer.
TEST_P(ReplicaIdentityTest, NothingIsOfferedThatCannotHelp) {
  if (GetParam() < 15) GTEST_SKIP() << "PostgreSQL 14 has neither row filters nor column lists";
  MustExecute(*sql_,
              "CREATE TABLE t (id int PRIMARY KEY, n int, secret int);"
              "CREATE PUBLICATION p FOR TABLE t (id, n) WHERE (n > 5)");
  options_.source.publication = "p";
  options_.source.toast_fetch = ToastFetch::kFull;
  EXPECT_NE(Fails("UPDATE t SET n = 1"), "");
  const auto found = Examine();
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].sql, "");
  EXPECT_THAT(found[0].sentence, HasSubstr("make a unique index over columns that are NOT NULL"));
  const auto toast = Examine("toast_fetch");
  ASSERT_EQ(toast.size(), 1u);
  EXPECT_EQ(toast[0].sql, "");
  EXPECT_THAT(toast[0].sentence, HasSubstr("choose another toast_fetch"));
}

TEST_P(ReplicaIdentityTest, PublicationThatCarriesInsertsOnly) {
  MustExecute(*sql_,
              "CREATE TABLE log (a int); CREATE TABLE t (id int PRIMARY KEY); INSERT INTO log VALUES (1);"
              "CREATE PUBLICATION ins FOR TABLE log, t WITH (publish = 'insert')");
  EXPECT_EQ(Fails("UPDATE log SET a = 2"), "");
  const auto found = Examine();
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].health, Health::kWarning);
  EXPECT_THAT(found[0].sentence, HasSubstr("as soon as publication ins carries them, UPDATE and DELETE on it FAIL"));
  const auto publish = Examine("publication");
  ASSERT_EQ(publish.size(), 1u);
  EXPECT_EQ(publish[0].sql, "") << "it would make the application's UPDATE fail";
  EXPECT_THAT(publish[0].sentence, HasSubstr("first mend what the check replica_identity finds"));
  MustExecute(*sql_, found[0].sql);
  const auto now = Examine("publication");
  ASSERT_EQ(now.size(), 1u);
  MustExecute(*sql_, now[0].sql);
  EXPECT_EQ(Fails("UPDATE log SET a = 2; DELETE FROM log"), "");
  EXPECT_THAT(Examine(), IsEmpty());
  EXPECT_THAT(Examine("publication"), IsEmpty());
}

TEST_P(ReplicaIdentityTest, PublicationThatIsMissing) {
  MustExecute(*sql_,
              "CREATE TABLE nopk (a int); CREATE TABLE t (id int PRIMARY KEY); INSERT INTO nopk VALUES (1);"
              "CREATE SCHEMA wallaby; CREATE TABLE wallaby.own (id int PRIMARY KEY)");
  options_.source.publication = "No p";
  options_.source.ensure_publication = false;
  auto publication = Examine("publication");
  ASSERT_EQ(publication.size(), 1u);
  EXPECT_EQ(publication[0].sql, "");
  EXPECT_THAT(publication[0].sentence, HasSubstr("first mend what the check replica_identity finds"));
  const auto found = Examine();
  ASSERT_EQ(found.size(), 1u);
  EXPECT_THAT(found[0].sentence, HasSubstr("as soon as it is published, UPDATE and DELETE on it FAIL"));
  EXPECT_EQ(found[0].health, Health::kProblem);
  MustExecute(*sql_, found[0].sql);
  publication = Examine("publication");
  ASSERT_EQ(publication.size(), 1u);
  EXPECT_EQ(publication[0].run_as, "the tables' owner, with CREATE on the database");
  MustExecute(*sql_, publication[0].sql);
  EXPECT_EQ(MustQuery(*sql_, "SELECT string_agg(tablename, ' ' ORDER BY tablename) FROM pg_publication_tables"),
            "nopk t");
  EXPECT_EQ(Fails("UPDATE nopk SET a = 2; DELETE FROM nopk"), "");
  EXPECT_THAT(Examine("publication"), IsEmpty());

  // The role must read the tables, which nothing publishes yet.
  const std::string role = "role_" + MustQuery(*sql_, "SELECT current_database()");
  MustExecute(*sql_, "CREATE ROLE " + role + " LOGIN REPLICATION");
  options_.source.dsn = TestPostgres::Shared(GetParam()).Dsn(MustQuery(*sql_, "SELECT current_database()"), role);
  options_.source.publication = "other";
  EXPECT_EQ(Examine("table_rights").size(), 2u) << "but its own";
}

// A table that the flow wants and the publication has not.
TEST_P(ReplicaIdentityTest, TableThatIsToBeAdded) {
  MustExecute(*sql_, "CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (n int); CREATE PUBLICATION p FOR TABLE a");
  options_.source.publication = "p";
  options_.source.publication_tables = {"public.a", "public.b"};
  EXPECT_EQ(Examine("publication").at(0).sql, "");
  const auto found = Examine();
  ASSERT_EQ(found.size(), 1u);
  MustExecute(*sql_, found[0].sql);
  MustExecute(*sql_, Examine("publication").at(0).sql);
  EXPECT_EQ(Fails("UPDATE b SET n = 2"), "");
  EXPECT_THAT(Examine("publication"), IsEmpty());
  options_.source.publication_tables = {"public.a", "public.gone"};
  EXPECT_EQ(Examine("publication").at(0).sql, "");
  EXPECT_THAT(Examine("publication").at(0).sentence, HasSubstr("public.gone"));
}

TEST_P(ReplicaIdentityTest, GeneratedKeyThatIsToBePublished) {
  MustExecute(*sql_, "CREATE TABLE g (b int, id int GENERATED ALWAYS AS (b) STORED PRIMARY KEY)");
  options_.source.publication = "p";
  options_.source.publication_tables = {"public.g"};
  if (GetParam() >= 18) {
    // By the flow, which carries no generated columns.
    const auto found = Examine();
    ASSERT_EQ(found.size(), 1u);
    EXPECT_THAT(found[0].sql, HasSubstr("publish_generated_columns = stored"));
  }
  options_.source.ensure_publication = false;
  for (const Diagnosis& d : Examine()) MustExecute(*sql_, d.sql);
  for (const Diagnosis& d : Examine("publication")) MustExecute(*sql_, d.sql);
  EXPECT_EQ(Fails("UPDATE g SET b = 2; DELETE FROM g"), "");
  EXPECT_THAT(Examine(), IsEmpty());
  EXPECT_THAT(Examine("publication"), IsEmpty());
}

TEST_P(ReplicaIdentityTest, UnloggedTableThatWouldBePublished) {
  MustExecute(*sql_,
              "CREATE UNLOGGED TABLE keyless (a int); CREATE UNLOGGED TABLE keyed (id int PRIMARY KEY);"
              "CREATE PUBLICATION p FOR ALL TABLES");
  const auto found = Examine("unlogged_tables");
  ASSERT_EQ(found.size(), 2u);
  for (const Diagnosis& d : found) {
    MustExecute(*sql_, d.sql);
    EXPECT_EQ(Fails("UPDATE keyless SET a = 2; UPDATE keyed SET id = 2"), "") << d.sql;
  }
  EXPECT_THAT(Examine("unlogged_tables"), IsEmpty());
}

TEST_P(ReplicaIdentityTest, NoneOfManyTablesIsForgotten) {
  for (int i = 0; i < 30; ++i) MustExecute(*sql_, absl::StrCat("CREATE TABLE t", i, " (a int)"));
  MustExecute(*sql_, "CREATE PUBLICATION p FOR ALL TABLES");
  const auto found = Examine();
  ASSERT_EQ(found.size(), 21u);
  EXPECT_EQ(found.back().sentence, "the same holds for 10 more");
  for (const Diagnosis& d : found) MustExecute(*sql_, d.sql);
  EXPECT_THAT(Examine(), IsEmpty());
}

// ---- every kind of table in every kind of publication ----

struct Kind {
  std::string columns, identity, publication, setting;
  bool has_list() const { return absl::StartsWith(publication, " ("); }
};

std::vector<Kind> AllKinds(int major) {
  std::vector<std::string> tables = {"id int PRIMARY KEY, u int NOT NULL UNIQUE, n int",
                                     "id int, u int NOT NULL UNIQUE, n int",
                                     "id int, u int, n int",
                                     "id int PRIMARY KEY DEFERRABLE, u int, n int",
                                     "id int, u int NOT NULL, n int, PRIMARY KEY (id, u)",
                                     "id int GENERATED ALWAYS AS (n) STORED PRIMARY KEY, u int NOT NULL UNIQUE, n int",
                                     "id int GENERATED ALWAYS AS (n) STORED, u int, n int, PRIMARY KEY (id, u)",
                                     "id int, u int, n int, g int GENERATED ALWAYS AS (n) STORED"};
  std::vector<std::string> publications = {""};
  std::vector<std::string> settings = {"publish = 'insert, update, delete'", "publish = 'insert, update'",
                                       "publish = 'insert'"};
  if (major >= 15) {
    for (const char* more : {" (n)", " (id, n)", " (u, n)", " (id, u, n)", " WHERE (n > 5)", " WHERE (id > 5)",
                             " WHERE (id > 5 OR u > 5)", " (n) WHERE (u > 5)", " (id, n) WHERE (id > 5)"}) {
      publications.emplace_back(more);
    }
  }
  if (major < 15) settings.emplace_back("publish = 'insert, delete'");
  if (major >= 18) {
    tables.emplace_back("id int PRIMARY KEY, u int, n int, g int GENERATED ALWAYS AS (n) VIRTUAL");
    tables.emplace_back("id int, u int, n int, g int GENERATED ALWAYS AS (n) VIRTUAL");
    settings.emplace_back("publish_generated_columns = stored");
  }
  std::vector<Kind> kinds;
  for (const std::string& table : tables) {
    for (const char* identity : {"DEFAULT", "FULL", "NOTHING", "USING INDEX"}) {
      if (absl::StrContains(identity, "INDEX") && !absl::StrContains(table, "UNIQUE")) continue;
      for (const std::string& publication : publications) {
        // Before 18 no list may name a generated column.
        if (major < 18 && absl::StrContains(table, "id int GENERATED") && absl::StartsWith(publication, " (id"))
          continue;
        for (const std::string& setting : settings) kinds.push_back({table, identity, publication, setting});
      }
    }
  }
  return kinds;
}

// A gap is seen exactly where the application's statement fails, or the flow is known to; and what is printed leaves
// none failing.
TEST_P(ReplicaIdentityTest, AsTheServerDoes) {
  const std::vector<Kind> kinds = AllKinds(GetParam());
  std::map<std::string, Kind> by_table;
  std::string create;
  for (const Kind& kind : kinds) {
    const std::string name = absl::StrCat("t", by_table.size());
    const std::string index = kind.identity == "USING INDEX" ? name + "_u_key" : "";
    absl::StrAppend(&create, "CREATE TABLE ", name, " (", kind.columns, "); ALTER TABLE ", name, " REPLICA IDENTITY ",
                    kind.identity, " ", index, "; CREATE PUBLICATION p_", name, " FOR TABLE ", name, kind.publication,
                    " WITH (", kind.setting, ");");
    by_table["public." + name] = kind;
    // One commit for many, and not more locks than a server has.
    if (by_table.size() % 50 == 0) MustExecute(*sql_, std::exchange(create, ""));
  }
  MustExecute(*sql_, create);
  const auto read = [this] {
    auto tables =
        ReadIdentities(*sql_, MustQuery(*sql_, "SELECT array_agg(oid) FROM pg_class WHERE relname ~ '^t[0-9]+$'"), "");
    EXPECT_TRUE(tables.ok()) << tables.status();
    return *std::move(tables);
  };
  // No rows are needed: the statement fails before it looks for any.
  const auto fails = [this](const std::string& table) {
    return std::pair(!Fails(absl::StrCat("UPDATE ", table, " SET n = 7")).empty(),
                     !Fails(absl::StrCat("DELETE FROM ", table)).empty());
  };
  int mended = 0, unmended = 0;
  const auto before = read();
  ASSERT_EQ(before.size(), kinds.size());
  for (const TableIdentity& table : before) {
    const Kind& kind = by_table[table.shown];
    SCOPED_TRACE(absl::StrCat(kind.columns, " | ", kind.identity, " |", kind.publication, " | ", kind.setting));
    bool update = false, remove = false, flow = false;
    for (const IdentityGap& gap : IdentityGaps(table, GetParam())) {
      const bool at_source = FailsAtSource(gap, GetParam());
      update |= at_source && gap.in->updates;
      remove |= at_source && gap.in->deletes;
      flow |= !at_source;
    }
    EXPECT_EQ(fails(table.shown), std::pair(update, remove));
    EXPECT_EQ(flow, GetParam() < 18 && absl::StrContains(kind.columns, "id int GENERATED") &&
                        kind.identity == "DEFAULT" && !kind.has_list() && kind.setting != "publish = 'insert'");
    if (!update && !remove && !flow) continue;
    const IdentityMend mend = MendOf(table, GetParam());
    EXPECT_EQ(mend.sql.empty(), mend.run_as.empty());
    if (mend.sql.empty()) {
      ++unmended;
      EXPECT_TRUE(kind.has_list() || absl::StrContains(kind.columns, "VIRTUAL"));
      continue;
    }
    ++mended;
    MustExecute(*sql_, mend.sql);
    EXPECT_EQ(fails(table.shown), std::pair(false, false)) << mend.sql;
  }
  for (const TableIdentity& table : read()) unmended -= IdentityGaps(table, GetParam()).empty() ? 0 : 1;
  EXPECT_EQ(unmended, 0);
  EXPECT_GT(mended, GetParam() >= 15 ? 100 : 20);
}

}  // namespace
}  // namespace wallaby
