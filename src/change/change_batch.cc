#include "change/change_batch.h"

namespace wallaby {

bool Relation::SameShape(const Relation& other) const {
  return schema == other.schema && name == other.name && identity == other.identity && columns == other.columns &&
         key == other.key;
}

size_t ChangeBatch::bytes() const {
  return arena_.capacity() + changes_.capacity() * sizeof(Change) + transactions_.capacity() * sizeof(Transaction) +
         sizeof(ChangeBatch);
}

uint32_t ChangeBatch::AddRelation(const RelationPtr& relation) {
  // From the back: a transaction mostly stays with the tables it touched last.
  for (size_t i = relations_.size(); i > 0; --i) {
    if (relations_[i - 1] == relation) return static_cast<uint32_t>(i - 1);
  }
  relations_.push_back(relation);
  return static_cast<uint32_t>(relations_.size() - 1);
}

void ChangeBatch::ReserveLike(const ChangeBatch& other) {
  changes_.reserve(other.changes_.size());
  transactions_.reserve(other.transactions_.size());
  arena_.reserve(other.arena_.size());
}

void ChangeBatch::Clear() {
  relations_.clear();
  transactions_.clear();
  changes_.clear();
  arena_.clear();
  snapshot_part_.clear();
  continues_ = false;
}

void ChangeBatch::KeepTransactionsAfter(Lsn through) {
  // Commit order: what goes is a prefix.
  uint32_t dropped = 0;
  while (dropped < transactions_.size() && transactions_[dropped].commit <= through) ++dropped;
  if (dropped == 0) return;
  if (dropped == transactions_.size()) continues_ = false;
  transactions_.erase(transactions_.begin(), transactions_.begin() + dropped);
  size_t kept = 0;
  for (Change& change : changes_) {
    if (change.transaction < dropped) continue;
    change.transaction -= dropped;
    changes_[kept++] = change;
  }
  changes_.resize(kept);
}

void ChangeBatch::DropLastTransaction(Lsn commit) {
  if (transactions_.empty() || transactions_.back().commit != commit) return;
  transactions_.pop_back();
  while (!changes_.empty() && changes_.back().transaction == transactions_.size()) changes_.pop_back();
}

}  // namespace wallaby
