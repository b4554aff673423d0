// For the tests of this folder: relations, and batches out of rows of text.
#ifndef WALLABY_MAPPING_TEST_ROWS_H_
#define WALLABY_MAPPING_TEST_ROWS_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "change/change_batch.h"
#include "change/test_tuple.h"
#include "change/value.h"
#include "mapping/batch_mapper.h"
#include "mapping/table_mapping.h"

namespace wallaby {

inline constexpr uint32_t kBoolOid = 16, kInt8Oid = 20, kInt4Oid = 23, kTextOid = 25, kNumericOid = 1700;

struct TestColumn {
  std::string name;
  uint32_t oid = kTextOid;
  int32_t typmod = -1;
};

// public.orders; the first `keys` columns are the key.
inline std::shared_ptr<Relation> TestRelation(const std::vector<TestColumn>& columns, int keys = 1,
                                              ReplicaIdentity identity = ReplicaIdentity::kDefault,
                                              std::string name = "orders") {
  auto relation = std::make_shared<Relation>();
  relation->oid = 16384;
  relation->schema = "public";
  relation->name = std::move(name);
  relation->identity = keys == 0 ? ReplicaIdentity::kFull : identity;
  for (const TestColumn& column : columns) {
    const int index = static_cast<int>(relation->columns.size());
    if (index < keys) relation->key.push_back(index);
    relation->columns.push_back({column.name, BuiltinType(column.oid, column.typmod),
                                 index < keys || relation->identity == ReplicaIdentity::kFull});
  }
  return relation;
}

// One transaction, added to step by step.
class TestBatch {
 public:
  explicit TestBatch(RelationPtr relation) {
    batch_.AddTransaction({Lsn{100}, Lsn{108}, 1'714'566'896'789'012, 7});
    Use(std::move(relation));
  }
  TestBatch& Use(RelationPtr relation) {
    index_ = batch_.AddRelation(relation);
    return *this;
  }
  TestBatch& Insert(const TestRow& row) { return Add(ChangeKind::kInsert, &row, nullptr, false); }
  TestBatch& Read(const TestRow& row) { return Add(ChangeKind::kRead, &row, nullptr, false); }
  TestBatch& Update(const TestRow& row) { return Add(ChangeKind::kUpdate, &row, nullptr, false); }
  TestBatch& UpdateKey(const TestRow& old, const TestRow& row) { return Add(ChangeKind::kUpdate, &row, &old, true); }
  TestBatch& UpdateFull(const TestRow& old, const TestRow& row) { return Add(ChangeKind::kUpdate, &row, &old, false); }
  TestBatch& Delete(const TestRow& old, bool key = true) { return Add(ChangeKind::kDelete, nullptr, &old, key); }
  TestBatch& Truncate() { return Add(ChangeKind::kTruncate, nullptr, nullptr, false); }
  ChangeBatch& batch() { return batch_; }

 private:
  TestBatch& Add(ChangeKind kind, const TestRow* row, const TestRow* old, bool old_is_key) {
    Change change;
    change.kind = kind;
    change.relation = index_;
    change.seq = static_cast<uint32_t>(batch_.changes().size());
    change.old_is_key = old_is_key;
    if (row != nullptr) change.new_row = batch_.AddRow(TestTuple(*row));
    if (old != nullptr) change.old_row = batch_.AddRow(TestTuple(*old));
    batch_.AddChange(change);
    return *this;
  }

  ChangeBatch batch_;
  uint32_t index_ = 0;
};

// "c(1,null,?)" for an insert with an unchanged value, "u[1,null]key(2,b)" for an update with its old key. Binary
// values in hex, but for those of text.
inline std::string ShowRow(const Relation& relation, TupleCursor row) {
  std::string out;
  for (; !row.done(); row.Next()) {
    const Field& field = row.field();
    absl::StrAppend(&out, row.index() == 0 ? "" : ",");
    if (field.is_null()) {
      out += "null";
    } else if (field.is_absent()) {
      out += "?";
    } else if (field.kind == FieldKind::kText) {
      out += field.bytes;
    } else if (!AppendText(field, relation.columns[static_cast<size_t>(row.index())].type, &out).ok()) {
      out += "<unreadable>";
    }
  }
  return out;
}

inline std::string Show(const ChangeBatch& batch) {
  std::string out;
  for (const Change& change : batch.changes()) {
    const Relation& relation = batch.relation(change);
    absl::StrAppend(&out, out.empty() ? "" : " ", std::string(1, static_cast<char>(change.kind)));
    if (batch.has_old(change)) {
      absl::StrAppend(&out, "[", ShowRow(relation, batch.old_row(change)), change.old_is_key ? "]key" : "]");
    }
    if (batch.has_new(change)) absl::StrAppend(&out, "(", ShowRow(relation, batch.new_row(change)), ")");
  }
  return out;
}

}  // namespace wallaby

#endif  // WALLABY_MAPPING_TEST_ROWS_H_
