// ChangeBatch: committed changes on their way to the destinations. Raw row bytes in one arena, and one small struct per
// change that points into it. Nothing in a row is parsed here.
//
// A batch holds whole transactions in commit order. A transaction that outgrows a batch is cut: all but its last part
// have `continues()` set, and a destination keeps its own transaction open across the parts.
// Built by one thread, then read by many as `std::shared_ptr<const ChangeBatch>`.
#ifndef WALLABY_CHANGE_CHANGE_BATCH_H_
#define WALLABY_CHANGE_CHANGE_BATCH_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/lsn.h"
#include "change/relation.h"
#include "change/tuple.h"

namespace wallaby {

enum class ChangeKind : char {
  kInsert = 'c',
  kUpdate = 'u',
  kDelete = 'd',
  kTruncate = 't',
  kRead = 'r',  // a row of a snapshot
};

struct Transaction {
  Lsn commit;                      // start of the commit record; for a snapshot, the position the snapshot shows
  Lsn end;                         // end of the commit record: what may be acknowledged once all is durable
  int64_t commit_time_micros = 0;  // since 1970-01-01 UTC
  uint32_t xid = 0;
};

struct Change {
  static constexpr uint64_t kNone = ~uint64_t{0};

  ChangeKind kind = ChangeKind::kInsert;
  bool old_is_key = false;   // the old row holds the replica identity's columns only, all others are null
  uint32_t relation = 0;     // index into relations()
  uint32_t transaction = 0;  // index into transactions()
  uint32_t seq = 0;          // ordinal in its transaction
  uint64_t new_row = kNone;  // offset in the arena: insert, update, read
  uint64_t old_row = kNone;  // delete always; update when the key changed or the identity is full
};

class ChangeBatch {
 public:
  const std::vector<RelationPtr>& relations() const { return relations_; }
  const std::vector<Transaction>& transactions() const { return transactions_; }
  const std::vector<Change>& changes() const { return changes_; }

  const Relation& relation(const Change& c) const { return *relations_[c.relation]; }
  const Transaction& transaction(const Change& c) const { return transactions_[c.transaction]; }
  Position position(const Change& c) const { return {transaction(c).commit, c.seq}; }
  bool has_new(const Change& c) const { return c.new_row != Change::kNone; }
  bool has_old(const Change& c) const { return c.old_row != Change::kNone; }
  TupleCursor new_row(const Change& c) const { return TupleCursor(arena_.data() + c.new_row); }
  TupleCursor old_row(const Change& c) const { return TupleCursor(arena_.data() + c.old_row); }
  // The bytes of the row at Change::new_row or old_row; valid while the batch lives.
  const char* tuple(uint64_t offset) const { return arena_.data() + offset; }

  // True when the last transaction goes on in the next batch.
  bool continues() const { return continues_; }
  // Part of a table's snapshot that this batch belongs to; empty for streamed changes.
  const std::string& snapshot_part() const { return snapshot_part_; }

  bool empty() const { return transactions_.empty(); }
  size_t change_count() const { return changes_.size(); }
  // Memory held, for budgets.
  size_t bytes() const;

  // ---- building ----
  void AddTransaction(const Transaction& t) { transactions_.push_back(t); }
  // Sets what is known of the last transaction only at its commit.
  Transaction& last_transaction() { return transactions_.back(); }
  // Index of `relation`, added when it is not the same object as one that is there.
  uint32_t AddRelation(const RelationPtr& relation);
  // Copies the row's bytes in; the result goes into Change::new_row or old_row.
  uint64_t AddRow(std::string_view tuple) {
    const uint64_t offset = arena_.size();
    arena_.append(tuple);
    return offset;
  }
  void AddChange(const Change& change) { changes_.push_back(change); }
  // Adds one to be filled in where it stands, which is quicker than copying one that was just written.
  Change& AddChange() { return changes_.emplace_back(); }
  // Makes room for as much as `other` holds.
  void ReserveLike(const ChangeBatch& other);
  void set_continues(bool value) { continues_ = value; }
  void set_snapshot_part(std::string part) { snapshot_part_ = std::move(part); }
  std::string* arena() { return &arena_; }
  // Drops the content and keeps the memory.
  void Clear();
  // Takes out the transactions whose commit LSN is at or below `through`, with their changes.
  void KeepTransactionsAfter(Lsn through);
  // Takes out the last transaction with its changes, if its commit LSN is this one.
  void DropLastTransaction(Lsn commit);

 private:
  std::vector<RelationPtr> relations_;
  std::vector<Transaction> transactions_;
  std::vector<Change> changes_;
  std::string arena_;
  std::string snapshot_part_;
  bool continues_ = false;
};

using BatchPtr = std::shared_ptr<const ChangeBatch>;

}  // namespace wallaby

#endif  // WALLABY_CHANGE_CHANGE_BATCH_H_
