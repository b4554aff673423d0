#include "destination/collapse.h"

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <random>
#include <set>

#include "change/test_tuple.h"

namespace wallaby {
namespace {

using Row = TestRow;
using Value = Row::value_type;

RelationPtr MakeRelation(std::vector<int> key, int columns = 3, int64_t version = 1,
                         ReplicaIdentity identity = ReplicaIdentity::kDefault) {
  auto relation = std::make_shared<Relation>();
  relation->oid = 42;
  relation->version = version;
  relation->schema = "public";
  relation->name = "t";
  relation->identity = identity;
  for (int i = 0; i < columns; ++i) relation->columns.push_back({"c" + std::to_string(i), BuiltinType(25, -1), false});
  for (int column : key) relation->columns[column].key = true;
  relation->key = std::move(key);
  return relation;
}

// Builds batches out of rows of text; kAbsent stands for an unchanged value that was not sent.
class Builder {
 public:
  Builder() { batch_.AddTransaction({.commit = Lsn{100}, .end = Lsn{101}}); }

  Builder& Insert(const RelationPtr& r, const Row& row) { return Add(r, ChangeKind::kInsert, &row, nullptr, false); }
  Builder& Read(const RelationPtr& r, const Row& row) { return Add(r, ChangeKind::kRead, &row, nullptr, false); }
  Builder& Update(const RelationPtr& r, const Row& row) { return Add(r, ChangeKind::kUpdate, &row, nullptr, false); }
  // `old` is the whole old row, or with `old_is_key` its key and nulls.
  Builder& Update(const RelationPtr& r, const Row& row, const Row& old, bool old_is_key) {
    return Add(r, ChangeKind::kUpdate, &row, &old, old_is_key);
  }
  Builder& Delete(const RelationPtr& r, const Row& old, bool old_is_key = true) {
    return Add(r, ChangeKind::kDelete, nullptr, &old, old_is_key);
  }
  Builder& Truncate(const RelationPtr& r) { return Add(r, ChangeKind::kTruncate, nullptr, nullptr, false); }

  const ChangeBatch& batch() const { return batch_; }

 private:
  Builder& Add(const RelationPtr& r, ChangeKind kind, const Row* row, const Row* old, bool old_is_key) {
    Change change;
    change.kind = kind;
    change.relation = batch_.AddRelation(r);
    change.seq = seq_++;
    change.old_is_key = old_is_key;
    if (row) change.new_row = batch_.AddRow(TestTuple(*row));
    if (old) change.old_row = batch_.AddRow(TestTuple(*old));
    batch_.AddChange(change);
    return *this;
  }

  ChangeBatch batch_;
  uint32_t seq_ = 0;
};

Row ToRow(const char* tuple) {
  Row row;
  for (TupleCursor c(tuple); !c.done(); c.Next()) {
    if (c.field().is_null()) {
      row.emplace_back();
    } else {
      row.emplace_back(c.field().is_absent() ? kAbsent : std::string(c.field().bytes));
    }
  }
  return row;
}

// "table" as text: rows and deletes in order.
std::string Show(const CollapsedTable& table) {
  auto text = [](const char* tuple) {
    std::string out;
    for (const Value& value : ToRow(tuple)) out += (out.empty() ? "" : ",") + value.value_or("null");
    return out;
  };
  std::string out = table.truncate ? "truncate;" : "";
  for (const CollapsedRow& row : table.rows) {
    out += (row.is_delete ? "-" : "+") + text(row.row);
    if (row.origin) out += " from " + text(row.origin);
    out += ";";
  }
  for (const RowDelta& delta : table.deltas) out += std::to_string(delta.copies) + "x" + text(delta.row) + ";";
  return out;
}

std::string ShowOne(const Builder& builder) {
  auto tables = Collapse(builder.batch());
  if (!tables.ok()) return std::string(tables.status().message());
  if (tables->size() != 1) return std::to_string(tables->size()) + " tables";
  return Show(tables->front());
}

const RelationPtr kTable = MakeRelation({0});

TEST(Collapse, InsertsOnlyKeepOrder) {
  Builder b;
  b.Insert(kTable, {"1", "a", "x"}).Insert(kTable, {"2", "b", std::nullopt});
  auto tables = Collapse(b.batch());
  ASSERT_TRUE(tables.ok());
  EXPECT_EQ(Show((*tables)[0]), "+1,a,x;+2,b,null;");
  EXPECT_TRUE((*tables)[0].rows[0].is_new && (*tables)[0].rows[1].is_new);
  EXPECT_FALSE((*tables)[0].only_reads);
}

TEST(Collapse, ReadsAreKnown) {
  Builder b;
  b.Read(kTable, {"1", "a", "x"});
  auto tables = Collapse(b.batch());
  ASSERT_TRUE(tables.ok());
  EXPECT_TRUE((*tables)[0].only_reads);
  EXPECT_TRUE((*tables)[0].rows[0].is_new);
}

TEST(Collapse, LastStateOfEachKey) {
  Builder b;
  b.Insert(kTable, {"1", "a", "x"}).Update(kTable, {"1", "b", "x"}).Update(kTable, {"2", "c", "y"});
  b.Delete(kTable, {"3", std::nullopt, std::nullopt});
  EXPECT_EQ(ShowOne(b), "+1,b,x;+2,c,y;-3,null,null;");
}

TEST(Collapse, RowsThatTheDestinationCannotHaveAreNew) {
  Builder b;
  b.Insert(kTable, {"1", "a", "x"}).Update(kTable, {"1", "b", kAbsent});                // new
  b.Delete(kTable, {"2", std::nullopt, std::nullopt}).Insert(kTable, {"2", "a", "x"});  // was there
  b.Update(kTable, {"4", "b", "y"}, {"3", std::nullopt, std::nullopt}, true);           // 3 was there,
  b.Insert(kTable, {"3", "c", "z"});                                                    // so not new
  b.Insert(kTable, {"5", "a", "x"}).Delete(kTable, {"5", std::nullopt, std::nullopt}).Insert(kTable, {"5", "b", "x"});
  b.Insert(kTable, {"7", "a", "x"}).Delete(kTable, {"7", std::nullopt, std::nullopt});
  b.Update(kTable, {"7", "b", kAbsent}, {"6", std::nullopt, std::nullopt}, true);  // brings a value from 6
  auto tables = Collapse(b.batch());
  ASSERT_TRUE(tables.ok());
  EXPECT_EQ(Show((*tables)[0]), "+1,b,x;+2,a,x;+3,c,z;+4,b,y;+5,b,x;+7,b,<absent> from 6,null,null;-6,null,null;");
  std::string fresh;
  for (const CollapsedRow& row : (*tables)[0].rows) fresh += row.is_new ? "n" : "-";
  EXPECT_EQ(fresh, "n---n--");
}

TEST(Collapse, DeleteThenInsertIsAFullRow) {
  Builder b;
  b.Delete(kTable, {"1", std::nullopt, std::nullopt}).Insert(kTable, {"1", "a", "x"});
  EXPECT_EQ(ShowOne(b), "+1,a,x;");
}

TEST(Collapse, InsertThenPartialUpdateThenDelete) {
  Builder b;
  b.Insert(kTable, {"1", "a", "x"}).Update(kTable, {"1", "b", kAbsent});
  EXPECT_EQ(ShowOne(b), "+1,b,x;");
  b.Delete(kTable, {"1", std::nullopt, std::nullopt});
  EXPECT_EQ(ShowOne(b), "-1,null,null;");
}

TEST(Collapse, PartialUpdateHasItsOwnKeyAsOrigin) {
  Builder b;
  b.Update(kTable, {"1", "b", kAbsent}).Update(kTable, {"1", kAbsent, kAbsent});
  EXPECT_EQ(ShowOne(b), "+1,b,<absent> from 1,b,<absent>;");
}

TEST(Collapse, KeyChangeDeletesTheOldKey) {
  Builder b;
  b.Update(kTable, {"2", "b", "y"}, {"1", std::nullopt, std::nullopt}, true);
  EXPECT_EQ(ShowOne(b), "-1,null,null;+2,b,y;");
}

TEST(Collapse, KeyChangeTakesAbsentFromThePendingState) {
  Builder b;
  b.Insert(kTable, {"1", "a", "x"}).Update(kTable, {"2", "b", kAbsent}, {"1", std::nullopt, std::nullopt}, true);
  EXPECT_EQ(ShowOne(b), "-1,null,null;+2,b,x;");
}

TEST(Collapse, ChainOfKeyChangesKeepsTheFirstOrigin) {
  Builder b;
  b.Update(kTable, {"2", "b", kAbsent}, {"1", std::nullopt, std::nullopt}, true);
  b.Update(kTable, {"3", kAbsent, kAbsent}, {"2", std::nullopt, std::nullopt}, true);
  EXPECT_EQ(ShowOne(b), "-1,null,null;-2,null,null;+3,b,<absent> from 1,null,null;");
}

TEST(Collapse, SwapThroughATemporaryKey) {
  Builder b;
  b.Update(kTable, {"9", "a", kAbsent}, {"1", std::nullopt, std::nullopt}, true);
  b.Update(kTable, {"1", "b", kAbsent}, {"2", std::nullopt, std::nullopt}, true);
  b.Update(kTable, {"2", "a", kAbsent}, {"9", std::nullopt, std::nullopt}, true);
  EXPECT_EQ(ShowOne(b), "+1,b,<absent> from 2,null,null;-9,null,null;+2,a,<absent> from 1,null,null;");
}

TEST(Collapse, FullOldRowHoldsWhatIsAbsent) {
  auto full = MakeRelation({0}, 3, 1, ReplicaIdentity::kFull);
  Builder b;
  b.Update(full, {"1", "b", kAbsent}, {"1", "a", "x"}, false);
  b.Update(full, {"3", "b", kAbsent}, {"2", "a", "y"}, false);
  EXPECT_EQ(ShowOne(b), "+1,b,x;-2,a,y;+3,b,y;");
}

TEST(Collapse, AbsentKeyColumnComesFromTheOldRow) {
  Builder b;
  b.Update(kTable, {kAbsent, "b", "y"}, {"1", std::nullopt, std::nullopt}, true);
  EXPECT_EQ(ShowOne(b), "+1,b,y;");
  b.Update(kTable, {kAbsent, "c", kAbsent}, {"1", std::nullopt, std::nullopt}, true);
  EXPECT_EQ(ShowOne(b), "+1,c,y;");
  Builder other;
  other.Update(kTable, {kAbsent, "c", kAbsent}, {"1", std::nullopt, std::nullopt}, true);
  EXPECT_EQ(ShowOne(other), "+1,c,<absent> from 1,null,null;");
}

TEST(Collapse, KeyOfSeveralColumnsThatAreNotNeighbours) {
  auto table = MakeRelation({0, 2});
  Builder b;
  b.Insert(table, {"1", "a", "x"}).Update(table, {"1", "b", "x"}).Insert(table, {"1", "c", "y"});
  b.Update(table, {"1", "d", "z"}, {"1", std::nullopt, "y"}, true);
  EXPECT_EQ(ShowOne(b), "+1,b,x;-1,null,y;+1,d,z;");
}

TEST(Collapse, TruncateForgetsWhatWasCollected) {
  Builder b;
  b.Insert(kTable, {"1", "a", "x"}).Truncate(kTable).Insert(kTable, {"1", "b", "y"});
  b.Update(kTable, {"1", "c", kAbsent});
  EXPECT_EQ(ShowOne(b), "truncate;+1,c,y;");
}

TEST(Collapse, EachShapeOfATableIsItsOwnEntry) {
  auto wider = MakeRelation({0}, 4, 2);
  auto same = MakeRelation({0}, 3, 1);  // announced again
  Builder b;
  b.Insert(kTable, {"1", "a", "x"}).Update(same, {"1", "b", "x"}).Update(wider, {"1", "c", kAbsent, "n"});
  auto tables = Collapse(b.batch());
  ASSERT_TRUE(tables.ok()) << tables.status();
  ASSERT_EQ(tables->size(), 2u);
  EXPECT_EQ(Show((*tables)[0]), "+1,b,x;");
  EXPECT_EQ(Show((*tables)[1]), "+1,c,<absent>,n from 1,c,<absent>,n;");
}

TEST(Collapse, KeylessIsAMultiset) {
  auto table = MakeRelation({}, 2, 1, ReplicaIdentity::kFull);
  Builder b;
  b.Insert(table, {"a", "x"}).Insert(table, {"a", "x"}).Insert(table, {"b", "y"});
  EXPECT_EQ(ShowOne(b), "1xa,x;1xa,x;1xb,y;");
  b.Delete(table, {"b", "y"}, false).Update(table, {"c", kAbsent}, {"a", "x"}, false).Delete(table, {"d", "z"}, false);
  EXPECT_EQ(ShowOne(b), "1xa,x;1xc,x;-1xd,z;");
}

TEST(Collapse, RefusesWhatHasNoIdentity) {
  auto table = MakeRelation({}, 2, 1, ReplicaIdentity::kDefault);
  Builder update;
  update.Update(table, {"a", "x"});
  auto result = Collapse(update.batch());
  EXPECT_EQ(result.status().code(), absl::StatusCode::kFailedPrecondition);
  // The source let the update pass: the table has a key there.
  for (const char* part : {"not in the publication", "generated", "column list", "wallaby-admin doctor",
                           "REPLICA IDENTITY FULL", "-mode backfill -tables"}) {
    EXPECT_NE(result.status().message().find(part), std::string::npos) << result.status();
  }
  Builder insert;
  insert.Insert(kTable, {"1", "a", kAbsent});
  EXPECT_EQ(Collapse(insert.batch()).status().code(), absl::StatusCode::kFailedPrecondition);
}

// ---- random histories, applied one by one and collapsed ----

using Model = std::map<std::string, Row>;

// A source that has a table of key (columns 0 and, for wide keys, 2) and sends what PostgreSQL would.
class History {
 public:
  History(uint32_t seed, RelationPtr relation) : random_(seed), relation_(std::move(relation)) {}

  const Model& model() const { return model_; }

  std::string KeyText(const Row& row) const {
    std::string text;
    for (int column : relation_->key) text += row[column].value_or("null") + "|";
    return text;
  }

  void Step(Builder* out) {
    const int what = Pick(100);
    if (what < 2) {
      model_.clear();
      out->Truncate(relation_);
    } else if (what < 35 || model_.empty()) {
      Row row = RandomRow();
      if (model_.contains(KeyText(row))) return;
      model_[KeyText(row)] = row;
      out->Insert(relation_, row);
    } else if (what < 55) {
      auto it = RandomEntry();
      out->Delete(relation_, Old(it->second), !full());
      model_.erase(it);
    } else {
      Update(out);
    }
  }

 private:
  bool full() const { return relation_->identity == ReplicaIdentity::kFull; }
  int Pick(int n) { return static_cast<int>(random_() % static_cast<uint32_t>(n)); }
  Model::iterator RandomEntry() { return std::next(model_.begin(), Pick(static_cast<int>(model_.size()))); }
  Value RandomValue() {
    const int pick = Pick(6);
    return pick == 0 ? Value() : Value("v" + std::to_string(counter_++));
  }
  Row RandomRow() {
    Row row;
    for (size_t i = 0; i < relation_->columns.size(); ++i) row.push_back(RandomValue());
    for (int column : relation_->key) row[column] = std::to_string(Pick(4));
    return row;
  }
  Row Old(const Row& row) const {
    if (full()) return row;
    Row key(row.size());
    for (int column : relation_->key) key[column] = row[column];
    return key;
  }

  void Update(Builder* out) {
    auto it = RandomEntry();
    const Row before = it->second;
    Row after = before;
    Row sent = before;
    for (size_t i = 0; i < after.size(); ++i) {
      const bool key = relation_->columns[i].key;
      const int pick = Pick(key ? 12 : 3);
      if (pick == 0) {
        sent[i] = after[i] = key ? Value(std::to_string(Pick(4))) : RandomValue();
      } else if (pick == 1 && before[i] && !key) {
        sent[i] = kAbsent;
      }
    }
    const std::string key = KeyText(after);
    const bool moved = key != KeyText(before);
    if (moved && model_.contains(key)) return;
    model_.erase(it);
    model_[key] = after;
    if (moved || full()) {
      out->Update(relation_, sent, Old(before), !full());
    } else {
      out->Update(relation_, sent);
    }
  }

  std::mt19937 random_;
  RelationPtr relation_;
  Model model_;
  int counter_ = 0;
};

// What a destination does with a collapsed table.
void Apply(const CollapsedTable& table, const History& history, Model* destination) {
  if (table.truncate) destination->clear();
  Model upserts;
  std::set<std::string> deletes;
  for (const CollapsedRow& row : table.rows) {
    Row values = ToRow(row.row);
    const std::string key = history.KeyText(values);
    ASSERT_TRUE(deletes.count(key) + upserts.count(key) == 0) << "key " << key << " twice";
    if (row.is_delete) {
      deletes.insert(key);
      continue;
    }
    bool absent = false;
    for (size_t i = 0; i < values.size(); ++i) {
      if (values[i] != Value(kAbsent)) continue;
      absent = true;
      ASSERT_NE(row.origin, nullptr);
      auto origin = destination->find(history.KeyText(ToRow(row.origin)));
      ASSERT_TRUE(origin != destination->end()) << "no origin for " << key;
      values[i] = origin->second[i];
    }
    ASSERT_EQ(absent, row.origin != nullptr);
    upserts[key] = values;
  }
  for (const std::string& key : deletes) destination->erase(key);
  for (const auto& [key, values] : upserts) (*destination)[key] = values;
}

void RunHistories(const RelationPtr& relation, uint32_t seeds) {
  for (uint32_t seed = 0; seed < seeds; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    History history(seed, relation);
    Model destination;
    std::mt19937 random(seed + 1000000);
    for (int batches = 0; batches < 8; ++batches) {
      Builder builder;
      const int steps = 1 + static_cast<int>(random() % 20);
      for (int i = 0; i < steps; ++i) history.Step(&builder);
      auto tables = Collapse(builder.batch());
      ASSERT_TRUE(tables.ok()) << tables.status();
      for (const CollapsedTable& table : *tables) ASSERT_NO_FATAL_FAILURE(Apply(table, history, &destination));
      ASSERT_EQ(destination, history.model());
    }
  }
}

TEST(CollapseProperty, OneKeyColumn) {
  RunHistories(kTable, 3000);
}
TEST(CollapseProperty, TwoKeyColumnsApart) {
  RunHistories(MakeRelation({0, 2}, 4), 3000);
}
TEST(CollapseProperty, IdentityFullWithKey) {
  RunHistories(MakeRelation({1}, 3, 1, ReplicaIdentity::kFull), 3000);
}

TEST(CollapseProperty, KeylessMultiset) {
  auto relation = MakeRelation({}, 2, 1, ReplicaIdentity::kFull);
  for (uint32_t seed = 0; seed < 2000; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    std::multiset<Row> model, destination;
    auto value = [&]() { return std::to_string(random() % 2); };
    for (int batches = 0; batches < 5; ++batches) {
      Builder builder;
      for (int i = 0; i < 10; ++i) {
        Row row = {value(), value()};
        const auto pick = random() % 3;
        if (pick == 0 || model.empty()) {
          model.insert(row);
          builder.Insert(relation, row);
          continue;
        }
        auto it = std::next(model.begin(), random() % model.size());
        const Row old = *it;
        model.erase(it);
        if (pick == 1) {
          builder.Delete(relation, old, false);
        } else {
          Row sent = row;
          if (random() % 2) row[1] = old[1], sent[1] = kAbsent;
          model.insert(row);
          builder.Update(relation, sent, old, false);
        }
      }
      auto tables = Collapse(builder.batch());
      ASSERT_TRUE(tables.ok()) << tables.status();
      for (const CollapsedTable& table : *tables) {
        for (const RowDelta& delta : table.deltas) {
          ASSERT_NE(delta.copies, 0);
          const Row row = ToRow(delta.row);
          for (int64_t i = 0; i < delta.copies; ++i) destination.insert(row);
          for (int64_t i = 0; i > delta.copies; --i) {
            ASSERT_TRUE(destination.contains(row));
            destination.erase(destination.find(row));
          }
        }
      }
      ASSERT_EQ(model, destination);
    }
  }
}

}  // namespace
}  // namespace wallaby
