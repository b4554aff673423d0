// Target mode against a real server: what the destination holds is what the source would.
#include <map>
#include <random>
#include <set>

#include "destination/postgres/test_batches.h"

namespace wallaby {
namespace {

const std::vector<TestColumn> kColumns = {{"id", kInt4, true}, {"name", kTextOid}, {"doc", kTextOid}};
const RelationPtr kTable = MakeRelation("t", kColumns);

class PostgresTarget : public DestinationTest {};

TEST_F(PostgresTarget, CreatesTheTableWithItsKey) {
  auto destination = MakeOpen();
  ASSERT_TRUE(
      Deliver(*destination, TestBatch(10).Insert(kTable, {"1", "it's", "x"}).Insert(kTable, {"2", {}, ""})).ok());
  EXPECT_EQ(Rows("t"), "1,it's,x;2,null,;");
  EXPECT_EQ(MustQuery(*sql_,
                      "SELECT string_agg(a.attname || ' ' || format_type(atttypid, atttypmod) || ' ' || attnotnull, "
                      "',' ORDER BY attnum) FROM pg_attribute a WHERE attrelid = 't'::regclass AND attnum > 0"),
            "id integer true,name text false,doc text false");
}

TEST_F(PostgresTarget, FewRowsOfEveryKind) {
  auto destination = MakeOpen();
  TestBatch first(10);
  for (int i = 1; i <= 6; ++i)
    first.Insert(kTable, {std::to_string(i), "n" + std::to_string(i), "d" + std::to_string(i)});
  ASSERT_TRUE(Deliver(*destination, first).ok());
  TestBatch second(20);
  second.Update(kTable, {"1", "new", kAbsent}).Delete(kTable, {"2", {}, {}}).Update(kTable, {"3", kAbsent, kAbsent});
  second.Update(kTable, {"7", "moved", "whole"}, {"4", {}, {}}, true);
  second.Delete(kTable, {"5", {}, {}}).Insert(kTable, {"5", "again", {}});
  ASSERT_TRUE(Deliver(*destination, second).ok());
  EXPECT_EQ(Rows("t"), "1,new,d1;3,n3,d3;5,again,null;6,n6,d6;7,moved,whole;");
}

TEST_F(PostgresTarget, SwapOfKeysKeepsTheLargeValues) {
  auto destination = MakeOpen();
  ASSERT_TRUE(
      Deliver(*destination, TestBatch(10).Insert(kTable, {"1", "a", "A"}).Insert(kTable, {"2", "b", "B"})).ok());
  TestBatch swap(20);
  swap.Update(kTable, {"9", "a", kAbsent}, {"1", {}, {}}, true);
  swap.Update(kTable, {"1", "b", kAbsent}, {"2", {}, {}}, true);
  swap.Update(kTable, {"2", "a", kAbsent}, {"9", {}, {}}, true);
  ASSERT_TRUE(Deliver(*destination, swap).ok());
  EXPECT_EQ(Rows("t"), "1,b,B;2,a,A;");
}

TEST_F(PostgresTarget, MissingRowBehindAnAbsentValueIsRefused) {
  for (int others : {0, 100}) {
    auto destination = MakeOpen();
    TestBatch batch(10);
    for (int i = 0; i < others; ++i) batch.Update(kTable, {std::to_string(100 + i), "x", "y"});
    batch.Update(kTable, {"1", "new", kAbsent});
    const absl::Status status = Deliver(*destination, batch);
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
    EXPECT_NE(status.message().find("public.t"), std::string::npos) << status;
    EXPECT_NE(status.message().find("REPLICA IDENTITY FULL"), std::string::npos) << status;
  }
}

TEST_F(PostgresTarget, TruncateEmptiesAndGoesOn) {
  auto destination = MakeOpen();
  ASSERT_TRUE(Deliver(*destination, TestBatch(10).Insert(kTable, {"1", "a", "A"})).ok());
  ASSERT_TRUE(Deliver(*destination, TestBatch(20).Truncate(kTable).Insert(kTable, {"2", "b", "B"})).ok());
  EXPECT_EQ(Rows("t"), "2,b,B;");
}

TEST_F(PostgresTarget, SeveralWritesAreOneTransaction) {
  auto destination = MakeOpen();
  ASSERT_TRUE(destination->Write(TestBatch(10).Insert(kTable, {"1", "a", "A"}).get()).ok());
  TestBatch many(10);
  for (int i = 0; i < 200; ++i) many.Update(kTable, {std::to_string(i), "n", "d"});
  ASSERT_TRUE(destination->Write(many.get()).ok());
  ASSERT_TRUE(destination->Write(many.get()).ok());
  EXPECT_EQ(MustQuery(*sql_, "SELECT to_regclass('t') IS NULL"), "t");
  ASSERT_TRUE(destination->Commit({.commit = Lsn{10}, .end = Lsn{11}}).ok());
  EXPECT_EQ(MustQuery(*sql_, "SELECT count(*) FROM t"), "200");
}

TEST_F(PostgresTarget, RowsThatAreThereAlreadyAreReplaced) {
  MustExecute(*sql_,
              "CREATE TABLE t (id int PRIMARY KEY, name text, doc text); INSERT INTO t VALUES (7, 'old', 'old')");
  auto destination = MakeOpen();
  TestBatch batch(10);
  for (int i = 0; i < 100; ++i) batch.Read(kTable, {std::to_string(i), "n", "d"});
  ASSERT_TRUE(Deliver(*destination, batch).ok());
  EXPECT_EQ(MustQuery(*sql_, "SELECT count(*) FROM t WHERE name = 'n'"), "100");
}

TEST_F(PostgresTarget, AddsColumnsInTheMiddleOfABatch) {
  auto wider =
      MakeRelation("t", {{"id", kInt4, true}, {"name"}, {"doc"}, {"extra", kInt8}}, ReplicaIdentity::kDefault, 2);
  auto destination = MakeOpen();
  TestBatch many(10);
  for (int i = 0; i < 100; ++i) many.Update(kTable, {std::to_string(i), "n", "d"});
  for (int i = 0; i < 100; ++i) many.Update(wider, {std::to_string(i), "w", kAbsent, std::to_string(i)});
  ASSERT_TRUE(Deliver(*destination, many).ok());
  ASSERT_TRUE(Deliver(*destination, TestBatch(20).Insert(wider, {"1000", "w", "d", "1000"})).ok());
  EXPECT_EQ(MustQuery(*sql_, "SELECT count(*) FROM t WHERE name = 'w' AND doc = 'd' AND extra = id"), "101");
}

TEST_F(PostgresTarget, GeneratedAndIdentityColumns) {
  MustExecute(*sql_,
              "CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text, "
              "doc text GENERATED ALWAYS AS (upper(name)) STORED)");
  auto destination = MakeOpen();
  ASSERT_TRUE(destination->CheckTable(*kTable).ok()) << destination->CheckTable(*kTable);
  TestBatch many(10);
  for (int i = 1; i <= 100; ++i) many.Update(kTable, {std::to_string(i), "n", "ignored"});
  ASSERT_TRUE(Deliver(*destination, many).ok());
  ASSERT_TRUE(Deliver(*destination, TestBatch(20).Update(kTable, {"1", "few", "ignored"})).ok());
  EXPECT_EQ(MustQuery(*sql_, "SELECT count(*) FROM t WHERE doc = upper(name)"), "100");
  MustExecute(*sql_, "CREATE TABLE u (id int PRIMARY KEY, n int GENERATED ALWAYS AS IDENTITY)");
  auto u = MakeRelation("u", {{"id", kInt4, true}, {"n", kInt4}});
  EXPECT_NE(destination->CheckTable(*u).message().find("SET GENERATED BY DEFAULT"), std::string::npos);
}

TEST_F(PostgresTarget, TriggersAndForeignKeysRest) {
  MustExecute(*sql_,
              "CREATE TABLE parent (id int PRIMARY KEY);"
              "CREATE TABLE t (id int PRIMARY KEY REFERENCES parent, name text, doc text);"
              "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'fired'; END$$;"
              "CREATE TRIGGER no BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION no()");
  auto destination = MakeOpen();
  ASSERT_TRUE(Deliver(*destination, TestBatch(10).Insert(kTable, {"1", "a", "A"})).ok());
  EXPECT_EQ(Rows("t"), "1,a,A;");
}

TEST_F(PostgresTarget, NamesWithQuotesCaseAndUnicode) {
  auto odd = MakeRelation("Bücher \"neu\"", {{"Id", kInt4, true}, {"naïve 'x'"}, {"select"}}, ReplicaIdentity::kDefault,
                          1, "My Schema");
  auto destination = MakeOpen();
  TestBatch many(10);
  for (int i = 0; i < 100; ++i) many.Update(odd, {std::to_string(i), "a\tb\\N\n", "ü"});
  ASSERT_TRUE(Deliver(*destination, many).ok());
  ASSERT_TRUE(Deliver(*destination, TestBatch(20).Update(odd, {"1", kAbsent, "é"}).Delete(odd, {"2", {}, {}})).ok());
  EXPECT_EQ(
      MustQuery(*sql_,
                "SELECT count(*) FROM \"My Schema\".\"Bücher \"\"neu\"\"\" WHERE \"naïve 'x'\" = E'a\\tb\\\\N\\n'"),
      "99");
}

TEST_F(PostgresTarget, AnErrorNamesTableAndColumn) {
  MustExecute(*sql_, "CREATE TABLE t (id int PRIMARY KEY, name varchar(3), doc text)");
  auto destination = MakeOpen();
  TestBatch many(10);
  for (int i = 0; i < 100; ++i) many.Update(kTable, {std::to_string(i), "too long", "d"});
  const absl::Status status = Deliver(*destination, many);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  EXPECT_NE(status.message().find("public.t: column name"), std::string::npos) << status;
  EXPECT_NE(status.message().find("type_mappings"), std::string::npos) << status;
  ASSERT_TRUE(destination->Open().ok());
  const absl::Status few = Deliver(*destination, TestBatch(10).Insert(kTable, {"1", "too long", "secret"}));
  EXPECT_NE(few.message().find("public.t"), std::string::npos) << few;
  EXPECT_EQ(few.message().find("secret"), std::string::npos) << few;
  ASSERT_TRUE(destination->Open().ok());
  EXPECT_TRUE(Deliver(*destination, TestBatch(10).Insert(kTable, {"1", "ok", "d"})).ok());
}

// ---- random histories ----

using Model = std::map<std::string, TestRow>;

// A source's table, and the changes that PostgreSQL would send for random statements on it.
class History {
 public:
  History(uint32_t seed, RelationPtr relation, int keys) : random_(seed), relation_(std::move(relation)), keys_(keys) {}
  const Model& model() const { return model_; }

  void Step(TestBatch* out) {
    const int what = Pick(1000);
    if (what < 3) {
      model_.clear();
      out->Truncate(relation_);
    } else if (what < 400 || model_.empty()) {
      TestRow row = {std::to_string(Pick(keys_)), Value(), Value()};
      if (!model_.emplace(*row[0], row).second) return;
      out->Insert(relation_, row);
    } else if (what < 550) {
      auto it = Entry();
      out->Delete(relation_, Old(it->second), !full());
      model_.erase(it);
    } else {
      Update(out);
    }
  }

 private:
  bool full() const { return relation_->identity == ReplicaIdentity::kFull; }
  int Pick(int n) { return static_cast<int>(random_() % static_cast<uint32_t>(n)); }
  Model::iterator Entry() { return std::next(model_.begin(), Pick(static_cast<int>(model_.size()))); }
  TestValue Value() {
    const int pick = Pick(8);
    if (pick == 0) return std::nullopt;
    return (pick == 1 ? "\\N'\t\n" : "v") + std::to_string(counter_++);
  }
  TestRow Old(const TestRow& row) const { return full() ? row : TestRow{row[0], {}, {}}; }

  void Update(TestBatch* out) {
    auto it = Entry();
    const TestRow before = it->second;
    TestRow after = before, sent = before;
    for (size_t i = 1; i < after.size(); ++i) {
      const int pick = Pick(3);
      if (pick == 0) sent[i] = after[i] = Value();
      if (pick == 1 && before[i]) sent[i] = kAbsent;
    }
    if (Pick(4) == 0) sent[0] = after[0] = std::to_string(Pick(keys_));
    const bool moved = after[0] != before[0];
    if (moved && model_.contains(*after[0])) return;
    model_.erase(it);
    model_[*after[0]] = after;
    if (moved || full()) {
      out->Update(relation_, sent, Old(before), !full());
    } else {
      out->Update(relation_, sent);
    }
  }

  std::mt19937 random_;
  RelationPtr relation_;
  const int keys_;
  Model model_;
  int counter_ = 0;
};

class PostgresHistories : public DestinationTest {
 protected:
  Model Table(const std::string& table) {
    auto rows = sql_->Query("SELECT * FROM " + table);
    Model model;
    if (!rows.ok()) return model;
    for (int i = 0; i < rows->size(); ++i) {
      TestRow row;
      for (int c = 0; c < rows->columns(); ++c) {
        row.push_back(rows->IsNull(i, c) ? TestValue() : TestValue(std::string(rows->Text(i, c))));
      }
      const std::string key = *row[0];
      model[key] = std::move(row);
    }
    return model;
  }

  void Run(ReplicaIdentity identity, int keys, int steps, int batches, bool binary) {
    auto destination = MakeOpen();
    for (uint32_t seed = 0; seed < 25; ++seed) {
      SCOPED_TRACE("seed " + std::to_string(seed));
      const std::string name = "t" + std::to_string(seed);
      const RelationPtr relation = MakeRelation(name, kColumns, identity);
      History history(seed, relation, keys);
      for (int i = 0; i < batches; ++i) {
        const uint64_t lsn = 1000 * seed + 10 * static_cast<uint64_t>(i) + 10;
        TestBatch first(lsn, binary), second(lsn, binary);
        for (int step = 0; step < steps; ++step) history.Step(&first);
        for (int step = 0; step < steps / 2; ++step) history.Step(&second);
        ASSERT_TRUE(destination->Write(first.get()).ok());
        const absl::Status status = Deliver(*destination, second);
        ASSERT_TRUE(status.ok()) << status;
        ASSERT_EQ(Table(name), history.model());
      }
    }
  }
};

TEST_F(PostgresHistories, FewRows) {
  Run(ReplicaIdentity::kDefault, 8, 12, 8, false);
}
TEST_F(PostgresHistories, FewRowsBinary) {
  Run(ReplicaIdentity::kDefault, 8, 12, 8, true);
}
TEST_F(PostgresHistories, ManyRows) {
  Run(ReplicaIdentity::kDefault, 300, 400, 4, false);
}
TEST_F(PostgresHistories, ManyRowsBinary) {
  Run(ReplicaIdentity::kDefault, 300, 400, 4, true);
}
TEST_F(PostgresHistories, IdentityFull) {
  Run(ReplicaIdentity::kFull, 100, 120, 4, true);
}

TEST_F(PostgresHistories, KeylessMultiset) {
  auto destination = MakeOpen();
  for (uint32_t seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    const std::string name = "m" + std::to_string(seed);
    const RelationPtr relation = MakeRelation(name, {{"a", kInt4}, {"b"}}, ReplicaIdentity::kFull);
    std::multiset<TestRow> model;
    auto value = [&]() { return random() % 4 == 0 ? TestValue() : TestValue(std::to_string(random() % 3)); };
    for (int i = 0; i < 5; ++i) {
      TestBatch batch(100 * seed + static_cast<uint64_t>(i) + 10, seed % 2 == 0);
      const int steps = i % 2 == 0 ? 100 : 10;
      for (int step = 0; step < steps; ++step) {
        TestRow row = {value(), value()};
        if (random() % 3 == 0 || model.empty() || i == 0) {
          model.insert(row);
          batch.Insert(relation, row);
          continue;
        }
        auto it = std::next(model.begin(), static_cast<int>(random() % model.size()));
        const TestRow old = *it;
        model.erase(it);
        if (random() % 2) {
          batch.Delete(relation, old, false);
        } else {
          model.insert(row);
          batch.Update(relation, row, old, false);
        }
      }
      const absl::Status status = Deliver(*destination, batch);
      ASSERT_TRUE(status.ok()) << status;
      std::multiset<TestRow> found;
      auto rows = sql_->Query("SELECT * FROM " + name);
      ASSERT_TRUE(rows.ok());
      for (int r = 0; r < rows->size(); ++r) {
        TestRow row;
        for (int c = 0; c < 2; ++c) row.push_back(rows->IsNull(r, c) ? TestValue() : std::string(rows->Text(r, c)));
        found.insert(row);
      }
      ASSERT_EQ(found, model);
    }
  }
  MustExecute(*sql_, "TRUNCATE m0");
  const RelationPtr relation = MakeRelation("m0", {{"a", kInt4}, {"b"}}, ReplicaIdentity::kFull);
  const absl::Status gone = Deliver(*destination, TestBatch(9999).Delete(relation, {"1", "1"}, false));
  EXPECT_EQ(gone.code(), absl::StatusCode::kFailedPrecondition) << gone;
}

}  // namespace
}  // namespace wallaby
