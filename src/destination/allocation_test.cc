// Collapsing a batch allocates for its tables, and nothing for each change or value.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "change/append_rows.h"
#include "destination/collapse.h"
#include "test/support/counting_allocator.h"

namespace wallaby {
namespace {

constexpr int kChanges = 10'000;
// Memory that grows by doubling, and keys that are put together in chunks of 64 KiB.
constexpr int64_t kGrowth = 40;
constexpr char kLong[] = "a value that is longer than a short string";

// Changes to rows of four columns. `key` holds the indexes of its columns, none for identity full.
class Changes {
 public:
  explicit Changes(std::vector<int> key) {
    auto relation = std::make_shared<Relation>();
    relation->schema = "public";
    relation->name = "t";
    relation->identity = key.empty() ? ReplicaIdentity::kFull : ReplicaIdentity::kDefault;
    for (const char* name : {"a", "b", "c", "d"}) relation->columns.push_back({name, BuiltinType(25, -1), false});
    relation->key = std::move(key);
    batch_.AddTransaction({.commit = Lsn{100}, .end = Lsn{101}});
    batch_.AddRelation(relation);
  }

  uint64_t Row(int id, bool absent = false) {
    const uint64_t offset = batch_.arena()->size();
    TupleBuilder row(batch_.arena(), 4);
    row.Text(absl::StrCat("the identifier of row ", id));
    absent ? row.Unchanged() : row.Text(kLong);
    row.Text(absl::StrCat(id));
    row.Text(kLong);
    return offset;
  }
  void Add(ChangeKind kind, uint64_t new_row, uint64_t old_row = Change::kNone, bool old_is_key = false) {
    Change& change = batch_.AddChange();
    change.kind = kind;
    change.seq = seq_++;
    change.new_row = new_row;
    change.old_row = old_row;
    change.old_is_key = old_is_key;
  }
  const ChangeBatch& batch() const { return batch_; }

 private:
  ChangeBatch batch_;
  uint32_t seq_ = 0;
};

// How many more allocations a batch of twice as many changes takes. `fill(changes, i)` adds those of step i.
template <typename Fill>
int64_t MoreToCollapse(const std::vector<int>& key, Fill fill) {
  Changes once(key), twice(key);
  for (int i = 0; i < kChanges; ++i) fill(&once, i);
  for (int i = 0; i < 2 * kChanges; ++i) fill(&twice, i);
  return AllocationsForTwice(kChanges, [&](int count) {
    const auto tables = Collapse(count == kChanges ? once.batch() : twice.batch());
    ASSERT_TRUE(tables.ok()) << tables.status();
  });
}

// Key columns that stand side by side, and some that do not.
const std::vector<int> kKeys[] = {{0}, {0, 2}};

TEST(CollapseAllocationTest, Inserts) {
  for (const auto& key : kKeys) {
    EXPECT_LE(MoreToCollapse(key, [](Changes* c, int i) { c->Add(ChangeKind::kInsert, c->Row(i)); }), kGrowth);
  }
}

TEST(CollapseAllocationTest, UpdatesOfManyRows) {
  for (const auto& key : kKeys) {
    EXPECT_LE(MoreToCollapse(key, [](Changes* c, int i) { c->Add(ChangeKind::kUpdate, c->Row(i)); }), kGrowth);
  }
}

TEST(CollapseAllocationTest, UpdatesOfAFewRows) {
  for (const auto& key : kKeys) {
    EXPECT_LE(MoreToCollapse(key, [](Changes* c, int i) { c->Add(ChangeKind::kUpdate, c->Row(i % 7)); }), kGrowth);
  }
}

TEST(CollapseAllocationTest, KeysThatMoveAndDeletes) {
  for (const auto& key : kKeys) {
    EXPECT_LE(MoreToCollapse(key,
                             [](Changes* c, int i) {
                               c->Add(ChangeKind::kUpdate, c->Row(2 * i), c->Row(2 * i + 1), true);
                               c->Add(ChangeKind::kDelete, Change::kNone, c->Row(2 * i), true);
                             }),
              kGrowth);
  }
}

TEST(CollapseAllocationTest, AbsentValues) {
  for (const auto& key : kKeys) {
    EXPECT_LE(MoreToCollapse(key,
                             [](Changes* c, int i) {
                               c->Add(ChangeKind::kUpdate, c->Row(i), Change::kNone);
                               c->Add(ChangeKind::kUpdate, c->Row(i, /*absent=*/true), Change::kNone);
                             }),
              kGrowth);
  }
}

TEST(CollapseAllocationTest, TablesWithoutAKey) {
  EXPECT_LE(MoreToCollapse({},
                           [](Changes* c, int i) {
                             c->Add(ChangeKind::kInsert, c->Row(i));
                             c->Add(ChangeKind::kUpdate, c->Row(i + 1), c->Row(i));
                           }),
            kGrowth);
}

TEST(AppendRowsAllocationTest, Nothing) {
  Changes changes({0});
  for (int i = 0; i < kChanges; ++i) changes.Add(ChangeKind::kUpdate, changes.Row(i), changes.Row(i + 1), true);
  size_t rows = 0;
  EXPECT_EQ(AllocationsOf([&] {
              for (const Change& change : changes.batch().changes()) {
                for (const AppendRow& row : AppendRows(changes.batch(), change)) rows += row.tuple != nullptr;
              }
            }),
            0);
  EXPECT_EQ(rows, size_t{2} * kChanges);
}

}  // namespace
}  // namespace wallaby
