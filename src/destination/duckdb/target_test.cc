// Target mode: the table mirrors the source.
#include "base/status.h"
#include "destination/duckdb/test_flow.h"

namespace wallaby {
namespace {

using ::testing::HasSubstr;

class DuckdbTarget : public DuckdbTest {
 protected:
  RelationPtr items_ = MakeRelation("items", {{"id", kInt4Oid}, {"name", kTextOid}, {"n", kInt8Oid}});
  std::string Items() const { return Sql("SELECT * FROM public.items ORDER BY id"); }
};

TEST_F(DuckdbTarget, InsertUpdateDelete) {
  EXPECT_FALSE(Open().commit.valid());
  Apply(TestBatch(100).Insert(items_, {"1", "one", "10"}).Insert(items_, {"2", "two", {}}));
  EXPECT_EQ(Items(), "1|one|10\n2|two|null");
  Apply(
      TestBatch(200).Update(items_, {"1", "uno", "11"}).Delete(items_, {"2", {}, {}}).Insert(items_, {"3", "", "-1"}));
  EXPECT_EQ(Items(), "1|uno|11\n3||-1");
}

TEST_F(DuckdbTarget, SeveralChangesOfOneKeyInOneBatch) {
  Open();
  Apply(TestBatch(100).Insert(items_, {"1", "a", "1"}).Insert(items_, {"2", "b", "2"}));
  Apply(TestBatch(200)
            .Delete(items_, {"1", {}, {}})
            .Insert(items_, {"1", "again", "9"})
            .Begin(201)
            .Update(items_, {"2", "c", "3"})
            .Delete(items_, {"2", {}, {}})
            .Insert(items_, {"5", "x", "5"})
            .Delete(items_, {"5", {}, {}}));
  EXPECT_EQ(Items(), "1|again|9");
}

TEST_F(DuckdbTarget, KeyChange) {
  Open();
  Apply(TestBatch(100).Insert(items_, {"1", "a", "1"}).Insert(items_, {"2", "b", "2"}));
  // 1 moves to 3, 2 moves to 1.
  Apply(TestBatch(200)
            .Update(items_, {"1", {}, {}}, {"3", "a", "1"}, true)
            .Update(items_, {"2", {}, {}}, {"1", "b", "2"}, true));
  EXPECT_EQ(Items(), "1|b|2\n3|a|1");
}

TEST_F(DuckdbTarget, UnchangedToastedValues) {
  Open();
  Apply(TestBatch(100)
            .Insert(items_, {"1", "large", "1"})
            .Insert(items_, {"2", "great", "2"})
            .Insert(items_, {"3", "kept", "3"}));
  Apply(TestBatch(200)
            .Update(items_, {"1", Unchanged(), "10"})                       // from the destination
            .Update(items_, {"2", {}, {}}, {"4", Unchanged(), "20"}, true)  // ... by the old key
            .Insert(items_, {"5", "fresh", "5"})
            .Update(items_, {"5", Unchanged(), "50"})          // from the batch
            .Update(items_, {"3", "kept too", Unchanged()}));  // another column
  EXPECT_EQ(Items(), "1|large|10\n3|kept too|3\n4|great|20\n5|fresh|50");
}

TEST_F(DuckdbTarget, UnchangedValueThatIsNowhereStopsTheFlow) {
  Open();
  Apply(TestBatch(100).Insert(items_, {"1", "a", "1"}));
  TestBatch batch(200);
  batch.Update(items_, {"7", Unchanged(), "10"});
  const absl::Status status = destination_->Write(*batch);
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("id = 7"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("toast_fetch=source"));
  // Nothing goes on after an error until Open() is called again.
  EXPECT_TRUE(absl::IsFailedPrecondition(destination_->Commit({{200}, {208}, {}})));
  auto progress = destination_->Open();
  ASSERT_TRUE(progress.ok());
  EXPECT_EQ(progress->commit.value, 100u);
  EXPECT_EQ(Items(), "1|a|1");
}

TEST_F(DuckdbTarget, Truncate) {
  Open();
  Apply(TestBatch(100).Insert(items_, {"1", "a", "1"}).Insert(items_, {"2", "b", "2"}));
  Apply(TestBatch(200).Insert(items_, {"3", "c", "3"}).Truncate(items_).Insert(items_, {"2", "d", "4"}));
  EXPECT_EQ(Items(), "2|d|4");
  Apply(TestBatch(300).Truncate(items_));
  EXPECT_EQ(Items(), "");
  Apply(TestBatch(400).Insert(items_, {"2", "e", "5"}));
  EXPECT_EQ(Items(), "2|e|5");
}

TEST_F(DuckdbTarget, TablesWithoutKeyAreMultisets) {
  auto log = MakeRelation("log", {{"a", kInt4Oid}, {"b", kTextOid}}, 0);
  Open();
  Apply(TestBatch(100)
            .Insert(log, {"1", "x"})
            .Insert(log, {"1", "x"})
            .Insert(log, {"1", "x"})
            .Insert(log, {"2", {}})
            .Insert(log, {"2", {}}));
  EXPECT_EQ(Sql("SELECT a, b, count(*) FROM public.log GROUP BY ALL ORDER BY a"), "1|x|3\n2|null|2");
  Apply(TestBatch(200)
            .Delete(log, {"1", "x"})
            .Delete(log, {"2", {}})
            .Update(log, {"1", "x"}, {"3", "y"}, false)
            .Delete(log, {"9", "not there"}));
  EXPECT_EQ(Sql("SELECT a, b, count(*) FROM public.log GROUP BY ALL ORDER BY a"), "1|x|1\n2|null|1\n3|y|1");
  // Rows of this very transaction can go again.
  TestBatch first(300), second(301);
  first.Insert(log, {"8", "z"}).Insert(log, {"8", "z"});
  second.Delete(log, {"8", "z"});
  Write(first);
  Write(second);
  Commit(301);
  EXPECT_EQ(Sql("SELECT count(*) FROM public.log WHERE a = 8"), "1");
}

TEST_F(DuckdbTarget, SeveralWritesAreOneTransaction) {
  Open();
  TestBatch first(100), second(100);
  first.Insert(items_, {"1", "a", "1"});
  (*first).set_continues(true);
  second.Update(items_, {"1", "b", "2"}).Insert(items_, {"2", "c", "3"});
  Write(first);
  EXPECT_THAT(Sql("SELECT * FROM public.items"), HasSubstr("does not exist"));
  Write(second);
  Commit(100);
  EXPECT_EQ(Items(), "1|b|2\n2|c|3");
}

TEST_F(DuckdbTarget, SnapshotThenStream) {
  Open();
  for (int part = 0; part < 3; ++part) {
    TestBatch batch(50);
    for (int i = 0; i < 4; ++i) batch.Read(items_, {std::to_string(part * 4 + i), "snap", "0"});
    Write(batch);
    const absl::Status status = destination_->Commit({{}, {}, {absl::StrCat("public.items/", part)}});
    ASSERT_TRUE(status.ok()) << status;
  }
  EXPECT_EQ(Sql("SELECT count(*), count(DISTINCT id) FROM public.items"), "12|12");
  Apply(TestBatch(60).Update(items_, {"3", "new", "1"}));
  // A range that is read again, as after a crash, replaces its rows.
  Apply(TestBatch(50).Read(items_, {"4", "snap again", "0"}));
  EXPECT_EQ(Sql("SELECT count(*), count(DISTINCT id) FROM public.items"), "12|12");

  auto progress = Open();
  EXPECT_THAT(progress.snapshot_parts, testing::SizeIs(3));
  Apply(TestBatch(50).Read(items_, {"5", "snap again", "0"}));
  EXPECT_EQ(Sql("SELECT count(*), count(DISTINCT id) FROM public.items"), "12|12");

  ASSERT_TRUE(destination_->ResetSnapshot(*items_, "public.items/").ok());
  EXPECT_EQ(Items(), "");
  progress = Open();
  EXPECT_TRUE(progress.snapshot_parts.empty());
  EXPECT_EQ(progress.commit.value, 50u);
}

TEST_F(DuckdbTarget, ColumnsAreAddedAndForeignOnesLeftAlone) {
  Open();
  Apply(TestBatch(100).Insert(items_, {"1", "a", "1"}));
  EXPECT_EQ(Sql("ALTER TABLE public.items ADD COLUMN note VARCHAR DEFAULT 'mine'"), "");
  TestBatch stale(200);
  stale.Insert(items_, {"2", "b", "2"});
  EXPECT_TRUE(IsTransient(destination_->Write(*stale)));  // the table has changed beneath the destination
  ASSERT_TRUE(destination_->Open().ok());
  auto wider = std::make_shared<Relation>(*items_);
  wider->version = 2;
  wider->columns.push_back({"extra", BuiltinType(kInt4Oid, -1), false});
  Apply(TestBatch(200).Insert(items_, {"2", "b", "2"}).Insert(wider, {"3", "c", "3", "33"}));
  EXPECT_EQ(Sql("SELECT id, name, n, extra, note FROM public.items ORDER BY id"),
            "1|a|1|null|mine\n2|b|2|null|mine\n3|c|3|33|mine");
  Apply(TestBatch(300).Update(wider, {"1", "z", "1", "11"}));
  EXPECT_EQ(Sql("SELECT id, extra FROM public.items ORDER BY id"), "1|11\n2|null\n3|33");
}

TEST_F(DuckdbTarget, ShapeChangeInsideOneTransaction) {
  Open();
  auto wider = std::make_shared<Relation>(*items_);
  wider->version = 2;
  wider->columns.push_back({"extra", BuiltinType(kInt4Oid, -1), false});
  auto narrower = std::make_shared<Relation>(*items_);
  narrower->version = 3;
  narrower->columns.pop_back();
  Apply(TestBatch(100)
            .Insert(items_, {"1", "a", "1"})
            .Insert(wider, {"2", "b", "2", "22"})
            .Update(wider, {"1", Unchanged(), "5", "11"})
            .Insert(narrower, {"3", "c"}));
  EXPECT_EQ(Sql("SELECT id, name, n, extra FROM public.items ORDER BY id"), "1|a|5|11\n2|b|2|22\n3|c|null|null");
}

TEST_F(DuckdbTarget, ColumnOfAnotherType) {
  Open();
  EXPECT_EQ(Sql("CREATE SCHEMA public"), "");
  EXPECT_EQ(Sql("CREATE TABLE public.items (id BIGINT, name INTEGER, n BIGINT)"), "");
  const absl::Status status = destination_->CheckTable(*items_);
  EXPECT_TRUE(absl::IsFailedPrecondition(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("\"name\""));
  EXPECT_THAT(std::string(status.message()), HasSubstr("is INTEGER"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("needs VARCHAR"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("ALTER TABLE"));
  TestBatch batch(100);
  batch.Insert(items_, {"1", "a", "1"});
  EXPECT_EQ(destination_->Write(*batch), status);
  EXPECT_EQ(Sql("ALTER TABLE public.items ALTER name TYPE VARCHAR"), "");
  ASSERT_TRUE(destination_->Open().ok());
  EXPECT_TRUE(destination_->CheckTable(*items_).ok());
  Apply(TestBatch(100).Insert(items_, {"1", "a", "1"}));  // id is wider there, which is fine
  Apply(TestBatch(200).Update(items_, {"1", Unchanged(), "2"}));
  EXPECT_EQ(Items(), "1|a|2");
}

TEST_F(DuckdbTarget, TableWithAPrimaryKeyOfItsOwn) {
  Open();
  EXPECT_EQ(Sql("CREATE SCHEMA public"), "");
  EXPECT_EQ(Sql("CREATE TABLE public.items (id INTEGER PRIMARY KEY, name VARCHAR, n BIGINT)"), "");
  Apply(TestBatch(100).Insert(items_, {"1", "a", "1"}).Insert(items_, {"2", "b", "1"}));
  Apply(TestBatch(200).Update(items_, {"1", Unchanged(), "2"}).Delete(items_, {"2", {}, {}}));
  Apply(TestBatch(300).Update(items_, {"1", "c", "3"}).Insert(items_, {"2", "d", "4"}));
  TestBatch first(400), second(401);
  first.Update(items_, {"1", "e", "5"}).Insert(items_, {"3", "f", "6"});
  second.Update(items_, {"1", "g", "7"}).Update(items_, {"3", "h", "8"});
  Write(first);
  Write(second);
  Commit(401);
  EXPECT_EQ(Items(), "1|g|7\n2|d|4\n3|h|8");
}

TEST_F(DuckdbTarget, ViewIsRefused) {
  Open();
  EXPECT_EQ(Sql("CREATE SCHEMA public"), "");
  EXPECT_EQ(Sql("CREATE VIEW public.items AS SELECT 1::INTEGER AS id, 'x' AS name, 2::BIGINT AS n"), "");
  EXPECT_THAT(std::string(destination_->CheckTable(*items_).message()), HasSubstr("is a view"));
}

TEST_F(DuckdbTarget, NotNullColumnThatTheSourceDoesNotHave) {
  Open();
  EXPECT_EQ(Sql("CREATE SCHEMA public"), "");
  EXPECT_EQ(Sql("CREATE TABLE public.items (id INTEGER, name VARCHAR, n BIGINT, mine VARCHAR NOT NULL)"), "");
  TestBatch batch(100);
  batch.Insert(items_, {"1", "a", "1"});
  const absl::Status status = destination_->Write(*batch);
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("mine"));
}

TEST_F(DuckdbTarget, NamesThatDifferOnlyInCase) {
  Open();
  const auto columns = MakeRelation("t", {{"a", kInt4Oid}, {"A", kInt4Oid}});
  absl::Status status = destination_->CheckTable(*columns);
  EXPECT_TRUE(absl::IsFailedPrecondition(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("\"a\" and \"A\""));
  EXPECT_TRUE(destination_->CheckTable(*MakeRelation("orders", {{"id", kInt4Oid}})).ok());
  status = destination_->CheckTable(*MakeRelation("Orders", {{"id", kInt4Oid}}));
  EXPECT_TRUE(absl::IsFailedPrecondition(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("public.orders and public.Orders"));
  EXPECT_TRUE(absl::IsFailedPrecondition(destination_->CheckTable(*MakeRelation("none", {}, 0))));
}

TEST_F(DuckdbTarget, OddNames) {
  auto odd = MakeRelation("select \"it's\"", {{"order", kInt4Oid}, {"a\"b", kTextOid}, {"rowid", kTextOid}}, 1, "temp");
  Open();
  ASSERT_TRUE(destination_->CheckTable(*odd).ok());
  Apply(TestBatch(100).Insert(odd, {"1", "x", "r"}));
  Apply(TestBatch(200).Update(odd, {"1", Unchanged(), "s"}).Insert(odd, {"2", "y", "t"}));
  EXPECT_EQ(Sql("SELECT * FROM test.temp.\"select \"\"it's\"\"\" ORDER BY 1"), "1|x|s\n2|y|t");
}

TEST_F(DuckdbTarget, SchemaAndTableOptions) {
  Open({{"schema", "lake"}, {"table", "things"}, {"meta_schema", "meta"}, {"meta_table", "p"}});
  Apply(TestBatch(100).Insert(items_, {"1", "a", "1"}));
  EXPECT_EQ(Sql("SELECT * FROM lake.things"), "1|a|1");
  EXPECT_EQ(Sql("SELECT flow_id, destination, generation, commit_lsn, end_lsn FROM meta.p"), "flow|duck|1|0/64|0/6C");
  EXPECT_TRUE(absl::IsFailedPrecondition(destination_->CheckTable(*MakeRelation("other", {{"id", kInt4Oid}}))));
}

TEST_F(DuckdbTarget, CompositeKeyNotFirstAndWideTable) {
  std::vector<std::pair<std::string, uint32_t>> columns;
  for (int i = 0; i < 300; ++i) columns.emplace_back(absl::StrCat("col", i), i % 2 ? kTextOid : kInt4Oid);
  auto wide = MakeRelation("wide", columns, 0);
  wide->identity = ReplicaIdentity::kDefault;
  wide->key = {4, 299};
  auto row = [](const std::string& k1, const std::string& k2, const std::string& rest) {
    TestRow r;
    for (int i = 0; i < 300; ++i) r.emplace_back(i % 2 ? "t" + rest : rest);
    r[4] = k1;
    r[299] = k2;
    return r;
  };
  Open();
  Apply(TestBatch(100)
            .Insert(wide, row("1", "a", "7"))
            .Insert(wide, row("1", "b", "8"))
            .Insert(wide, row("2", "a", "9")));
  TestRow partial = row("1", "b", "6");
  partial[7] = partial[298] = Unchanged();
  Apply(TestBatch(200).Delete(wide, row("2", "a", "0")).Update(wide, partial));
  EXPECT_EQ(Sql("SELECT col4, col299, col0, col7, col298, col297 FROM public.wide ORDER BY 2"),
            "1|a|7|t7|7|t7\n1|b|6|t8|8|t6");
}

}  // namespace
}  // namespace wallaby
