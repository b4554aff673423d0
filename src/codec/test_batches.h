// Batches for the tests of the codecs.
#ifndef WALLABY_CODEC_TEST_BATCHES_H_
#define WALLABY_CODEC_TEST_BATCHES_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "change/change_batch.h"
#include "change/test_tuple.h"
#include "codec/codec.h"

namespace wallaby {

struct TestColumn {
  std::string name;
  uint32_t oid = 25;
  int32_t typmod = -1;
};

// The first `keys` columns are the key.
inline RelationPtr TestRelation(const std::vector<TestColumn>& columns, int keys = 1, std::string name = "orders",
                                int64_t version = 1) {
  auto relation = std::make_shared<Relation>();
  relation->oid = 16384;
  relation->version = version;
  relation->schema = "shop";
  relation->name = std::move(name);
  if (keys == 0) relation->identity = ReplicaIdentity::kFull;
  for (const TestColumn& column : columns) {
    const bool key = static_cast<int>(relation->columns.size()) < keys;
    if (key) relation->key.push_back(static_cast<int>(relation->columns.size()));
    relation->columns.push_back({column.name, BuiltinType(column.oid, column.typmod), key});
  }
  return relation;
}

// shop.orders (id bigint key, total numeric(10,2), note text).
inline RelationPtr OrdersRelation(int64_t version = 1) {
  return TestRelation({{"id", 20}, {"total", 1700, (10 << 16 | 2) + 4}, {"note", 25}}, 1, "orders", version);
}

// A batch that is added to step by step: of one transaction, or of those that Begin() begins.
class TestBatch {
 public:
  explicit TestBatch(RelationPtr relation = OrdersRelation()) {
    // 2024-05-01 12:34:56.789012 UTC.
    batch_.AddTransaction({Lsn{0x16B3748}, Lsn{0x16B3778}, 1'714'566'896'789'012, 700});
    Use(std::move(relation));
  }
  TestBatch& Use(RelationPtr relation) {
    index_ = batch_.AddRelation(relation);
    return *this;
  }
  TestBatch& Begin(uint64_t commit) {
    const Transaction transaction{Lsn{commit}, Lsn{commit + 8}, 1'714'566'896'789'012, static_cast<uint32_t>(commit)};
    if (batch_.changes().empty()) {
      batch_.last_transaction() = transaction;
    } else {
      batch_.AddTransaction(transaction);
    }
    begin_ = batch_.changes().size();
    return *this;
  }
  TestBatch& Part(const std::string& part) {
    batch_.set_snapshot_part(part);
    return *this;
  }
  TestBatch& Insert(const TestRow& row) { return Add(ChangeKind::kInsert, &row, nullptr, false); }
  TestBatch& Read(const TestRow& row) { return Add(ChangeKind::kRead, &row, nullptr, false); }
  TestBatch& Update(const TestRow& row) { return Add(ChangeKind::kUpdate, &row, nullptr, false); }
  TestBatch& UpdateKey(const TestRow& old, const TestRow& row) { return Add(ChangeKind::kUpdate, &row, &old, true); }
  TestBatch& UpdateFull(const TestRow& old, const TestRow& row) { return Add(ChangeKind::kUpdate, &row, &old, false); }
  TestBatch& Delete(const TestRow& old, bool key = true) { return Add(ChangeKind::kDelete, nullptr, &old, key); }
  TestBatch& Truncate() { return Add(ChangeKind::kTruncate, nullptr, nullptr, false); }
  // An insert of a row in wire form.
  TestBatch& InsertTuple(std::string_view tuple) {
    Change& change = Next(ChangeKind::kInsert);
    change.new_row = batch_.AddRow(tuple);
    return *this;
  }

  const ChangeBatch& batch() const { return batch_; }
  // All changes of the relation that was used last.
  BatchSlice slice() const { return {batch_, index_, 0, batch_.changes().size()}; }

 private:
  Change& Next(ChangeKind kind) {
    Change& change = batch_.AddChange();
    change.kind = kind;
    change.relation = index_;
    change.transaction = static_cast<uint32_t>(batch_.transactions().size() - 1);
    change.seq = static_cast<uint32_t>(batch_.changes().size() - 1 - begin_);
    return change;
  }
  TestBatch& Add(ChangeKind kind, const TestRow* row, const TestRow* old, bool old_is_key) {
    Change& change = Next(kind);
    change.old_is_key = old_is_key;
    if (row != nullptr) change.new_row = batch_.AddRow(TestTuple(*row));
    if (old != nullptr) change.old_row = batch_.AddRow(TestTuple(*old));
    return *this;
  }

  ChangeBatch batch_;
  uint32_t index_ = 0;
  size_t begin_ = 0;  // of the last transaction's changes
};

// A record that stays when the sink has returned.
struct KeptRecord {
  ChangeKind kind;
  Position position;
  bool has_key;
  std::string key;
  std::string value;
  bool tombstone;
};

inline absl::StatusOr<std::vector<KeptRecord>> AllRecords(Codec& codec, const BatchSlice& slice) {
  std::vector<KeptRecord> records;
  absl::Status status = codec.EncodeRecords(slice, [&](const EncodedRecord& r) {
    records.push_back({r.kind, r.position, r.has_key, std::string(r.key), std::string(r.value), r.tombstone});
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return records;
}

}  // namespace wallaby

#endif  // WALLABY_CODEC_TEST_BATCHES_H_
