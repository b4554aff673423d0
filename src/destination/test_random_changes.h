// Random changes of one table, as PostgreSQL would send them: for tests that compare what a mapping makes of them with
// a view over the same changes unmapped.
#ifndef WALLABY_DESTINATION_TEST_RANDOM_CHANGES_H_
#define WALLABY_DESTINATION_TEST_RANDOM_CHANGES_H_

#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "change/change_batch.h"
#include "destination/destination.h"
#include "gtest/gtest.h"

namespace wallaby {

// Another in every run, or WALLABY_SEED.
inline uint32_t TestSeed() {
  const char* seed = std::getenv("WALLABY_SEED");
  return seed != nullptr ? static_cast<uint32_t>(std::strtoul(seed, nullptr, 10)) : std::random_device{}();
}

// public.items (id bigint key, region text, n integer, note text). The tests filter by kFilter; a row's
// note is left out as unchanged where the destination has it, or the old row.
class RandomItems {
 public:
  static constexpr const char* kFilter = "n > 3 and region in ('eu', 'us')";

  RandomItems(uint32_t seed, ReplicaIdentity identity) : random_(seed), relation_(std::make_shared<Relation>()) {
    relation_->oid = 20001;
    relation_->schema = "public";
    relation_->name = "items";
    relation_->identity = identity;
    const bool full = identity == ReplicaIdentity::kFull;
    relation_->columns = {{"id", BuiltinType(20, -1), true},
                          {"region", BuiltinType(25, -1), full},
                          {"n", BuiltinType(23, -1), full},
                          {"note", BuiltinType(25, -1), full}};
    relation_->key = {0};
  }

  // A transaction of some changes.
  ChangeBatch Next() {
    ChangeBatch batch;
    lsn_ += 16;
    batch.AddTransaction({.commit = Lsn{lsn_}, .end = Lsn{lsn_ + 8}, .commit_time_micros = 1'700'000'000'000'000});
    batch.AddRelation(relation_);
    for (uint32_t left = 1 + Below(30); left > 0; --left) Add(&batch);
    return batch;
  }
  bool full() const { return relation_->identity == ReplicaIdentity::kFull; }

 private:
  using Row = std::vector<std::optional<std::string>>;

  uint32_t Below(uint32_t limit) { return static_cast<uint32_t>(random_() % limit); }

  Row RandomRow(const std::string& id) {
    static constexpr const char* kRegions[] = {"eu", "us", "asia"};
    Row row = {id, std::nullopt, std::nullopt, "note " + std::to_string(Below(5))};
    if (const uint32_t region = Below(4); region < 3) row[1] = kRegions[region];
    if (Below(6) > 0) row[2] = std::to_string(Below(10));
    return row;
  }
  std::string FreeId() {
    std::string id = std::to_string(Below(60));
    while (rows_.contains(id)) id = std::to_string(Below(100'000));
    return id;
  }
  static bool Passes(const Row& row) {
    return row[1] && row[2] && (*row[1] == "eu" || *row[1] == "us") && std::stoi(*row[2]) > 3;
  }

  static uint64_t Tuple(const Row& row, bool key_only, bool without_note, ChangeBatch* batch) {
    std::string bytes;
    TupleBuilder builder(&bytes, 4);
    for (size_t i = 0; i < 4; ++i) {
      if (!row[i] || (key_only && i > 0)) {
        builder.Null();
      } else if (without_note && i == 3) {
        builder.Unchanged();
      } else {
        builder.Text(*row[i]);
      }
    }
    return batch->AddRow(bytes);
  }

  void Add(ChangeBatch* batch) {
    Change change;
    change.seq = static_cast<uint32_t>(batch->changes().size());
    const uint32_t dice = Below(100);
    if (dice < 1) {
      change.kind = ChangeKind::kTruncate;
      rows_.clear();
    } else if (dice < 40 || rows_.empty()) {
      const std::string id = FreeId();
      change.new_row = Tuple(rows_[id] = RandomRow(id), false, false, batch);
    } else {
      const auto it = std::next(rows_.begin(), Below(static_cast<uint32_t>(rows_.size())));
      const Row old = it->second;
      change.old_is_key = !full();
      if (dice < 55) {
        change.kind = ChangeKind::kDelete;
        change.old_row = Tuple(old, !full(), false, batch);
        rows_.erase(it);
      } else {
        Update(old, dice >= 90, &change, batch);
      }
    }
    batch->AddChange(change);
  }

  void Update(const Row& old, bool moves, Change* change, ChangeBatch* batch) {
    change->kind = ChangeKind::kUpdate;
    const std::string id = moves ? FreeId() : *old[0];
    Row row = RandomRow(id);
    const bool keeps_note = Below(2) == 0;
    if (keeps_note) row[3] = old[3];
    rows_.erase(*old[0]);
    rows_[id] = row;
    change->new_row = Tuple(row, false, keeps_note && (full() || Passes(old) || !Passes(row)), batch);
    if (moves || full()) change->old_row = Tuple(old, !full(), false, batch);
  }

  std::mt19937 random_;
  std::shared_ptr<Relation> relation_;
  std::map<std::string, Row> rows_;
  uint64_t lsn_ = 1000;
};

// Writes the batch, which ends with a whole transaction, and commits it.
inline void DeliverBatch(Destination& destination, const ChangeBatch& batch) {
  absl::Status status = destination.Write(batch);
  ASSERT_TRUE(status.ok()) << status;
  const Transaction& last = batch.transactions().back();
  status = destination.Commit({.commit = last.commit, .end = last.end});
  ASSERT_TRUE(status.ok()) << status;
}

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_TEST_RANDOM_CHANGES_H_
