// Mapping a batch allocates as its batch grows, and nothing for each change or value.
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "mapping/test_rows.h"
#include "test/support/counting_allocator.h"

namespace wallaby {
namespace {

constexpr int kChanges = 10'000;
constexpr int64_t kGrowth = 20;  // memory that grows by doubling

// Inserts, updates and deletes of rows with long values, half of which pass the filter.
ChangeBatch Changes(const RelationPtr& relation, int count, bool binary) {
  ChangeBatch batch;
  batch.AddTransaction({.commit = Lsn{100}, .end = Lsn{101}});
  batch.AddRelation(relation);
  const auto row = [&](int id) {
    const uint64_t offset = batch.arena()->size();
    TupleBuilder builder(batch.arena(), 4);
    const std::string number(8, '\0');
    binary ? builder.Binary(number) : builder.Text(absl::StrCat(id));
    builder.Text("a value that is longer than a short string");
    builder.Text("another value that is longer than a short string");
    binary ? builder.Binary(std::string("\0\2\0\0\0\0\0\2\0\1\0\0", 12)) : builder.Text("10000.50");
    return offset;
  };
  for (int i = 0; i < count; ++i) {
    Change& change = batch.AddChange();
    change.kind = i % 3 == 0 ? ChangeKind::kInsert : i % 3 == 1 ? ChangeKind::kUpdate : ChangeKind::kDelete;
    if (change.kind != ChangeKind::kDelete) change.new_row = row(i);
    if (change.kind != ChangeKind::kInsert) change.old_row = row(i + 1);
  }
  return batch;
}

int64_t MoreToMap(const std::string& rule, bool binary, Keeps keeps = Keeps::kRows) {
  MappingSetup setup;
  setup.keeps = keeps;
  setup.mapping =
      ParseMapping(absl::StrCat("tables: {public.orders: ", rule, "}\nmetadata: {lsn: l, commit_time: t, op: o}"),
                   "mapping")
          .value();
  setup.hash = std::make_shared<KeyedHash>("a secret of 16 characters");
  const RelationPtr relation =
      TestRelation({{"id", kInt8Oid}, {"a"}, {"b"}, {"n", kNumericOid}}, 1, ReplicaIdentity::kFull);
  const TableMapping table = CompileTableMapping(setup, relation).value();
  const ChangeBatch once = Changes(relation, kChanges, binary), twice = Changes(relation, 2 * kChanges, binary);
  BatchMapper mapper(setup.hash);
  const std::vector<const TableMapping*> tables = {&table};
  return AllocationsForTwice(kChanges, [&](int count) {
    ChangeBatch out;
    const absl::Status status = mapper.Map(count == kChanges ? once : twice, tables, &out);
    ASSERT_TRUE(status.ok()) << status;
    ASSERT_GT(out.change_count(), 0u);
  });
}

TEST(MappingAllocationTest, NothingForEachRow) {
  for (const bool binary : {false, true}) {
    EXPECT_LE(MoreToMap("{columns: {a: {to: c}, b: {drop: true}}}", binary), kGrowth);
    EXPECT_LE(MoreToMap("{columns: {id: {mask: hash}, a: {mask: hash}, b: {mask: redact}, n: {mask: null}}}", binary),
              kGrowth);
    EXPECT_LE(MoreToMap("{columns: {id: {type: text}, n: {type: 'numeric(12,2)'}}}", binary), kGrowth);
    EXPECT_LE(
        MoreToMap("{rows: \"(a like '%short%' and n between 1 and 20000.5) or id in (1, 2, 3) or b is null\"}", binary),
        kGrowth);
    EXPECT_LE(MoreToMap("{soft_delete: true}", binary), kGrowth);
  }
}

}  // namespace
}  // namespace wallaby
