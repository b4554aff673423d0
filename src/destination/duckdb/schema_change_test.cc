// Schema changes: each step on a real file, by values; done twice, by halves, and followed by rows in the new shape.
#include "change/schema_change.h"

#include "destination/duckdb/test_flow.h"
#include "destination/test_shapes.h"

namespace wallaby {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

PgType Type(uint32_t oid, int32_t typmod = -1) {
  return BuiltinType(oid, typmod);
}
RelationPtr Rel(const TableShape& shape) {
  return std::make_shared<Relation>(shape.Visible());
}

class DuckdbSchemaChange : public DuckdbTest {
 protected:
  const TableShape base_ = ShapeOfColumns({{"id", Type(kInt4Oid)}, {"name"}, {"n", Type(kInt8Oid)}});

  void OpenWithRows(std::map<std::string, std::string> options = {}) {
    Open(std::move(options));
    Apply(TestBatch(100).Insert(Rel(base_), {"1", "one", "10"}).Insert(Rel(base_), {"2", "two", {}}));
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
  std::string Refusal(const TableShape& before, const TableShape& after) {
    const absl::Status status = Ddl(CompareShapes(&before, &after));
    EXPECT_TRUE(absl::IsFailedPrecondition(status) || absl::IsInvalidArgument(status)) << status;
    EXPECT_TRUE(destination_->Open().ok());
    return std::string(status.message());
  }
  std::vector<std::string> Shown(const TableShape& before, const TableShape& after) {
    return destination_->DdlStatements(CompareShapes(&before, &after));
  }
  void ByHand(const std::string& sql) {
    auto database = DuckdbDatabase::Open(Path(), {});
    auto connection = DuckdbConnection::Connect(*database);
    const auto done = (*connection)->Execute(sql);
    ASSERT_TRUE(done.ok()) << done.status();
    ASSERT_TRUE((*connection)->Commit().ok());
  }
  std::string Items() const { return Sql("FROM public.items ORDER BY 1"); }
  std::string Columns(const std::string& table = "items") const {
    return Sql("SELECT column_name || ' ' || data_type FROM duckdb_columns() WHERE table_name = '" + table +
               "' AND column_name NOT LIKE '\\_wallaby%' ESCAPE '\\' ORDER BY column_index");
  }
};

// ---- tables ----

TEST_F(DuckdbSchemaChange, CreateTable) {
  Open({{"type_mappings", "bigint=text"}});
  const SchemaChange change = CompareShapes(nullptr, &base_);
  EXPECT_THAT(destination_->DdlStatements(change),
              ElementsAre("CREATE SCHEMA IF NOT EXISTS \"public\"",
                          "CREATE TABLE \"public\".\"items\" (\"id\" INTEGER, \"name\" VARCHAR, \"n\" VARCHAR)"));
  Follow(change);
  EXPECT_EQ(Columns(), "id INTEGER\nname VARCHAR\nn VARCHAR");
  Apply(TestBatch(100).Insert(Rel(base_), {"1", "one", "10"}));
  EXPECT_EQ(Items(), "1|one|10");
}

TEST_F(DuckdbSchemaChange, DropTable) {
  OpenWithRows();
  const SchemaChange change = CompareShapes(&base_, nullptr);
  EXPECT_THAT(destination_->DdlStatements(change), ElementsAre("DROP TABLE \"public\".\"items\""));
  Follow(change);
  EXPECT_EQ(Columns(), "");
  Follow(CompareShapes(nullptr, &base_));
  Apply(TestBatch(200).Insert(Rel(base_), {"7", "seven", {}}));
  EXPECT_EQ(Items(), "7|seven|null");
}

TEST_F(DuckdbSchemaChange, AppendModeKeepsADroppedTable) {
  OpenWithRows({{"write_mode", "append"}});
  const SchemaChange change = CompareShapes(&base_, nullptr);
  EXPECT_THAT(destination_->DdlStatements(change),
              ElementsAre("-- \"public\".\"items\" stays: the log of a dropped table is kept"));
  Follow(change);
  EXPECT_EQ(Sql("SELECT count(*) FROM public.items"), "2");
}

TEST_F(DuckdbSchemaChange, RenameTable) {
  OpenWithRows();
  TableShape after = base_;
  after.relation.name = "It\"ems 2";
  EXPECT_THAT(Shown(base_, after), ElementsAre("ALTER TABLE \"public\".\"items\" RENAME TO \"It\"\"ems 2\""));
  Follow(base_, after);
  Apply(TestBatch(200).Update(Rel(after), {"1", "uno", "11"}));
  EXPECT_EQ(Sql("FROM public.\"It\"\"ems 2\" ORDER BY 1"), "1|uno|11\n2|two|null");
  EXPECT_EQ(Columns(), "");
  // The old name is free for another table.
  Apply(TestBatch(300).Insert(Rel(base_), {"9", "new", {}}));
  EXPECT_EQ(Items(), "9|new|null");
}

TEST_F(DuckdbSchemaChange, MoveToAnotherSchema) {
  OpenWithRows();
  TableShape after = base_;
  after.relation.schema = "shop";
  after.relation.name = "goods";
  EXPECT_THAT(Shown(base_, after), ElementsAre("CREATE SCHEMA IF NOT EXISTS \"shop\"",
                                               "CREATE TABLE \"shop\".\"goods\" AS FROM \"public\".\"items\"",
                                               "DROP TABLE \"public\".\"items\""));
  Follow(base_, after);
  Apply(TestBatch(200).Update(Rel(after), {"1", "uno", "11"}));
  EXPECT_EQ(Sql("FROM shop.goods ORDER BY 1"), "1|uno|11\n2|two|null");
  EXPECT_EQ(Columns(), "");
}

TEST_F(DuckdbSchemaChange, AMoveWithOtherSteps) {
  OpenWithRows();
  const TableShape after = ShapeOfColumns(
      {{"id", Type(kInt8Oid)}, {"title", Type(kTextOid), 2}, {"x", Type(16), 4, "t"}, {"y", Type(16), 5, "f"}}, "goods",
      "shop");
  Follow(base_, after);
  Apply(TestBatch(200).Insert(Rel(after), {"3", "three", {}, "t"}));
  EXPECT_EQ(Sql("SELECT id, title, x::INTEGER, y::INTEGER FROM shop.goods ORDER BY 1"),
            "1|one|1|0\n2|two|1|0\n3|three|null|1");
}

TEST_F(DuckdbSchemaChange, AMoveDoesNotLoseConstraints) {
  Open();
  ByHand("CREATE SCHEMA public");
  ByHand("CREATE TABLE public.items (id INTEGER PRIMARY KEY, name VARCHAR, n BIGINT)");
  TableShape after = base_;
  after.relation.schema = "shop";
  EXPECT_THAT(Refusal(base_, after), HasSubstr("by hand"));
  EXPECT_EQ(Columns(), "id INTEGER\nname VARCHAR\nn BIGINT");
}

TEST_F(DuckdbSchemaChange, BothNamesAreThere) {
  OpenWithRows();
  ByHand("CREATE TABLE public.other (id INTEGER)");
  TableShape after = base_;
  after.relation.name = "other";
  const std::string refusal = Refusal(base_, after);
  EXPECT_THAT(refusal, HasSubstr("has both"));
  EXPECT_EQ(Items(), "1|one|10\n2|two|null");
  ByHand("DROP TABLE public.other");
  Follow(base_, after);
  EXPECT_EQ(Sql("SELECT count(*) FROM public.other"), "2");
}

TEST_F(DuckdbSchemaChange, OptionsKeepTheName) {
  OpenWithRows({{"schema", "All"}, {"table", "One"}});
  TableShape after = base_;
  after.relation.schema = "elsewhere";
  after.relation.name = "renamed";
  EXPECT_THAT(Shown(base_, after), ElementsAre("-- the table stays \"All\".\"One\""));
  Follow(base_, after);
  Apply(TestBatch(200).Update(Rel(after), {"1", "uno", "11"}));
  EXPECT_EQ(Sql("FROM \"All\".\"One\" ORDER BY 1"), "1|uno|11\n2|two|null");
}

TEST_F(DuckdbSchemaChange, ATableThatIsNotThere) {
  Open();
  TableShape after = base_;
  after.relation.name = "renamed";
  after.relation.columns[1].name = "title";
  Follow(base_, after);
  EXPECT_EQ(Sql("SELECT count(*) FROM duckdb_tables() WHERE schema_name <> 'wallaby'"), "0");
  Follow(CompareShapes(&base_, nullptr));
}

// ---- columns ----

TEST_F(DuckdbSchemaChange, AddedColumnsAreFilled) {
  OpenWithRows();
  TableShape after = ShapeOfColumns({{"id", Type(kInt4Oid)},
                                     {"name"},
                                     {"n", Type(kInt8Oid)},
                                     {"bool", Type(16), 0, "t"},
                                     {"bytes", Type(17), 0, "\\x00ff27"},
                                     {"stamp", Type(1114), 0, "-infinity"},
                                     {"zoned", Type(1184), 0, "2024-05-01 10:00:00.5+02"},
                                     {"bc", Type(1114), 0, "0044-03-15 10:00:00 BC"},
                                     {"day", Type(1082), 0, "0044-03-15 BC"},
                                     {"dec", Type(1700, NumericTypmod(10, 2)), 0, "-1.50"},
                                     {"num", Type(1700), 0, "1.500"},
                                     {"js", Type(3802), 0, "{\"it's\": [1, 2]}"},
                                     {"list", Type(1007), 0, "{1,NULL,3}"},
                                     {"uuid", Type(2950), 0, "6b1f3c1e-0000-4000-8000-00000000abcd"},
                                     {"It's \"x\"", Type(kTextOid), 0, "it's \\n"},
                                     {"float", Type(701), 0, "NaN"},
                                     {"late", Type(1083), 0, "24:00:00"},
                                     {"none", Type(kTextOid)}});
  EXPECT_THAT(Shown(base_, after),
              Contains("ALTER TABLE \"public\".\"items\" ADD COLUMN \"dec\" DECIMAL(10,2) DEFAULT '-1.50'"));
  Follow(base_, after);
  EXPECT_EQ(Sql("SELECT bool::INTEGER, hex(bytes), stamp::VARCHAR, zoned::VARCHAR, bc::VARCHAR, day::VARCHAR, "
                "dec::VARCHAR, num, js::VARCHAR, list, uuid::VARCHAR, \"It's \"\"x\"\"\", isnan(float)::INTEGER, "
                "late::VARCHAR, none FROM public.items WHERE id = 1"),
            "1|00FF27|-infinity|2024-05-01 08:00:00.5+00|0044-03-15 (BC) 10:00:00|0044-03-15 (BC)|-1.50|1.500|"
            "{\"it's\": [1, 2]}|{1,NULL,3}|6b1f3c1e-0000-4000-8000-00000000abcd|it's \\n|1|24:00:00|null");
  EXPECT_EQ(Sql("SELECT count(*) FROM public.items WHERE bool AND dec = -1.5 AND late IS NOT NULL"), "2");
  // The default was for the rows that were there.
  EXPECT_EQ(Sql("SELECT count(*) FROM duckdb_columns() WHERE table_name = 'items' AND column_default IS NOT NULL"),
            "0");
  TestRow row(18);
  row[0] = "3";
  Apply(TestBatch(200).Insert(Rel(after), row));
  EXPECT_EQ(Sql("SELECT bool, num, late FROM public.items WHERE id = 3"), "null|null|null");
}

TEST_F(DuckdbSchemaChange, AFilledValueOfAMappedColumnIsItsText) {
  OpenWithRows({{"type_mappings", "boolean=text"}});
  const TableShape after =
      ShapeOfColumns({{"id", Type(kInt4Oid)}, {"name"}, {"n", Type(kInt8Oid)}, {"flag", Type(16), 0, "t"}});
  Follow(base_, after);
  EXPECT_EQ(Items(), "1|one|10|t\n2|two|null|t");
}

TEST_F(DuckdbSchemaChange, AFillThatDoesNotFitIsNamed) {
  OpenWithRows();
  const TableShape after = ShapeOfColumns(
      {{"id", Type(kInt4Oid)}, {"name"}, {"n", Type(kInt8Oid)}, {"dec", Type(1700, NumericTypmod(10, 2)), 0, "NaN"}});
  const std::string refusal = Refusal(base_, after);
  EXPECT_THAT(refusal, HasSubstr("column dec"));
  EXPECT_THAT(refusal, HasSubstr("type_mappings"));
  EXPECT_EQ(Columns(), "id INTEGER\nname VARCHAR\nn BIGINT");
}

TEST_F(DuckdbSchemaChange, DropAndRenameColumns) {
  OpenWithRows();
  const TableShape after = ShapeOfColumns({{"id", Type(kInt4Oid)}, {"Title", Type(kTextOid), 2}});
  EXPECT_THAT(Shown(base_, after), ElementsAre("ALTER TABLE \"public\".\"items\" DROP COLUMN \"n\"",
                                               "ALTER TABLE \"public\".\"items\" RENAME COLUMN \"name\" TO \"Title\""));
  Follow(base_, after);
  EXPECT_EQ(Columns(), "id INTEGER\nTitle VARCHAR");
  Apply(TestBatch(200).Update(Rel(after), {"1", "uno"}));
  EXPECT_EQ(Items(), "1|uno\n2|two");
}

TEST_F(DuckdbSchemaChange, HalfDoneByHand) {
  OpenWithRows();
  const TableShape after = ShapeOfColumns({{"id", Type(kInt4Oid)},
                                           {"title", Type(kTextOid), 2},
                                           {"x", Type(kInt4Oid), 4, "5"},
                                           {"y", Type(kInt4Oid), 5, "6"}});
  ByHand("ALTER TABLE public.items RENAME COLUMN name TO title");
  ByHand("ALTER TABLE public.items ADD COLUMN y INTEGER DEFAULT 7");
  Follow(base_, after);
  EXPECT_EQ(Sql("SELECT id, title, x, y FROM public.items ORDER BY 1"), "1|one|5|7\n2|two|5|7");
  EXPECT_EQ(Columns(), "id INTEGER\ntitle VARCHAR\ny INTEGER\nx INTEGER");
}

TEST_F(DuckdbSchemaChange, TheOnlyColumnIsReplaced) {
  Open();
  const TableShape before = ShapeOfColumns({{"a", Type(kInt4Oid)}}, "items", "public", 0);
  const TableShape after = ShapeOfColumns({{"a", Type(kTextOid), 2, "x"}}, "items", "public", 0);
  Apply(TestBatch(100).Insert(Rel(before), {"1"}));
  Follow(before, after);
  EXPECT_EQ(Columns(), "a VARCHAR");
  EXPECT_EQ(Items(), "x");
}

TEST_F(DuckdbSchemaChange, ANameThatIsHandedOnIsNotDroppedTwice) {
  OpenWithRows();
  const TableShape after = ShapeOfColumns({{"id", Type(kInt4Oid)}, {"name", Type(kInt8Oid), 3}});
  Follow(base_, after);
  EXPECT_EQ(Items(), "1|10\n2|null");
}

TEST_F(DuckdbSchemaChange, TwoColumnsChangeNames) {
  const TableShape before = ShapeOfColumns({{"id", Type(kInt4Oid)}, {"a"}, {"b"}});
  const TableShape after = ShapeOfColumns({{"id", Type(kInt4Oid)}, {"b"}, {"a"}});
  Open();
  Apply(TestBatch(100).Insert(Rel(before), {"1", "was a", "was b"}));
  const auto look = [&] { return Sql("SELECT id, a, b FROM public.items ORDER BY 1"); };
  Follow(before, after);
  EXPECT_EQ(look(), "1|was b|was a");
  Follow(after, before);
  EXPECT_EQ(look(), "1|was a|was b");
  Follow(before, after);
  EXPECT_EQ(look(), "1|was b|was a");
  // The record counts for as long as nothing was written.
  Apply(TestBatch(200).Insert(Rel(after), {"2", "new b", "new a"}));
  ASSERT_TRUE(Ddl(CompareShapes(&before, &after)).ok());
  EXPECT_EQ(look(), "1|was a|was b\n2|new b|new a");
}

TEST_F(DuckdbSchemaChange, DroppedAndAddedUnderOneName) {
  OpenWithRows();
  const TableShape after =
      ShapeOfColumns({{"id", Type(kInt4Oid)}, {"name", Type(kTextOid), 4, "fresh"}, {"n", Type(kInt8Oid)}});
  ASSERT_TRUE(Ddl(CompareShapes(&base_, &after)).ok());
  EXPECT_EQ(Sql("SELECT id, name FROM public.items ORDER BY 1"), "1|fresh\n2|fresh");
  Follow(base_, after);
  EXPECT_EQ(Sql("SELECT id, name, n FROM public.items ORDER BY 1"), "1|fresh|10\n2|fresh|null");
}

TEST_F(DuckdbSchemaChange, ACaseOnlyRename) {
  OpenWithRows();
  const TableShape after = ShapeOfColumns({{"id", Type(kInt4Oid)}, {"Name"}, {"n", Type(kInt8Oid)}});
  Follow(base_, after);
  EXPECT_EQ(Columns(), "id INTEGER\nName VARCHAR\nn BIGINT");
  EXPECT_EQ(Items(), "1|one|10\n2|two|null");
}

TEST_F(DuckdbSchemaChange, BothOrNeitherOfTwoColumns) {
  OpenWithRows();
  TableShape after = base_;
  after.relation.columns[1].name = "title";
  ByHand("ALTER TABLE public.items ADD COLUMN title VARCHAR");
  EXPECT_THAT(Refusal(base_, after), HasSubstr("name, title it has name, title"));
  ByHand("ALTER TABLE public.items DROP COLUMN title");
  ByHand("ALTER TABLE public.items DROP COLUMN name");
  EXPECT_THAT(Refusal(base_, after), HasSubstr("name, title it has none of them"));
}

TEST_F(DuckdbSchemaChange, RejectedColumnsStayOut) {
  OpenWithRows();
  TableShape after =
      ShapeOfColumns({{"id", Type(kInt4Oid)}, {"name"}, {"n", Type(kInt8Oid)}, {"x", Type(kInt4Oid), 0, "1"}});
  after.details[3].hidden = true;
  Follow(base_, after);
  EXPECT_EQ(Columns(), "id INTEGER\nname VARCHAR\nn BIGINT");
}

// ---- types ----

TEST_F(DuckdbSchemaChange, WiderTypesKeepTheirValues) {
  const TableShape before =
      ShapeOfColumns({{"id", Type(kInt4Oid)}, {"d", Type(1700, NumericTypmod(6, 2))}, {"v", Type(1043, 14)}});
  const TableShape after =
      ShapeOfColumns({{"id", Type(kInt8Oid)}, {"d", Type(1700, NumericTypmod(12, 2))}, {"v", Type(kTextOid)}});
  Open();
  Apply(TestBatch(100).Insert(Rel(before), {"1", "1.25", "text"}));
  const SchemaChange change = CompareShapes(&before, &after);
  EXPECT_FALSE(change.copy);
  EXPECT_THAT(destination_->DdlStatements(change),
              ElementsAre("ALTER TABLE \"public\".\"items\" ALTER COLUMN \"id\" TYPE BIGINT",
                          "ALTER TABLE \"public\".\"items\" ALTER COLUMN \"d\" TYPE DECIMAL(12,2)",
                          "-- column v stays VARCHAR, which holds the new values"));
  Follow(change);
  Apply(TestBatch(200).Insert(Rel(after), {"5000000000", "1234567890.12", "t"}));
  EXPECT_EQ(Items(), "1|1.25|text\n5000000000|1234567890.12|t");
}

TEST_F(DuckdbSchemaChange, OtherTypesAreForTheCopyToFill) {
  const TableShape before =
      ShapeOfColumns({{"id", Type(kInt4Oid)}, {"a", Type(16)}, {"b"}, {"c", Type(kInt8Oid)}, {"d", Type(701)}});
  const TableShape after =
      ShapeOfColumns({{"id", Type(kInt4Oid)}, {"a"}, {"b", Type(kInt4Oid)}, {"c", Type(kInt4Oid)}, {"d", Type(17)}});
  Open();
  Apply(
      TestBatch(100).Insert(Rel(before), {"1", "t", "7", "8", "1.5"}).Insert(Rel(before), {"2", {}, "seven", {}, {}}));
  Follow(before, after);
  EXPECT_EQ(Columns(), "id INTEGER\na VARCHAR\nb INTEGER\nc BIGINT\nd BLOB");
  EXPECT_EQ(Sql("SELECT id, a, b, c FROM public.items ORDER BY 1"), "1|t|7|8\n2|null|null|null");
  Apply(TestBatch(200).Insert(Rel(after), {"3", "x", "3", "3", "\\x00"}));
  EXPECT_EQ(Sql("SELECT a, b, hex(d) FROM public.items WHERE id = 3"), "x|3|00");
}

TEST_F(DuckdbSchemaChange, ATypeThatIsWideEnoughStays) {
  Open();
  ByHand("CREATE SCHEMA public");
  ByHand("CREATE TABLE public.items (id BIGINT, name VARCHAR, n HUGEINT)");
  Apply(TestBatch(100).Insert(Rel(base_), {"1", "one", "10"}));
  TableShape after = base_;
  after.relation.columns[0].type = Type(kInt8Oid);
  Follow(base_, after);
  EXPECT_EQ(Columns(), "id BIGINT\nname VARCHAR\nn HUGEINT");
}

TEST_F(DuckdbSchemaChange, ColumnsThatAreMappedToTextStay) {
  OpenWithRows({{"type_mappings", "public.items.n=text"}});
  TableShape after = base_;
  after.relation.columns[2].type = Type(701);
  Follow(base_, after);
  EXPECT_EQ(Items(), "1|one|10\n2|two|null");
  EXPECT_EQ(Columns(), "id INTEGER\nname VARCHAR\nn VARCHAR");
}

// ---- the rest ----

TEST_F(DuckdbSchemaChange, NullabilityDefaultAndKey) {
  Open();
  ByHand("CREATE SCHEMA public");
  ByHand("CREATE TABLE public.items (id INTEGER, name VARCHAR NOT NULL, n BIGINT)");
  TableShape before = base_, after = base_;
  before.details[1].not_null = true;
  after.details[2].default_sql = "7";
  after.relation.key = {1};
  EXPECT_THAT(Shown(before, after), ElementsAre(StartsWith("-- name becomes nullable"), StartsWith("-- default of n"),
                                                StartsWith("-- tables have no primary key")));
  Follow(before, after);
  Apply(TestBatch(100).Insert(Rel(after), {"1", {}, {}}));
  EXPECT_EQ(Items(), "1|null|null");
}

TEST_F(DuckdbSchemaChange, AFormerKeyThatIsUniqueIsRefused) {
  Open();
  ByHand("CREATE SCHEMA public");
  ByHand("CREATE TABLE public.items (id INTEGER PRIMARY KEY, name VARCHAR, n BIGINT)");
  TableShape after = base_;
  after.relation.key = {1};
  EXPECT_THAT(Refusal(base_, after), HasSubstr("PRIMARY KEY or UNIQUE constraint on (id)"));
  after.relation.key = {};
  EXPECT_THAT(Refusal(base_, after), HasSubstr("former key"));
  // Unique by more than the new key is no harm.
  TableShape wide = base_;
  wide.relation.key = {0, 1};
  ByHand("DROP TABLE public.items");
  ByHand("CREATE TABLE public.items (id INTEGER, name VARCHAR, n BIGINT, PRIMARY KEY (id, name))");
  Follow(wide, base_);
}

TEST_F(DuckdbSchemaChange, AnIndexInTheWayIsNamed) {
  OpenWithRows();
  ByHand("CREATE INDEX by_name ON public.items (name)");
  TableShape after = base_;
  after.relation.columns[2].name = "number";
  EXPECT_THAT(Refusal(base_, after), HasSubstr("DROP INDEX \"public\".\"by_name\""));
  EXPECT_EQ(Columns(), "id INTEGER\nname VARCHAR\nn BIGINT");
  ByHand("DROP INDEX public.by_name");
  Follow(base_, after);
  EXPECT_EQ(Columns(), "id INTEGER\nname VARCHAR\nnumber BIGINT");
}

TEST_F(DuckdbSchemaChange, AllStepsOfOneChange) {
  const TableShape before = ShapeOfColumns({{"id", Type(kInt4Oid)}, {"a"}, {"b"}, {"gone"}, {"t", Type(kInt4Oid)}});
  TableShape after = ShapeOfColumns({{"key", Type(kInt8Oid), 1},
                                     {"b", Type(kTextOid), 2},
                                     {"a", Type(kTextOid), 3},
                                     {"t", Type(kTextOid), 5},
                                     {"new", Type(1082), 6, "infinity"}},
                                    "goods");
  Open();
  Apply(TestBatch(100).Insert(Rel(before), {"1", "was a", "was b", "x", "4"}));
  Follow(before, after);
  EXPECT_EQ(Sql("SELECT key, a, b, t, new::VARCHAR FROM public.goods"), "1|was b|was a|4|infinity");
  Apply(TestBatch(200).Update(Rel(after), {"1", "b", "a", "t", "2024-01-01"}));
  const std::string look = "SELECT key, a, b, t, new::VARCHAR FROM public.goods";
  EXPECT_EQ(Sql(look), "1|a|b|t|2024-01-01");
  // What a crash leaves can be opened.
  std::filesystem::copy_file(Path(), folder_ + "/crashed.db");
  if (std::filesystem::exists(Path() + ".wal")) {
    std::filesystem::copy_file(Path() + ".wal", folder_ + "/crashed.db.wal");
  }
  EXPECT_EQ(SqlIn(folder_ + "/crashed.db", look), "1|a|b|t|2024-01-01");
}

TEST_F(DuckdbSchemaChange, AFailureLeavesNothingBehind) {
  OpenWithRows();
  const TableShape after = ShapeOfColumns(
      {{"id", Type(kInt4Oid)}, {"title", Type(kTextOid), 2}, {"dec", Type(1700, NumericTypmod(4, 2)), 4, "NaN"}});
  Refusal(base_, after);
  EXPECT_EQ(Items(), "1|one|10\n2|two|null");
  EXPECT_EQ(Columns(), "id INTEGER\nname VARCHAR\nn BIGINT");
}

TEST_F(DuckdbSchemaChange, AnOlderWorkerIsFenced) {
  OpenWithRows();
  auto older = std::move(destination_);
  Open({}, 2);
  TableShape after = base_;
  after.relation.columns[1].name = "title";
  EXPECT_THAT(std::string(older->ApplyDdl(CompareShapes(&base_, &after)).message()), HasSubstr("fenced"));
  EXPECT_EQ(Columns(), "id INTEGER\nname VARCHAR\nn BIGINT");
}

TEST_F(DuckdbSchemaChange, NotWithinAnOpenTransaction) {
  OpenWithRows();
  TestBatch batch(200);
  batch.Insert(Rel(base_), {"3", "three", {}});
  Write(batch);
  EXPECT_TRUE(absl::IsFailedPrecondition(Ddl(CompareShapes(&base_, nullptr))));
  EXPECT_EQ(Items(), "1|one|10\n2|two|null");
}

TEST_F(DuckdbSchemaChange, ReleasesTheFile) {
  OpenWithRows({{"release_file", "true"}});
  TableShape after = base_;
  after.relation.columns[1].name = "title";
  Follow(base_, after);
  Apply(TestBatch(200).Update(Rel(after), {"1", "uno", "11"}));
  EXPECT_EQ(Items(), "1|uno|11\n2|two|null");
}

// ---- append mode ----

class DuckdbSchemaChangeInLogs : public DuckdbSchemaChange {
 protected:
  std::string Log(const std::string& columns) const {
    return Sql("SELECT " + columns + " FROM public.items ORDER BY _wallaby_lsn, _wallaby_seq");
  }
  void SetUp() override {
    DuckdbSchemaChange::SetUp();
    OpenWithRows({{"write_mode", "append"}});
  }
};

TEST_F(DuckdbSchemaChangeInLogs, ColumnsComeAndStay) {
  const TableShape after =
      ShapeOfColumns({{"id", Type(kInt4Oid)}, {"title", Type(kTextOid), 2}, {"x", Type(kInt4Oid), 4, "5"}});
  EXPECT_THAT(Shown(base_, after),
              ElementsAre(StartsWith("-- column n stays"),
                          "ALTER TABLE \"public\".\"items\" RENAME COLUMN \"name\" TO \"title\"",
                          "ALTER TABLE \"public\".\"items\" ADD COLUMN \"x\" INTEGER", StartsWith("-- x stays null")));
  Follow(base_, after);
  EXPECT_EQ(Sql("SELECT count(*) FROM duckdb_tables() WHERE table_name = 'schema_changes'"), "0");
  Apply(TestBatch(200).Insert(Rel(after), {"3", "three", "6"}));
  EXPECT_EQ(Log("id, title, n, x, _wallaby_op"), "1|one|10|null|c\n2|two|null|null|c\n3|three|null|6|c");
}

TEST_F(DuckdbSchemaChangeInLogs, AKeptColumnOfTheNameIsInTheWayOfARename) {
  const TableShape after = ShapeOfColumns({{"id", Type(kInt4Oid)}, {"name", Type(kInt8Oid), 3}});
  EXPECT_THAT(Refusal(base_, after), HasSubstr("RENAME COLUMN \"name\" TO another name"));
  EXPECT_EQ(Log("id, name, n"), "1|one|10\n2|two|null");
  ByHand("ALTER TABLE public.items RENAME COLUMN name TO name_old");
  Follow(base_, after);
  EXPECT_EQ(Log("id, name_old, name"), "1|one|10\n2|two|null");
}

TEST_F(DuckdbSchemaChangeInLogs, ADroppedColumnComesBack) {
  const TableShape without = ShapeOfColumns({{"id", Type(kInt4Oid)}, {"name"}});
  Follow(base_, without);
  const TableShape again =
      ShapeOfColumns({{"id", Type(kInt4Oid)}, {"name"}, {"n", Type(1700, NumericTypmod(30, 2)), 4, "1.00"}});
  Follow(without, again);
  Apply(TestBatch(200).Insert(Rel(again), {"3", "three", "0.25"}));
  EXPECT_EQ(Log("id, n"), "1|10.00\n2|null\n3|0.25");
}

TEST_F(DuckdbSchemaChangeInLogs, ATypeChangesWhereNoValueIsLost) {
  TableShape text = base_, number = base_;
  text.relation.columns[2].type = Type(kTextOid);
  Follow(base_, text);
  EXPECT_EQ(Log("id, n"), "1|10\n2|null");
  Follow(text, number);
  EXPECT_EQ(Log("id, n + 1"), "1|11\n2|null");
}

TEST_F(DuckdbSchemaChangeInLogs, ATypeDoesNotChangeWhereAValueWouldBeLost) {
  TableShape after = base_;
  after.relation.columns[1].type = Type(kInt4Oid);
  EXPECT_THAT(Refusal(base_, after), HasSubstr("RENAME COLUMN \"name\" TO another name"));
  EXPECT_EQ(Log("id, name"), "1|one\n2|two");
  // Nothing that a cast takes is lost either.
  TableShape real = base_, whole = base_;
  real.relation.columns[2].type = Type(701);
  Follow(base_, real);
  Apply(TestBatch(200).Insert(Rel(real), {"3", "three", "1.5"}));
  EXPECT_THAT(Refusal(real, whole), HasSubstr("column n"));
  EXPECT_EQ(Log("n::VARCHAR"), "10.0\nnull\n1.5");
  ByHand("ALTER TABLE public.items RENAME COLUMN n TO n_old");
  Follow(real, whole);
  Apply(TestBatch(300).Insert(Rel(whole), {"4", "four", "9"}));
  EXPECT_EQ(Log("n_old::VARCHAR, n"), "10.0|null\nnull|null\n1.5|null\nnull|9");
}

TEST_F(DuckdbSchemaChangeInLogs, TheLogsOfTwoColumnsChangeNames) {
  const TableShape before = ShapeOfColumns({{"id", Type(kInt4Oid)}, {"a"}, {"b"}}, "pairs");
  const TableShape after = ShapeOfColumns({{"id", Type(kInt4Oid)}, {"b"}, {"a"}}, "pairs");
  Apply(TestBatch(200).Insert(Rel(before), {"1", "was a", "was b"}));
  Follow(before, after);
  EXPECT_EQ(Sql("SELECT a, b FROM public.pairs"), "was b|was a");
}

}  // namespace
}  // namespace wallaby
