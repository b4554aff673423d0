// Schema changes on a real server: each step by values; done twice, by halves, and followed by rows in the new shape.
#include <unistd.h>

#include <algorithm>
#include <string>

#include "change/schema_change.h"
#include "destination/postgres/column_types.h"
#include "destination/postgres/test_batches.h"
#include "destination/test_shapes.h"
#include "gmock/gmock.h"

namespace wallaby {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

PgType Type(uint32_t oid, int32_t typmod = -1) {
  return BuiltinType(oid, typmod);
}
TableShape WithKey(TableShape shape, const std::vector<int>& key) {
  shape.relation.key = key;
  for (size_t i = 0; i < shape.details.size(); ++i) {
    const bool is_key = std::count(key.begin(), key.end(), static_cast<int>(i)) > 0;
    shape.relation.columns[i].key = is_key;
    if (is_key) shape.details[i].not_null = true;
  }
  if (key.empty()) shape.relation.identity = ReplicaIdentity::kFull;
  return shape;
}
RelationPtr Rel(const TableShape& shape) {
  return std::make_shared<Relation>(shape.Visible());
}

class PostgresSchemaChange : public DestinationTest {
 protected:
  const TableShape base_ = ShapeOfColumns({{"id", Type(kInt4)}, {"name"}, {"n", Type(kInt8)}});

  void OpenWithRows(std::map<std::string, std::string> options = {}) {
    destination_ = MakeOpen(std::move(options));
    Write(TestBatch(100).Insert(Rel(base_), {"1", "one", "10"}).Insert(Rel(base_), {"2", "two", {}}));
  }
  void Write(const TestBatch& batch) {
    const absl::Status status = Deliver(*destination_, batch);
    ASSERT_TRUE(status.ok()) << status;
  }
  absl::Status Ddl(const SchemaChange& change) { return destination_->ApplyDdl(change); }
  // Twice, as after a crash before anybody knew of the first.
  void Follow(const SchemaChange& change) {
    for (int i = 0; i < 2; ++i) {
      const absl::Status status = Ddl(change);
      ASSERT_TRUE(status.ok()) << status;
    }
  }
  void Follow(const TableShape& before, const TableShape& after) { Follow(CompareShapes(&before, &after)); }
  std::string Refusal(const SchemaChange& change) {
    const absl::Status status = Ddl(change);
    EXPECT_FALSE(status.ok());
    EXPECT_FALSE(IsTransientCode(status)) << status;
    EXPECT_TRUE(destination_->Open().ok());
    return std::string(status.message());
  }
  std::string Refusal(const TableShape& before, const TableShape& after) {
    return Refusal(CompareShapes(&before, &after));
  }
  static bool IsTransientCode(const absl::Status& status) {
    return absl::IsUnavailable(status) || absl::IsAborted(status) || absl::IsDeadlineExceeded(status);
  }
  std::vector<std::string> Shown(const TableShape& before, const TableShape& after) {
    return destination_->DdlStatements(CompareShapes(&before, &after));
  }
  void ByHand(const std::string& sql) { MustExecute(*sql_, sql); }
  std::string Columns(const std::string& table = "items") {
    return MustQuery(*sql_,
                     "SELECT coalesce(string_agg(attname || ' ' || format_type(atttypid, atttypmod) || CASE WHEN "
                     "attnotnull THEN '!' ELSE '' END, ', ' ORDER BY attnum), '') FROM pg_attribute WHERE attrelid = "
                     "to_regclass('" +
                         table + "') AND attnum > 0 AND NOT attisdropped AND attname NOT LIKE '\\_wallaby%'");
  }
  // Definitions of the table's indexes behind USING.
  std::string Indexes(const std::string& table = "items") {
    return MustQuery(*sql_,
                     "SELECT coalesce(string_agg(CASE WHEN indisprimary THEN 'primary ' WHEN indisunique THEN 'unique "
                     "' ELSE '' END || substring(pg_get_indexdef(indexrelid) FROM '\\(.*\\)'), ', ' ORDER BY "
                     "pg_get_indexdef(indexrelid)), '') FROM pg_index WHERE indrelid = to_regclass('" +
                         table + "')");
  }

  std::unique_ptr<Destination> destination_;
};

// ---- tables ----

TEST_F(PostgresSchemaChange, CreateTable) {
  destination_ = MakeOpen({{"type_mappings", "bigint=text"}, {"schema", "It's \"all\""}});
  const SchemaChange change = CompareShapes(nullptr, &base_);
  EXPECT_THAT(destination_->DdlStatements(change),
              ElementsAre("CREATE SCHEMA IF NOT EXISTS \"It's \"\"all\"\"\"",
                          "CREATE TABLE \"It's \"\"all\"\"\".\"items\" (\"id\" integer, \"name\" text, \"n\" text, "
                          "PRIMARY KEY (\"id\"))"));
  Follow(change);
  EXPECT_EQ(Columns("\"It''s \"\"all\"\"\".items"), "id integer!, name text, n text");
  EXPECT_EQ(Indexes("\"It''s \"\"all\"\"\".items"), "primary (id)");
  Write(TestBatch(100).Insert(Rel(base_), {"1", "one", "10"}));
  EXPECT_EQ(Rows("\"It's \"\"all\"\"\".items"), "1,one,10;");
}

TEST_F(PostgresSchemaChange, DropTable) {
  OpenWithRows();
  const SchemaChange change = CompareShapes(&base_, nullptr);
  EXPECT_THAT(destination_->DdlStatements(change), ElementsAre("DROP TABLE \"public\".\"items\""));
  ByHand("CREATE VIEW watching AS SELECT id FROM items");
  EXPECT_THAT(Refusal(change), HasSubstr("view watching depends on table items"));
  ByHand("DROP VIEW watching");
  Follow(change);
  EXPECT_EQ(Columns(), "");
  Follow(CompareShapes(nullptr, &base_));
  Write(TestBatch(200).Insert(Rel(base_), {"7", "seven", {}}));
  EXPECT_EQ(Rows("items"), "7,seven,null;");
}

TEST_F(PostgresSchemaChange, AppendModeKeepsADroppedTable) {
  OpenWithRows({{"write_mode", "append"}});
  const SchemaChange change = CompareShapes(&base_, nullptr);
  EXPECT_THAT(destination_->DdlStatements(change),
              ElementsAre("-- \"public\".\"items\" stays: the log of a dropped table is kept"));
  Follow(change);
  EXPECT_EQ(Rows("items", "id"), "1;2;");
}

TEST_F(PostgresSchemaChange, RenameAndMoveTable) {
  OpenWithRows();
  const TableShape after = ShapeOfColumns({{"id", Type(kInt4)}, {"name"}, {"n", Type(kInt8)}}, "It\"ems 2", "Shop");
  EXPECT_THAT(Shown(base_, after), ElementsAre("CREATE SCHEMA IF NOT EXISTS \"Shop\"",
                                               "ALTER TABLE \"public\".\"items\" SET SCHEMA \"Shop\"",
                                               "ALTER TABLE \"Shop\".\"items\" RENAME TO \"It\"\"ems 2\""));
  Follow(base_, after);
  Write(TestBatch(200).Update(Rel(after), {"1", "uno", "11"}));
  EXPECT_EQ(Rows("\"Shop\".\"It\"\"ems 2\""), "1,uno,11;2,two,null;");
  // The old name is free for another table.
  Write(TestBatch(300).Insert(Rel(base_), {"9", "new", {}}));
  EXPECT_EQ(Rows("items"), "9,new,null;");
}

TEST_F(PostgresSchemaChange, ARoleThatMakesNoSchemasCanMoveATable) {
  ByHand("CREATE ROLE mover_" + std::to_string(getpid()) + " LOGIN; CREATE SCHEMA wallaby AUTHORIZATION mover_" +
         std::to_string(getpid()) + "; CREATE SCHEMA a AUTHORIZATION mover_" + std::to_string(getpid()) +
         "; CREATE SCHEMA b AUTHORIZATION mover_" + std::to_string(getpid()));
  const std::string database = MustQuery(*sql_, "SELECT current_database()");
  destination_ = MakeOpen({{"dsn", server_->Dsn(database, "mover_" + std::to_string(getpid()))}});
  const TableShape before = ShapeOfColumns({{"id", Type(kInt4)}}, "t", "a"),
                   after = ShapeOfColumns({{"id", Type(kInt4)}}, "t", "b");
  Write(TestBatch(100).Insert(Rel(before), {"1"}));
  Follow(before, after);
  EXPECT_EQ(Rows("b.t"), "1;");
}

TEST_F(PostgresSchemaChange, BothNamesAreThere) {
  OpenWithRows();
  ByHand("CREATE TABLE other (id integer PRIMARY KEY)");
  TableShape after = base_;
  after.relation.name = "other";
  EXPECT_THAT(Refusal(base_, after), HasSubstr("has both"));
  EXPECT_EQ(Rows("items"), "1,one,10;2,two,null;");
  ByHand("DROP TABLE other");
  Follow(base_, after);
  EXPECT_EQ(Rows("other"), "1,one,10;2,two,null;");
}

TEST_F(PostgresSchemaChange, OptionsKeepTheName) {
  OpenWithRows({{"schema", "All"}, {"table", "One"}});
  const TableShape after = ShapeOfColumns({{"id", Type(kInt4)}, {"name"}, {"n", Type(kInt8)}}, "renamed", "elsewhere");
  EXPECT_THAT(Shown(base_, after), ElementsAre("-- the table stays \"All\".\"One\""));
  Follow(base_, after);
  Write(TestBatch(200).Update(Rel(after), {"1", "uno", "11"}));
  EXPECT_EQ(Rows("\"All\".\"One\""), "1,uno,11;2,two,null;");
}

TEST_F(PostgresSchemaChange, ATableThatIsNotThere) {
  destination_ = MakeOpen();
  const TableShape after = ShapeOfColumns({{"id", Type(kInt4)}, {"title", Type(kTextOid), 2}}, "renamed");
  Follow(base_, after);
  EXPECT_EQ(MustQuery(*sql_, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"), "0");
  Follow(CompareShapes(&base_, nullptr));
}

// ---- columns ----

TEST_F(PostgresSchemaChange, AddedColumnsAreFilled) {
  OpenWithRows();
  const TableShape after = ShapeOfColumns({{"id", Type(kInt4)},
                                           {"name"},
                                           {"n", Type(kInt8)},
                                           {"bool", Type(16), 0, "t"},
                                           {"bytes", Type(17), 0, "\\x00ff27"},
                                           {"stamp", Type(1114), 0, "-infinity"},
                                           {"zoned", Type(1184), 0, "2024-05-01 10:00:00.5+02"},
                                           {"bc", Type(1114), 0, "0044-03-15 10:00:00 BC"},
                                           {"dec", Type(1700, NumericTypmod(10, 2)), 0, "-1.50"},
                                           {"num", Type(1700), 0, "NaN"},
                                           {"js", Type(114), 0, "{\"it's\":  1}"},
                                           {"list", Type(1009), 0, "{\"a b\",NULL,\"it's\"}"},
                                           {"uuid", Type(2950), 0, "6b1f3c1e-0000-4000-8000-00000000abcd"},
                                           {"It's \"x\"", Type(kTextOid), 0, "it's \\n"},
                                           {"none"}});
  EXPECT_THAT(Shown(base_, after), Contains("ALTER TABLE \"public\".\"items\" ADD COLUMN \"dec\" numeric(10,2) "
                                            "DEFAULT '-1.50'::numeric(10,2)"));
  Follow(base_, after);
  ByHand("SET TimeZone = 'UTC'");
  EXPECT_EQ(Rows("items", "id, bool, bytes, stamp, zoned, bc, dec, num, js, list, uuid, \"It's \"\"x\"\"\", none"),
            "1,t,\\x00ff27,-infinity,2024-05-01 08:00:00.5+00,0044-03-15 10:00:00 BC,-1.50,NaN,{\"it's\":  1},{\"a "
            "b\",NULL,it's},6b1f3c1e-0000-4000-8000-00000000abcd,it's \\n,null;"
            "2,t,\\x00ff27,-infinity,2024-05-01 08:00:00.5+00,0044-03-15 10:00:00 BC,-1.50,NaN,{\"it's\":  1},{\"a "
            "b\",NULL,it's},6b1f3c1e-0000-4000-8000-00000000abcd,it's \\n,null;");
  EXPECT_EQ(MustQuery(*sql_, "SELECT count(*) FROM pg_attrdef WHERE adrelid = 'items'::regclass"), "0");
  TestRow row(15);
  row[0] = "3";
  Write(TestBatch(200).Insert(Rel(after), row));
  EXPECT_EQ(MustQuery(*sql_, "SELECT bool IS NULL AND num IS NULL FROM items WHERE id = 3"), "t");
}

TEST_F(PostgresSchemaChange, AFilledValueOfAMappedColumnIsItsText) {
  OpenWithRows({{"type_mappings", "public.items.flag=text"}});
  Follow(base_, ShapeOfColumns({{"id", Type(kInt4)}, {"name"}, {"n", Type(kInt8)}, {"flag", Type(16), 0, "t"}}));
  EXPECT_EQ(Columns(), "id integer!, name text, n bigint, flag text");
  EXPECT_EQ(Rows("items"), "1,one,10,t;2,two,null,t;");
}

TEST_F(PostgresSchemaChange, DropAndRenameColumns) {
  OpenWithRows();
  const TableShape after = ShapeOfColumns({{"Key", Type(kInt4), 1}, {"Title", Type(kTextOid), 2}});
  EXPECT_THAT(Shown(base_, after), ElementsAre("ALTER TABLE \"public\".\"items\" DROP COLUMN \"n\"",
                                               "ALTER TABLE \"public\".\"items\" RENAME COLUMN \"id\" TO \"Key\"",
                                               "ALTER TABLE \"public\".\"items\" RENAME COLUMN \"name\" TO \"Title\""));
  Follow(base_, after);
  EXPECT_EQ(Columns(), "Key integer!, Title text");
  EXPECT_EQ(Indexes(), "primary (\"Key\")");
  Write(TestBatch(200).Update(Rel(after), {"1", "uno"}));
  EXPECT_EQ(Rows("items"), "1,uno;2,two;");
}

TEST_F(PostgresSchemaChange, HalfDoneByHand) {
  OpenWithRows();
  const TableShape after = ShapeOfColumns(
      {{"id", Type(kInt4)}, {"title", Type(kTextOid), 2}, {"x", Type(kInt4), 4, "5"}, {"y", Type(kInt4), 5, "6"}});
  ByHand("ALTER TABLE items RENAME COLUMN name TO title; ALTER TABLE items ADD COLUMN y integer DEFAULT 7");
  Follow(base_, after);
  EXPECT_EQ(Rows("items", "id, title, x, y"), "1,one,5,7;2,two,5,7;");
  EXPECT_EQ(Columns(), "id integer!, title text, y integer, x integer");
}

TEST_F(PostgresSchemaChange, NamesThatAreHandedOn) {
  OpenWithRows();
  const TableShape taken = ShapeOfColumns({{"id", Type(kInt4)}, {"name", Type(kInt8), 3}});
  Follow(base_, taken);
  EXPECT_EQ(Rows("items"), "1,10;2,null;");
  const TableShape fresh = ShapeOfColumns({{"id", Type(kInt4)}, {"name", Type(kInt8), 4, "5"}});
  Follow(taken, fresh);
  EXPECT_EQ(Rows("items"), "1,5;2,5;");
}

TEST_F(PostgresSchemaChange, TwoColumnsChangeNames) {
  const TableShape before = ShapeOfColumns({{"id", Type(kInt4)}, {"a"}, {"b"}});
  const TableShape after = ShapeOfColumns({{"id", Type(kInt4)}, {"b"}, {"a"}});
  destination_ = MakeOpen();
  Write(TestBatch(100).Insert(Rel(before), {"1", "was a", "was b"}));
  Follow(before, after);
  EXPECT_EQ(Rows("items", "id, a, b"), "1,was b,was a;");
  Follow(after, before);
  EXPECT_EQ(Rows("items", "id, a, b"), "1,was a,was b;");
  Follow(before, after);
  EXPECT_EQ(Rows("items", "id, a, b"), "1,was b,was a;");
  // The record counts for as long as nothing was written.
  Write(TestBatch(200).Insert(Rel(after), {"2", "new b", "new a"}));
  ASSERT_TRUE(Ddl(CompareShapes(&before, &after)).ok());
  EXPECT_EQ(Rows("items", "id, a, b"), "1,was a,was b;2,new b,new a;");
}

TEST_F(PostgresSchemaChange, BothOrNeitherOfTwoColumns) {
  OpenWithRows();
  TableShape after = base_;
  after.relation.columns[1].name = "title";
  ByHand("ALTER TABLE items ADD COLUMN title text");
  EXPECT_THAT(Refusal(base_, after), HasSubstr("name, title it has name, title"));
  ByHand("ALTER TABLE items DROP COLUMN title, DROP COLUMN name");
  EXPECT_THAT(Refusal(base_, after), HasSubstr("name, title it has none of them"));
}

TEST_F(PostgresSchemaChange, WhatDependsOnADroppedColumnIsNamed) {
  OpenWithRows();
  const TableShape after = ShapeOfColumns({{"id", Type(kInt4)}, {"name"}});
  ByHand("CREATE VIEW watching AS SELECT n FROM items");
  std::string refusal = Refusal(base_, after);
  EXPECT_THAT(refusal, HasSubstr("view watching depends on column n"));
  EXPECT_THAT(refusal, HasSubstr("apply the change again"));
  ByHand("DROP VIEW watching; CREATE INDEX \"by N\" ON items (n); CREATE INDEX by_sum ON items ((n + 1))");
  refusal = Refusal(base_, after);
  EXPECT_THAT(refusal, HasSubstr("index \"by N\", by_sum depends on the column"));
  EXPECT_THAT(refusal, HasSubstr("column n"));
  EXPECT_EQ(Columns(), "id integer!, name text, n bigint");
  ByHand("DROP INDEX \"by N\", by_sum; CREATE INDEX of_another ON items (name)");
  Follow(base_, after);
  EXPECT_EQ(Columns(), "id integer!, name text");
}

TEST_F(PostgresSchemaChange, RejectedColumnsStayOut) {
  OpenWithRows();
  TableShape after = ShapeOfColumns({{"id", Type(kInt4)}, {"name"}, {"n", Type(kInt8)}, {"x", Type(kInt4), 0, "1"}});
  after.details[3].hidden = true;
  Follow(base_, after);
  EXPECT_EQ(Columns(), "id integer!, name text, n bigint");
}

// ---- types ----

TEST(PostgresColumnTypes, WhatHoldsWhat) {
  EXPECT_TRUE(PostgresTypeHolds("bigint", "integer"));
  EXPECT_TRUE(PostgresTypeHolds("numeric", "bigint"));
  EXPECT_TRUE(PostgresTypeHolds("text", "character varying(20)"));
  EXPECT_TRUE(PostgresTypeHolds("character varying(20)", "character varying(10)"));
  EXPECT_TRUE(PostgresTypeHolds("numeric(12,2)", "numeric(10,2)"));
  EXPECT_FALSE(PostgresTypeHolds("integer", "bigint"));
  EXPECT_FALSE(PostgresTypeHolds("character varying(10)", "character varying(20)"));
  EXPECT_FALSE(PostgresTypeHolds("character varying(10)", "text"));
  EXPECT_FALSE(PostgresTypeHolds("numeric(12,4)", "numeric(10,2)"));  // it would print other digits
  EXPECT_FALSE(PostgresTypeHolds("numeric(10,2)", "numeric(12,2)"));
  EXPECT_FALSE(PostgresTypeHolds("text", "integer"));
  EXPECT_FALSE(PostgresTypeHolds("timestamp without time zone", "timestamp with time zone"));
}

TEST_F(PostgresSchemaChange, WiderTypesKeepTheirValues) {
  const TableShape before =
      ShapeOfColumns({{"id", Type(kInt4)}, {"d", Type(1700, NumericTypmod(6, 2))}, {"v", Type(1043, 14)}});
  const TableShape after = ShapeOfColumns({{"id", Type(kInt8)}, {"d", Type(1700, NumericTypmod(12, 2))}, {"v"}});
  destination_ = MakeOpen();
  Write(TestBatch(100).Insert(Rel(before), {"1", "1.25", "text"}));
  EXPECT_THAT(Shown(before, after),
              ElementsAre("ALTER TABLE \"public\".\"items\" ALTER COLUMN \"id\" TYPE bigint",
                          "ALTER TABLE \"public\".\"items\" ALTER COLUMN \"d\" TYPE numeric(12,2)",
                          "ALTER TABLE \"public\".\"items\" ALTER COLUMN \"v\" TYPE text"));
  Follow(before, after);
  EXPECT_EQ(Columns(), "id bigint!, d numeric(12,2), v text");
  Write(TestBatch(200).Insert(Rel(after), {"5000000000", "1234567890.12", "longer than ten"}));
  EXPECT_EQ(Rows("items"), "1,1.25,text;5000000000,1234567890.12,longer than ten;");
}

TEST_F(PostgresSchemaChange, OtherTypesAreForTheCopyToFill) {
  OpenWithRows();
  const TableShape after = ShapeOfColumns({{"id", Type(kInt4)}, {"name", Type(2950)}, {"n", Type(kInt4)}});
  EXPECT_THAT(Shown(base_, after),
              ElementsAre("ALTER TABLE \"public\".\"items\" ALTER COLUMN \"name\" TYPE uuid USING NULL::uuid",
                          "-- column n stays bigint, which holds the new values"));
  Follow(base_, after);
  EXPECT_EQ(Rows("items"), "1,null,10;2,null,null;");
  Write(TestBatch(200).Update(Rel(after), {"1", "6b1f3c1e-0000-4000-8000-00000000abcd", "4"}));
  EXPECT_EQ(Rows("items"), "1,6b1f3c1e-0000-4000-8000-00000000abcd,4;2,null,null;");
}

TEST_F(PostgresSchemaChange, AKeyOfAnotherTypeEmptiesTheTableForTheCopy) {
  OpenWithRows();
  const TableShape after = ShapeOfColumns({{"id", Type(2950)}, {"name"}, {"n", Type(kInt8)}});
  EXPECT_THAT(Shown(base_, after), Contains("TRUNCATE TABLE \"public\".\"items\""));
  Follow(base_, after);
  EXPECT_EQ(Columns(), "id uuid!, name text, n bigint");
  EXPECT_EQ(Rows("items"), "");
  EXPECT_EQ(Indexes(), "primary (id)");
  // Done a second time, what the copy brought stays.
  Write(TestBatch(200).Insert(Rel(after), {"6b1f3c1e-0000-4000-8000-00000000abcd", "one", "10"}));
  Follow(base_, after);
  EXPECT_EQ(Rows("items"), "6b1f3c1e-0000-4000-8000-00000000abcd,one,10;");
}

TEST_F(PostgresSchemaChange, ATypeWithoutCopyIsCast) {
  OpenWithRows();
  TableShape after = base_;
  after.relation.columns[2].type = Type(1700, NumericTypmod(10, 1));
  SchemaChange change = CompareShapes(&base_, &after);
  change.copy = false;
  Follow(change);
  EXPECT_EQ(Rows("items"), "1,one,10.0;2,two,null;");
  after.relation.columns[1].type = Type(kInt4);
  change = CompareShapes(&base_, &after);
  change.copy = false;
  EXPECT_THAT(Refusal(change), HasSubstr("column name"));
}

TEST_F(PostgresSchemaChange, AUsersTypeThatHoldsTheValuesStays) {
  ByHand("CREATE TABLE items (id numeric PRIMARY KEY, name text, n text)");
  OpenWithRows();
  TableShape after = base_;
  after.relation.columns[0].type = Type(kInt8);
  after.relation.columns[2].type = Type(1114);
  Follow(base_, after);
  EXPECT_EQ(Columns(), "id numeric!, name text, n text");
  EXPECT_EQ(Rows("items"), "1,one,10;2,two,null;");
}

TEST_F(PostgresSchemaChange, AViewInTheWayOfATypeIsNamed) {
  OpenWithRows();
  ByHand("CREATE VIEW watching AS SELECT id FROM items");
  TableShape after = base_;
  after.relation.columns[0].type = Type(kInt8);
  EXPECT_THAT(Refusal(base_, after), HasSubstr("view watching"));
}

// ---- nullability, defaults and keys ----

TEST_F(PostgresSchemaChange, NullabilityAndDefault) {
  ByHand("CREATE TABLE items (id integer PRIMARY KEY, name text NOT NULL, n bigint NOT NULL)");
  destination_ = MakeOpen();
  TableShape before = base_, after = base_;
  before.details[0].not_null = before.details[1].not_null = true;
  after.details[0].not_null = after.details[1].not_null = false;  // id is a key column still
  after.details[2] = {.attnum = 3, .not_null = true, .default_sql = "7"};
  EXPECT_THAT(Shown(before, after),
              ElementsAre(StartsWith("-- id becomes nullable"), StartsWith("-- name becomes nullable"),
                          StartsWith("-- n is no longer nullable"), StartsWith("-- default of n")));
  Follow(before, after);
  EXPECT_EQ(Columns(), "id integer!, name text, n bigint!");
  Write(TestBatch(100).Insert(Rel(after), {"1", {}, "7"}));
  EXPECT_EQ(Rows("items"), "1,null,7;");
}

TEST_F(PostgresSchemaChange, AnotherKey) {
  OpenWithRows();
  const TableShape after = WithKey(base_, {1});
  EXPECT_THAT(Shown(base_, after), ElementsAre(StartsWith("-- name is no longer"),
                                               "ALTER TABLE \"public\".\"items\" DROP CONSTRAINT \"items_pkey\"",
                                               "ALTER TABLE \"public\".\"items\" ADD PRIMARY KEY (\"name\")"));
  Follow(base_, after);
  EXPECT_EQ(Indexes(), "primary (name)");
  // Legal at the source now.
  Write(TestBatch(200).Insert(Rel(after), {"1", "eins", "10"}));
  EXPECT_EQ(Rows("items"), "1,eins,10;1,one,10;2,two,null;");
}

TEST_F(PostgresSchemaChange, TheKeyGoesAndComesBack) {
  OpenWithRows();
  TableShape without = WithKey(base_, {});
  without.details[0].not_null = false;
  Follow(base_, without);
  EXPECT_EQ(Indexes(), "");
  EXPECT_EQ(Columns(), "id integer, name text, n bigint");
  Write(TestBatch(200).Insert(Rel(without), {"1", "one", "10"}).Insert(Rel(without), {{}, "none", {}}));
  EXPECT_EQ(Rows("items"), "null,none,null;1,one,10;1,one,10;2,two,null;");
  EXPECT_THAT(Refusal(without, base_), HasSubstr("copy the table again"));
  Write(TestBatch(300).Truncate(Rel(without)));
  Follow(without, base_);
  EXPECT_EQ(Indexes(), "primary (id)");
}

TEST_F(PostgresSchemaChange, AUsersPrimaryKeyStays) {
  ByHand("CREATE TABLE items (id integer, name text, n bigint, own serial PRIMARY KEY, UNIQUE (id))");
  OpenWithRows();
  ByHand("UPDATE items SET n = 20 WHERE id = 2");
  const TableShape by_n = WithKey(base_, {2}), by_name = WithKey(base_, {1});
  Follow(base_, by_n);
  EXPECT_EQ(Indexes(), "unique (id), primary (own), unique (n)");
  // The index that was made for the key goes with it; what a user made does not.
  Follow(by_n, by_name);
  EXPECT_EQ(Indexes(), "unique (id), primary (own), unique (name)");
  Write(TestBatch(200).Update(Rel(by_name), {"1", "one", "20"}));
  EXPECT_EQ(Rows("items", "id, name, n"), "1,one,20;2,two,20;");
}

TEST_F(PostgresSchemaChange, AKeyColumnIsDropped) {
  const TableShape before = ShapeOfColumns({{"a", Type(kInt4)}, {"b", Type(kInt4)}, {"c"}}, "items", "public", 2);
  const TableShape after = ShapeOfColumns({{"a", Type(kInt4)}, {"c", Type(kTextOid), 3}});
  destination_ = MakeOpen();
  Write(TestBatch(100).Insert(Rel(before), {"1", "1", "x"}).Insert(Rel(before), {"2", "1", "y"}));
  Follow(before, after);
  EXPECT_EQ(Indexes(), "primary (a)");
  Write(TestBatch(200).Update(Rel(after), {"2", "z"}));
  EXPECT_EQ(Rows("items"), "1,x;2,z;");
}

TEST_F(PostgresSchemaChange, ANewKeyColumnThatNobodyStreams) {
  OpenWithRows();
  TableShape after = ShapeOfColumns({{"id", Type(kInt4)}, {"name"}, {"n", Type(kInt8)}, {"serial", Type(kInt8)}});
  after.details[3].filled_by_rewrite = true;
  after = WithKey(after, {3});
  ASSERT_TRUE(CompareShapes(&base_, &after).copy);
  Follow(base_, after);
  EXPECT_EQ(Indexes(), "primary (serial)");
  Write(TestBatch(200).Insert(Rel(after), {"1", "one", "10", "1"}));
  EXPECT_EQ(Rows("items"), "1,one,10,1;");
}

TEST_F(PostgresSchemaChange, AForeignKeyInTheWayOfAKeyIsNamed) {
  OpenWithRows();
  ByHand("CREATE TABLE parts (item integer CONSTRAINT of_item REFERENCES items)");
  EXPECT_THAT(Refusal(base_, WithKey(base_, {1})), HasSubstr("of_item"));
  EXPECT_EQ(Indexes(), "primary (id)");
}

// ---- the whole ----

TEST_F(PostgresSchemaChange, AllStepsOfOneChange) {
  const TableShape before =
      ShapeOfColumns({{"id", Type(kInt4)}, {"a"}, {"b"}, {"gone"}, {"t", Type(kInt4), 0, {}, true}});
  const TableShape after = ShapeOfColumns({{"key", Type(kInt8), 1},
                                           {"b", Type(kTextOid), 2},
                                           {"a", Type(kTextOid), 3},
                                           {"t", Type(kInt8), 5},
                                           {"new", Type(1082), 6, "infinity"}},
                                          "goods", "shop");
  destination_ = MakeOpen();
  TestBatch many(100);  // enough for a plan with a temporary table
  for (int i = 1; i <= 100; ++i) many.Update(Rel(before), {std::to_string(i), "was a", "was b", "x", "4"});
  Write(many);
  Follow(before, after);
  EXPECT_EQ(MustQuery(*sql_, "SELECT string_agg(DISTINCT concat_ws('|', a, b, t, new), ';') FROM shop.goods"),
            "was b|was a|4|infinity");
  TestBatch more(200);
  for (int i = 51; i <= 150; ++i) more.Update(Rel(after), {std::to_string(i), "b", "a", "5000000000", "2024-01-01"});
  Write(more);
  EXPECT_EQ(MustQuery(*sql_,
                      "SELECT string_agg(concat_ws('|', count, a, b, t, new), ';' ORDER BY a) FROM (SELECT "
                      "count(*), a, b, t, new FROM shop.goods GROUP BY a, b, t, new) g"),
            "100|a|b|5000000000|2024-01-01;50|was b|was a|4|infinity");
}

TEST_F(PostgresSchemaChange, AFailureLeavesNothingBehind) {
  OpenWithRows();
  ByHand("CREATE VIEW watching AS SELECT id FROM items");
  const TableShape after =
      ShapeOfColumns({{"id", Type(kInt8)}, {"title", Type(kTextOid), 2}, {"x", Type(kInt4), 4, "1"}});
  Refusal(base_, after);
  EXPECT_EQ(Columns(), "id integer!, name text, n bigint");
}

TEST_F(PostgresSchemaChange, AnOlderWorkerIsFenced) {
  OpenWithRows();
  auto newer = MakeOpen({}, 2);
  TableShape after = base_;
  after.relation.columns[1].name = "title";
  EXPECT_THAT(std::string(Ddl(CompareShapes(&base_, &after)).message()), StartsWith("fenced"));
  EXPECT_EQ(Columns(), "id integer!, name text, n bigint");
}

TEST_F(PostgresSchemaChange, NotWithinAnOpenTransaction) {
  OpenWithRows();
  ASSERT_TRUE(destination_->Write(TestBatch(200).Insert(Rel(base_), {"3", "three", {}}).get()).ok());
  EXPECT_FALSE(Ddl(CompareShapes(&base_, nullptr)).ok());
  EXPECT_EQ(Rows("items"), "1,one,10;2,two,null;");
}

TEST_F(PostgresSchemaChange, AViewOfTheNameIsRefused) {
  destination_ = MakeOpen();
  ByHand("CREATE VIEW items AS SELECT 1 AS id");
  EXPECT_THAT(Refusal(base_, ShapeOfColumns({{"id", Type(kInt4)}, {"name"}})), HasSubstr("is not a table"));
}

// ---- append mode ----

class PostgresSchemaChangeInLogs : public PostgresSchemaChange {
 protected:
  void SetUp() override { OpenWithRows({{"write_mode", "append"}}); }
  std::string Log(const std::string& columns) {
    return MustQuery(*sql_, "SELECT string_agg(concat_ws('|', " + columns +
                                "), ';' ORDER BY _wallaby_lsn, _wallaby_seq) FROM items");
  }
};

TEST_F(PostgresSchemaChangeInLogs, ColumnsComeAndStay) {
  ByHand("UPDATE items SET n = 20 WHERE id = 2; ALTER TABLE items ALTER COLUMN n SET NOT NULL");
  const TableShape after =
      ShapeOfColumns({{"id", Type(kInt4)}, {"title", Type(kTextOid), 2}, {"x", Type(kInt4), 4, "5"}});
  EXPECT_THAT(Shown(base_, after),
              ElementsAre(StartsWith("-- column n stays"),
                          "ALTER TABLE \"public\".\"items\" RENAME COLUMN \"name\" TO \"title\"",
                          "ALTER TABLE \"public\".\"items\" ADD COLUMN \"x\" integer", StartsWith("-- x stays null")));
  Follow(base_, after);
  EXPECT_EQ(MustQuery(*sql_, "SELECT to_regclass('wallaby.schema_changes') IS NULL"), "t");
  Write(TestBatch(200).Insert(Rel(after), {"3", "three", "6"}));
  EXPECT_EQ(Log("id, title, coalesce(n, -1), coalesce(x, -1), _wallaby_op"),
            "1|one|10|-1|c;2|two|20|-1|c;3|three|-1|6|c");
}

TEST_F(PostgresSchemaChangeInLogs, AKeptColumnOfTheNameIsInTheWayOfARename) {
  const TableShape after = ShapeOfColumns({{"id", Type(kInt4)}, {"name", Type(kInt8), 3}});
  EXPECT_THAT(Refusal(base_, after), HasSubstr("RENAME COLUMN \"name\" TO another name"));
  ByHand("ALTER TABLE items RENAME COLUMN name TO name_old");
  Follow(base_, after);
  EXPECT_EQ(Log("id, name_old, coalesce(name, -1)"), "1|one|10;2|two|-1");
}

TEST_F(PostgresSchemaChangeInLogs, ADroppedColumnComesBack) {
  const TableShape without = ShapeOfColumns({{"id", Type(kInt4)}, {"name"}});
  Follow(base_, without);
  const TableShape again =
      ShapeOfColumns({{"id", Type(kInt4)}, {"name"}, {"n", Type(1700, NumericTypmod(30, 2)), 4, "1.00"}});
  Follow(without, again);
  Write(TestBatch(200).Insert(Rel(again), {"3", "three", "0.25"}));
  EXPECT_EQ(Log("id, coalesce(n, -1)"), "1|10.00;2|-1;3|0.25");
}

TEST_F(PostgresSchemaChangeInLogs, ATypeChangesWhereNoValueIsLost) {
  TableShape text = base_;
  text.relation.columns[2].type = Type(kTextOid);
  Follow(base_, text);
  EXPECT_EQ(Columns(), "id integer, name text, n text");
  Follow(text, base_);
  EXPECT_EQ(Columns(), "id integer, name text, n bigint");
  EXPECT_EQ(Log("id, coalesce(n, -1)"), "1|10;2|-1");
}

TEST_F(PostgresSchemaChangeInLogs, ATypeDoesNotChangeWhereAValueWouldBeLost) {
  TableShape after = base_;
  after.relation.columns[1].type = Type(kInt4);
  const std::string refusal = Refusal(base_, after);
  EXPECT_THAT(refusal, HasSubstr("cannot hold as they are"));
  EXPECT_THAT(refusal, HasSubstr("RENAME COLUMN \"name\" TO another name"));
  TableShape fine = base_, coarse = base_;
  fine.relation.columns[2].type = Type(1700, NumericTypmod(10, 2));
  coarse.relation.columns[2].type = Type(1700, NumericTypmod(10, 1));
  Follow(base_, fine);
  Write(TestBatch(200).Insert(Rel(fine), {"3", "three", "1.25"}));
  EXPECT_THAT(Refusal(fine, coarse), HasSubstr("cannot hold as they are"));
  EXPECT_EQ(Log("id, coalesce(n, -1)"), "1|10.00;2|-1;3|1.25");
  ByHand("ALTER TABLE items RENAME COLUMN n TO n_old");
  Follow(fine, coarse);
  Write(TestBatch(300).Insert(Rel(coarse), {"4", "four", "9.5"}));
  EXPECT_EQ(Log("id, coalesce(n_old, -1), coalesce(n, -1)"), "1|10.00|-1;2|-1|-1;3|1.25|-1;4|-1|9.5");
}

TEST_F(PostgresSchemaChangeInLogs, AKeyIsNothingToALog) {
  const TableShape after = WithKey(base_, {1});
  EXPECT_THAT(Shown(base_, after), Contains("-- a log has no key"));
  Follow(base_, after);
  EXPECT_EQ(Indexes(), "");
}

}  // namespace
}  // namespace wallaby
