// Random changes against a naive copy of the source, over many batches, commits and reopenings.
#include <map>
#include <random>
#include <set>
#include <string>
#include <utility>

#include "destination/duckdb/test_flow.h"

namespace wallaby {
namespace {

// A source table of (id, name, n) that writes what it does into a batch, as PostgreSQL would.
class Source {
 public:
  Source(uint32_t seed, RelationPtr relation, bool keyed)
      : random_(seed), relation_(std::move(relation)), keyed_(keyed) {}

  void Change(TestBatch* batch) {
    const uint32_t dice = random_() % 100;
    if (dice < 2) {
      rows_.clear();
      batch->Truncate(relation_);
    } else if (dice < 40 || rows_.empty()) {
      Insert(batch);
    } else if (dice < 60) {
      auto it = Pick();
      batch->Delete(relation_, keyed_ ? TestRow{it->first, {}, {}} : it->second);
      rows_.erase(it);
    } else {
      Update(batch, dice >= 85);
    }
  }

  std::string Rows() const {
    std::multiset<std::string> lines;
    for (const auto& [id, row] : rows_) lines.insert(absl::StrCat(row[0].bytes, "|", row[1].bytes, "|", row[2].bytes));
    return absl::StrJoin(lines, "\n");
  }

 private:
  using Rows_ = std::multimap<std::string, TestRow>;

  Rows_::iterator Pick() { return std::next(rows_.begin(), random_() % rows_.size()); }
  std::string Number(uint32_t below) { return std::to_string(random_() % below); }
  std::string FreeId() {
    std::string id = Number(30);
    while (keyed_ && rows_.contains(id)) id = std::to_string(random_() % 100000);
    return id;
  }

  void Insert(TestBatch* batch) {
    const std::string id = FreeId();
    const TestRow row = {id, "name" + Number(3), Number(3)};
    rows_.emplace(id, row);
    batch->Insert(relation_, row);
  }

  void Update(TestBatch* batch, bool change_key) {
    auto it = Pick();
    const TestRow old = it->second;
    const bool same_name = random_() % 2 == 0;
    TestRow row = {change_key ? FreeId() : old[0].bytes, same_name ? old[1] : TestValue("name" + Number(3)), Number(3)};
    TestRow sent = row;
    if (same_name) sent[1] = Unchanged();
    if (!keyed_) {
      batch->Update(relation_, old, sent, false);
    } else if (change_key) {
      batch->Update(relation_, {old[0], {}, {}}, sent, true);
    } else {
      batch->Update(relation_, sent);
    }
    rows_.erase(it);
    rows_.emplace(row[0].bytes, row);
  }

  std::mt19937 random_;
  RelationPtr relation_;
  const bool keyed_;
  Rows_ rows_;
};

class DuckdbRandom : public DuckdbTest, public testing::WithParamInterface<bool> {};

TEST_P(DuckdbRandom, MirrorsTheSource) {
  const bool keyed = GetParam();
  for (uint32_t seed = 1; seed <= 4; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    std::mt19937 random(seed);
    auto relation = MakeRelation(absl::StrCat("t", seed), {{"id", 23}, {"name", 25}, {"n", 20}}, keyed ? 1 : 0);
    Source source(seed, relation, keyed);
    Open();
    uint64_t lsn = seed * 1000000;
    for (int round = 0; round < 25; ++round) {
      const int writes = 1 + random() % 3;
      for (int i = 0; i < writes; ++i) {
        TestBatch batch(++lsn);
        const int changes = 1 + random() % 20;
        for (int k = 0; k < changes; ++k) source.Change(&batch);
        Write(batch);
      }
      Commit(lsn);
      if (random() % 5 == 0) {
        EXPECT_EQ(Open().commit.value, lsn);
      }
      ASSERT_EQ(Sql(absl::StrCat("SELECT * FROM public.t", seed, " ORDER BY id || '|' || name || '|' || n")),
                source.Rows());
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Tables, DuckdbRandom, testing::Bool(),
                         [](const auto& info) { return info.param ? "WithKey" : "WithoutKey"; });

}  // namespace
}  // namespace wallaby
