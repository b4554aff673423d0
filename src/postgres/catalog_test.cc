#include "postgres/catalog.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "test/support/test_postgres.h"

namespace wallaby {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class CatalogTest : public ::testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    dsn_ = server().CreateDatabase();
    sql_ = MustConnect(dsn_);
    database_ = MustQuery(*sql_, "SELECT current_database()");
  }
  TestPostgres& server() { return TestPostgres::Shared(GetParam()); }

  // "name(column,column) key=..."
  std::vector<std::string> Published() {
    TypeCatalog types(sql_.get());
    auto tables = PublishedTables(*sql_, "p", types);
    EXPECT_TRUE(tables.ok()) << tables.status();
    std::vector<std::string> shown;
    for (const PublishedTable& table : *tables) {
      std::vector<std::string> columns, key;
      for (const Column& column : table.relation.columns) columns.push_back(column.name);
      for (const int i : table.relation.key) key.push_back(columns[i]);
      shown.push_back(absl::StrCat(table.relation.QualifiedName(), "(", absl::StrJoin(columns, ","),
                                   ") key=", absl::StrJoin(key, ",")));
    }
    return shown;
  }

  std::string dsn_;
  std::string database_;
  std::unique_ptr<PgConnection> sql_;
};

INSTANTIATE_TEST_SUITE_P(Servers, CatalogTest, ::testing::Values(14, 15, 16, 17, 18));

TEST_P(CatalogTest, Types) {
  MustExecute(*sql_,
              "CREATE SCHEMA shop; CREATE TYPE shop.mood AS ENUM ('sad'); CREATE DOMAIN shop.price AS numeric(10,2);"
              "CREATE DOMAIN shop.offer AS shop.price CHECK (VALUE > 0); CREATE TYPE shop.pair AS (a int, b int);"
              "CREATE DOMAIN shop.moods AS shop.mood[]; CREATE TYPE shop.span AS RANGE (subtype = float8);"
              "CREATE EXTENSION hstore SCHEMA shop");
  TypeCatalog types(sql_.get());
  const auto resolve = [&](const std::string& name) {
    const auto oid = static_cast<uint32_t>(std::stoul(MustQuery(*sql_, "SELECT '" + name + "'::regtype::oid")));
    auto first = types.Resolve(oid, -1);
    EXPECT_EQ(types.Resolve(oid, -1).value(), first.value());
    return *first;
  };
  const PgType mood = resolve("shop.mood");
  EXPECT_TRUE(mood.binary);
  EXPECT_EQ(mood.source_name, "shop.mood");
  EXPECT_EQ(mood.sql_name, "text");
  const PgType offer = resolve("shop.offer");
  EXPECT_EQ(offer.logical, LogicalType::kDecimal);
  EXPECT_EQ(offer.sql_name, "numeric(10,2)");
  EXPECT_EQ(offer.source_name, "shop.offer");
  EXPECT_EQ(offer.oid, 1700u);
  EXPECT_EQ(resolve("shop.mood[]").source_name, "shop.mood[]");
  for (const std::string name : {"shop.pair", "shop.moods", "shop.span", "shop.hstore", "shop.mood[]"}) {
    const PgType type = resolve(name);
    EXPECT_FALSE(type.binary) << name;
    EXPECT_EQ(type.logical, LogicalType::kText) << name;
    EXPECT_EQ(type.sql_name, "text") << name;
    EXPECT_EQ(type.source_name, name);
  }
  EXPECT_EQ(types.Resolve(4000000, -1)->source_name, "type 4000000");
  EXPECT_EQ(TypeCatalog(nullptr).Resolve(mood.oid, -1)->logical, LogicalType::kText);
  EXPECT_EQ(types.Resolve(23, -1)->logical, LogicalType::kInt32);
}

TEST_P(CatalogTest, KeysFollowTheReplicaIdentity) {
  MustExecute(*sql_,
              "CREATE TABLE a (x text, id int, y int, PRIMARY KEY (y, id) INCLUDE (x));"
              "CREATE TABLE b (id int PRIMARY KEY, u int NOT NULL); CREATE UNIQUE INDEX b_u ON b (u);"
              "ALTER TABLE b REPLICA IDENTITY USING INDEX b_u;"
              "CREATE TABLE c (id int PRIMARY KEY, v int); ALTER TABLE c REPLICA IDENTITY FULL;"
              "CREATE TABLE d (v int); ALTER TABLE d REPLICA IDENTITY FULL;"
              "CREATE TABLE e (id int PRIMARY KEY); ALTER TABLE e REPLICA IDENTITY NOTHING;"
              "CREATE TABLE f (id int PRIMARY KEY DEFERRABLE);"
              "CREATE TABLE g (gone int, id int PRIMARY KEY, w int); ALTER TABLE g DROP gone;"
              "CREATE PUBLICATION p FOR ALL TABLES");
  EXPECT_THAT(Published(),
              ElementsAre("public.a(x,id,y) key=id,y", "public.b(id,u) key=u", "public.c(id,v) key=id",
                          "public.d(v) key=", "public.e(id) key=", "public.f(id) key=", "public.g(id,w) key=id"));
  TypeCatalog types(sql_.get());
  const auto tables = PublishedTables(*sql_, "p", types);
  EXPECT_THAT(PrimaryKeyColumns(*sql_, (*tables)[0].relation.oid).value(), ElementsAre("id", "y"));
  EXPECT_THAT(PrimaryKeyColumns(*sql_, (*tables)[3].relation.oid).value(), IsEmpty());
  EXPECT_TRUE((*tables)[2].relation.columns[1].key);
  EXPECT_TRUE((*tables)[2].has_primary_key);
  EXPECT_FALSE((*tables)[3].has_primary_key);
  EXPECT_EQ(PublishedTables(*sql_, "nothing", types).status().code(), absl::StatusCode::kNotFound);
}

TEST_P(CatalogTest, PartitionsThroughTheirRootOrByThemselves) {
  MustExecute(*sql_,
              "CREATE TABLE r (id int PRIMARY KEY) PARTITION BY RANGE (id);"
              "CREATE TABLE r1 PARTITION OF r FOR VALUES FROM (0) TO (10);"
              "CREATE TABLE r2 PARTITION OF r DEFAULT; INSERT INTO r SELECT generate_series(1, 1000);"
              "CREATE PUBLICATION p FOR TABLE r WITH (publish_via_partition_root = true)");
  EXPECT_THAT(Published(), ElementsAre("public.r(id) key=id"));
  TypeCatalog types(sql_.get());
  const auto tables = PublishedTables(*sql_, "p", types);
  EXPECT_TRUE((*tables)[0].partitioned_root);
  EXPECT_EQ((*tables)[0].pages, 6);  // 1 of r1, 5 of r2
  EXPECT_GT((*tables)[0].estimated_rows, 0);
  MustExecute(*sql_, "ALTER PUBLICATION p SET (publish_via_partition_root = false)");
  EXPECT_THAT(Published(), ElementsAre("public.r1(id) key=id", "public.r2(id) key=id"));
}

TEST_P(CatalogTest, TablesOfAPublicationThatIsNotMadeYet) {
  MustExecute(*sql_,
              "CREATE SCHEMA s; CREATE TABLE s.b (x text, id int PRIMARY KEY, g int GENERATED ALWAYS AS (1) STORED);"
              "CREATE TABLE a (v int); CREATE TABLE r (id int PRIMARY KEY) PARTITION BY RANGE (id);"
              "CREATE TABLE r1 PARTITION OF r DEFAULT");
  const auto shown_of = [&](const std::vector<std::string>& named) {
    SourceOptions options;
    options.publication_tables = named;
    TypeCatalog types(sql_.get());
    const auto to_publish = TablesToPublish(*sql_, options, types);
    std::string shown;
    for (const PublishedTable& table : to_publish.value()) {
      absl::StrAppend(
          &shown, table.relation.QualifiedName(), "(",
          absl::StrJoin(table.relation.columns, ",", [](std::string* out, const Column& c) { *out += c.name; }), ")",
          table.relation.key.size(), " ");
    }
    return shown;
  };
  EXPECT_EQ(shown_of({"s.b", "r"}), "public.r(id)1 s.b(x,id)1 ");
  EXPECT_EQ(shown_of({}), "public.a(v)0 public.r(id)1 s.b(x,id)1 ");
}

TEST_P(CatalogTest, WhatThePublicationLeavesOut) {
  MustExecute(*sql_, "CREATE TABLE t (id int PRIMARY KEY, a int, b text, g int GENERATED ALWAYS AS (a + 1) STORED)");
  MustExecute(*sql_, GetParam() >= 15 ? "CREATE PUBLICATION p FOR TABLE t (id, a) WHERE (id > 5)"
                                      : "CREATE PUBLICATION p FOR TABLE t");
  TypeCatalog types(sql_.get());
  const auto table = PublishedTables(*sql_, "p", types).value().at(0);
  EXPECT_THAT(table.generated_columns, ElementsAre("g"));
  if (GetParam() >= 15) {
    EXPECT_EQ(table.row_filter, "(id > 5)");
    EXPECT_THAT(table.unlisted_columns, ElementsAre("b"));
    EXPECT_THAT(Published(), ElementsAre("public.t(id,a) key=id"));
  } else {
    EXPECT_THAT(Published(), ElementsAre("public.t(id,a,b) key=id"));
  }
  if (GetParam() >= 18) {
    MustExecute(*sql_,
                "DROP PUBLICATION p; CREATE PUBLICATION p FOR TABLE t WITH (publish_generated_columns = stored)");
    EXPECT_THAT(Published(), ElementsAre("public.t(id,a,b,g) key=id"));
    MustExecute(*sql_, "DROP PUBLICATION p; CREATE PUBLICATION p FOR TABLE t (id, g)");
    EXPECT_THAT(Published(), ElementsAre("public.t(id,g) key=id"));
  }
}

TEST_P(CatalogTest, EnsurePublicationMakesAndChanges) {
  MustExecute(*sql_,
              "CREATE TABLE a (id int PRIMARY KEY); CREATE SCHEMA \"S\"; CREATE TABLE \"S\".\"B\" (id int PRIMARY KEY);"
              "CREATE TABLE c (id int PRIMARY KEY); CREATE VIEW v AS SELECT 1; CREATE UNLOGGED TABLE u ()");
  const auto ensure = [&](const std::vector<std::string>& tables, const std::vector<std::string>& schemas, bool sync,
                          PublicationMode mode = PublicationMode::kAdd) {
    return EnsurePublication(*sql_, "p", tables, schemas, sync, mode);
  };
  EXPECT_FALSE(PublicationExists(*sql_, "p").value());
  EXPECT_EQ(ensure({"public.a", "public.nowhere", "x.y"}, {}, false).status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(ensure({"public.nowhere", "x.y"}, {}, false).status().message()),
              HasSubstr("public.nowhere, x.y"));
  EXPECT_THAT(std::string(ensure({"public.v"}, {}, false).status().message()),
              HasSubstr("public.v is not a table but a view"));
  EXPECT_THAT(std::string(ensure({"public.u"}, {}, false).status().message()), HasSubstr("unlogged"));
  auto change = ensure({"public.a"}, {}, false);
  ASSERT_TRUE(change.ok()) << change.status();
  EXPECT_TRUE(change->created);
  EXPECT_THAT(Published(), ElementsAre("public.a(id) key=id"));
  change = ensure({"public.a", "public.c"}, {}, false);
  EXPECT_TRUE(change.ok() && !change->created && change->added.empty());
  change = ensure({"public.a", "S.B", "public.c"}, {}, true);
  ASSERT_TRUE(change.ok()) << change.status();
  EXPECT_THAT(change->added, ElementsAre("S.B", "public.c"));
  change = ensure({"S.B"}, {}, true, PublicationMode::kSync);
  ASSERT_TRUE(change.ok()) << change.status();
  EXPECT_THAT(change->removed, ElementsAre("public.a", "public.c"));
  EXPECT_THAT(Published(), ElementsAre("S.B(id) key=id"));
  if (GetParam() < 15) {
    EXPECT_EQ(ensure({}, {"S"}, true).status().code(), absl::StatusCode::kFailedPrecondition);
  } else {
    change = ensure({}, {"S", "public"}, true, PublicationMode::kSync);
    ASSERT_TRUE(change.ok()) << change.status();
    EXPECT_THAT(Published(), ElementsAre("S.B(id) key=id", "public.a(id) key=id", "public.c(id) key=id"));
    change = ensure({"public.a"}, {"S"}, true, PublicationMode::kSync);
    ASSERT_TRUE(change.ok()) << change.status();
    EXPECT_THAT(change->removed, ElementsAre("public.*"));
    EXPECT_THAT(Published(), ElementsAre("S.B(id) key=id", "public.a(id) key=id"));
  }
  MustExecute(*sql_, "DROP PUBLICATION p");
  ASSERT_TRUE(ensure({}, {}, false).ok());
  EXPECT_EQ(Published().size(), 3u);
  EXPECT_TRUE(ensure({"public.a"}, {}, true).ok());
  EXPECT_EQ(ensure({"public.a"}, {}, true, PublicationMode::kSync).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST_P(CatalogTest, PublicationWithoutTheRightSaysWhatToRun) {
  const std::string role = "weak_" + database_;
  MustExecute(*sql_, "CREATE TABLE a (id int PRIMARY KEY); CREATE ROLE " + role + " LOGIN");
  auto weak = MustConnect(server().Dsn(database_, role));
  const auto message = [&](const std::vector<std::string>& tables) {
    const absl::Status status = EnsurePublication(*weak, "p", tables, {}, false, PublicationMode::kAdd).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied) << status;
    return std::string(status.message());
  };
  EXPECT_THAT(message({"public.a"}), HasSubstr("run: CREATE PUBLICATION \"p\" FOR TABLE \"public\".\"a\""));
  MustExecute(*sql_, "GRANT CREATE ON DATABASE " + database_ + " TO " + role);
  EXPECT_THAT(message({"public.a"}), HasSubstr("must be owner of table a"));
  EXPECT_THAT(message({}), HasSubstr("let a superuser run: CREATE PUBLICATION \"p\" FOR ALL TABLES"));
}

}  // namespace
}  // namespace wallaby
