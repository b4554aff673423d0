#include "destination/collapse.h"

#include <deque>
#include <memory>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status.h"

namespace wallaby {
namespace {

constexpr uint32_t kNoVersion = ~uint32_t{0};

// Where each field of a tuple starts, as its kind byte; one more for the end.
class FieldStarts {
 public:
  void Parse(const char* tuple) {
    const int count = ReadBigEndian16(tuple);
    starts_.resize(static_cast<size_t>(count) + 1);
    has_absent_ = false;
    const char* p = tuple + 2;
    for (int i = 0; i < count; ++i) {
      starts_[i] = p;
      if (*p == 't' || *p == 'b') {
        p += 5 + ReadBigEndian32(p + 1);
      } else {
        has_absent_ |= *p == 'u';
        ++p;
      }
    }
    starts_[count] = p;
  }
  int count() const { return static_cast<int>(starts_.size()) - 1; }
  bool has_absent() const { return has_absent_; }
  bool is_absent(int column) const { return *starts_[column] == 'u'; }
  // The field's kind byte, length and bytes, as they stand in the tuple.
  std::string_view raw(int column) const {
    return {starts_[column], static_cast<size_t>(starts_[column + 1] - starts_[column])};
  }
  // Those of the columns first..last, which stand side by side.
  std::string_view raw(int first, int last) const {
    return {starts_[first], static_cast<size_t>(starts_[last + 1] - starts_[first])};
  }

 private:
  std::vector<const char*> starts_;
  bool has_absent_ = false;
};

// A state of a row. Absent columns of the newest are looked up in those before it, only once the batch's last state of
// the row is known: so that a large value is put into a new tuple once, not with every update of its row.
struct RowVersion {
  const char* row;
  uint32_t older;      // kNoVersion: none in this batch
  bool key_only;       // only the key's columns of `row` count
  const char* origin;  // with no older version and absent columns: the key at the destination
};

struct RowState {
  uint32_t version = kNoVersion;  // kNoVersion: deleted
  const char* deleted = nullptr;  // tuple with the key
  bool is_new = false;            // the destination has no row with this key

  bool untouched() const { return version == kNoVersion && deleted == nullptr; }
  void Set(uint32_t to) {
    version = to;
    deleted = nullptr;
  }
  void Delete(const char* key) {
    version = kNoVersion;
    deleted = key;
  }
};

// What a batch does to one table while the shape of the table stays the same.
class TableCollapser {
 public:
  TableCollapser(const ChangeBatch& batch, RelationPtr relation, bool only_adds)
      : batch_(batch), relation_(std::move(relation)), only_adds_(only_adds) {
    const std::vector<int>& key = relation_->key;
    adjacent_key_ = !key.empty();
    for (size_t i = 1; i < key.size(); ++i) adjacent_key_ &= key[i] == key[i - 1] + 1;
  }

  const RelationPtr& relation() const { return relation_; }

  absl::Status Add(const Change& change) {
    only_reads_ &= change.kind == ChangeKind::kRead;
    if (change.kind == ChangeKind::kTruncate) {
      Truncate();
      return absl::OkStatus();
    }
    return relation_->has_key() ? AddKeyed(change) : AddKeyless(change);
  }

  CollapsedTable Finish() {
    CollapsedTable out;
    out.relation = relation_;
    out.truncate = truncate_;
    out.only_reads = only_reads_;
    FinishKeyed(&out);
    FinishKeyless(&out);
    return out;
  }

 private:
  absl::Status Refuse(const Change& change, std::string_view what, std::string_view remedy) const {
    return absl::FailedPreconditionError(absl::StrCat("table ", relation_->QualifiedName(), ", change at ",
                                                      batch_.position(change).ToString(), ": ", what, "; ", remedy));
  }

  absl::Status RefuseAbsent(const Change& change) const {
    return Refuse(
        change, "an unchanged TOASTed value was not sent and no earlier state of the row holds it",
        absl::StrCat("set toast_fetch=source, or ALTER TABLE ", relation_->QualifiedName(), " REPLICA IDENTITY FULL"));
  }

  absl::Status RefuseNoIdentity(const Change& change) const {
    const std::string table = relation_->QualifiedName();
    const bool has_identity =
        relation_->identity == ReplicaIdentity::kDefault || relation_->identity == ReplicaIdentity::kIndex;
    if (relation_->has_key() || !has_identity) {
      return Refuse(change, "an update or delete came without what identifies its row",
                    absl::StrCat("add a primary key, or ALTER TABLE ", table, " REPLICA IDENTITY FULL"));
    }
    // Without any identity the source would have refused the statement.
    return Refuse(change,
                  "an update or delete came without what identifies its row: the key that the table has at the source "
                  "is not in the publication, because its columns are generated (before PostgreSQL 18 those are never "
                  "sent) or left out by a column list",
                  absl::StrCat("wallaby-admin doctor, check replica_identity, prints the statement that makes later "
                               "changes whole, such as ALTER TABLE ",
                               table, " REPLICA IDENTITY FULL; run it, then copy the table again with -mode backfill ",
                               "-tables ", table));
  }

  absl::Status CheckWidth(const FieldStarts& fields, const Change& change) const {
    if (fields.count() == static_cast<int>(relation_->columns.size())) return absl::OkStatus();
    return absl::InternalError(absl::StrCat("table ", relation_->QualifiedName(), ", change at ",
                                            batch_.position(change).ToString(), ": the row has ", fields.count(),
                                            " columns, the relation ", relation_->columns.size()));
  }

  void Truncate() {
    truncate_ = true;
    states_.clear();
    by_key_.clear();
    versions_.clear();
    deltas_.clear();
    by_row_.clear();
  }

  // ---- tables with a key ----

  // The key's bytes. Columns that are absent come from `fallback`, which may be null; false when they are nowhere.
  bool KeyOf(const FieldStarts& fields, const FieldStarts* fallback, std::string_view* key) {
    const std::vector<int>& columns = relation_->key;
    bool complete = true;
    for (int column : columns) complete &= !fields.is_absent(column);
    if (complete && adjacent_key_) {
      *key = fields.raw(columns.front(), columns.back());
      return true;
    }
    built_key_.clear();
    for (int column : columns) {
      const FieldStarts* from = fields.is_absent(column) ? fallback : &fields;
      if (from == nullptr || from->is_absent(column)) return false;
      built_key_.append(from->raw(column));
    }
    *key = Keep(built_key_);
    return true;
  }

  // A copy of a key that lives as long as this object.
  std::string_view Keep(const std::string& bytes) {
    constexpr size_t kChunk = 64 << 10;
    if (chunks_.empty() || chunks_.back().capacity() - chunks_.back().size() < bytes.size()) {
      chunks_.emplace_back();
      chunks_.back().reserve(std::max(kChunk, bytes.size()));
    }
    std::string& chunk = chunks_.back();
    const size_t at = chunk.size();
    chunk.append(bytes);
    return {chunk.data() + at, bytes.size()};
  }

  RowState& StateOf(std::string_view key) {
    auto [it, added] = by_key_.try_emplace(key, static_cast<uint32_t>(states_.size()));
    if (added) states_.emplace_back();
    return states_[it->second];
  }

  uint32_t AddVersion(const char* row, uint32_t older, bool key_only, const char* origin) {
    versions_.push_back({row, older, key_only, origin});
    return static_cast<uint32_t>(versions_.size() - 1);
  }

  absl::Status AddKeyed(const Change& change) {
    switch (change.kind) {
      case ChangeKind::kInsert:
      case ChangeKind::kRead:
        return Insert(change);
      case ChangeKind::kUpdate:
        return Update(change);
      case ChangeKind::kDelete:
        return Delete(change);
      case ChangeKind::kTruncate:
        break;
    }
    return absl::OkStatus();
  }

  const char* NewTuple(const Change& change) const { return batch_.tuple(change.new_row); }
  const char* OldTuple(const Change& change) const { return batch_.tuple(change.old_row); }

  absl::Status Insert(const Change& change) {
    WALLABY_CHECK(batch_.has_new(change), "an insert has a new row");
    const char* row = NewTuple(change);
    new_.Parse(row);
    RETURN_IF_ERROR(CheckWidth(new_, change));
    // An update that brings a row into the publication's row filter comes as an insert, perhaps without such a value.
    if (new_.has_absent()) return RefuseAbsent(change);
    if (only_adds_) {  // the source's key is unique, so no two of these can meet
      states_.push_back({AddVersion(row, kNoVersion, false, nullptr), nullptr, /*is_new=*/true});
      return absl::OkStatus();
    }
    std::string_view key;
    WALLABY_CHECK(KeyOf(new_, nullptr, &key), "a full row holds its key");
    RowState& state = StateOf(key);
    state.is_new |= state.untouched();
    state.Set(AddVersion(row, kNoVersion, false, nullptr));
    return absl::OkStatus();
  }

  absl::Status Delete(const Change& change) {
    if (!batch_.has_old(change)) return RefuseNoIdentity(change);
    old_.Parse(OldTuple(change));
    RETURN_IF_ERROR(CheckWidth(old_, change));
    std::string_view key;
    if (!KeyOf(old_, nullptr, &key)) return RefuseNoIdentity(change);
    StateOf(key).Delete(OldTuple(change));
    return absl::OkStatus();
  }

  absl::Status Update(const Change& change) {
    WALLABY_CHECK(batch_.has_new(change), "an update has a new row");
    const char* row = NewTuple(change);
    const bool has_old = batch_.has_old(change);
    new_.Parse(row);
    RETURN_IF_ERROR(CheckWidth(new_, change));
    std::string_view key, old_key;
    if (has_old) {
      old_.Parse(OldTuple(change));
      RETURN_IF_ERROR(CheckWidth(old_, change));
      if (!KeyOf(old_, nullptr, &old_key)) return RefuseNoIdentity(change);
    }
    if (!KeyOf(new_, has_old ? &old_ : nullptr, &key)) return RefuseNoIdentity(change);
    if (!has_old) old_key = key;

    uint32_t version = kNoVersion;
    if (!new_.has_absent()) {
      version = AddVersion(row, kNoVersion, false, nullptr);
    } else if (has_old && !change.old_is_key && !old_.has_absent()) {
      version = AddVersion(row, AddVersion(OldTuple(change), kNoVersion, false, nullptr), false, nullptr);
    } else {
      const auto pending = by_key_.find(old_key);
      const char* identity = has_old ? OldTuple(change) : row;
      uint32_t older = kNoVersion;
      if (pending != by_key_.end()) {
        older = states_[pending->second].version;
        if (older == kNoVersion) return RefuseAbsent(change);
      } else if (truncate_) {
        return RefuseAbsent(change);
      }
      // A key column itself may be absent; then the old row holds it.
      if (has_old) older = AddVersion(identity, older, true, older == kNoVersion ? identity : nullptr);
      version = AddVersion(row, older, false, older == kNoVersion ? identity : nullptr);
    }
    if (key != old_key) StateOf(old_key).Delete(OldTuple(change));
    StateOf(key).Set(version);
    return absl::OkStatus();
  }

  void FinishKeyed(CollapsedTable* out) {
    out->rows.resize(states_.size());
    std::vector<std::pair<size_t, size_t>> built;  // row, offset in scratch
    for (size_t i = 0; i < states_.size(); ++i) {
      CollapsedRow& row = out->rows[i];
      const RowState& state = states_[i];
      if (state.version == kNoVersion) {
        row.row = state.deleted;
        row.is_delete = true;
        continue;
      }
      const RowVersion& newest = versions_[state.version];
      row.row = newest.row;
      if (newest.older != kNoVersion) {
        built.emplace_back(i, out->scratch.size());
        row.origin = Assemble(newest, &out->scratch);
      } else {
        row.origin = newest.origin;
      }
      out->has_absent |= row.origin != nullptr;
      // A row that has moved to the key of one that came and went may bring values that were not sent.
      row.is_new = state.is_new && row.origin == nullptr;
    }
    // A string this short would be held inside the object and move with it.
    if (!built.empty()) out->scratch.reserve(64);
    for (const auto& [i, offset] : built) out->rows[i].row = out->scratch.data() + offset;
  }

  // Appends the tuple that has each column from the newest version that holds it. Returns the origin when a column is
  // in none, else null.
  const char* Assemble(const RowVersion& newest, std::string* scratch) {
    const int count = static_cast<int>(relation_->columns.size());
    new_.Parse(newest.row);
    std::vector<std::string_view>& fields = assembled_;
    fields.resize(count);
    int missing = 0;
    for (int i = 0; i < count; ++i) {
      fields[i] = new_.raw(i);
      missing += new_.is_absent(i);
    }
    const RowVersion* version = &newest;
    while (missing > 0 && version->older != kNoVersion) {
      version = &versions_[version->older];
      old_.Parse(version->row);
      for (int i = 0; i < count; ++i) {
        if (fields[i].front() != 'u' || old_.is_absent(i)) continue;
        if (version->key_only && !IsKey(i)) continue;
        fields[i] = old_.raw(i);
        --missing;
      }
    }
    TupleBuilder header(scratch, count);
    for (std::string_view field : fields) scratch->append(field);
    WALLABY_CHECK(missing == 0 || version->origin != nullptr, "an absent value has an origin");
    return missing == 0 ? nullptr : version->origin;
  }

  bool IsKey(int column) const {
    for (int key : relation_->key) {
      if (key == column) return true;
    }
    return false;
  }

  // ---- tables without a key ----

  absl::Status AddKeyless(const Change& change) {
    if (change.kind == ChangeKind::kUpdate || change.kind == ChangeKind::kDelete) {
      if (!batch_.has_old(change) || change.old_is_key) return RefuseNoIdentity(change);
      old_.Parse(OldTuple(change));
      RETURN_IF_ERROR(CheckWidth(old_, change));
      if (old_.has_absent()) return RefuseAbsent(change);
      Count(OldTuple(change), old_, -1);
      if (change.kind == ChangeKind::kDelete) return absl::OkStatus();
    }
    WALLABY_CHECK(batch_.has_new(change), "an insert or update has a new row");
    new_.Parse(NewTuple(change));
    RETURN_IF_ERROR(CheckWidth(new_, change));
    if (!new_.has_absent()) {
      Count(NewTuple(change), new_, 1);
      return absl::OkStatus();
    }
    if (change.kind != ChangeKind::kUpdate) return RefuseAbsent(change);
    filled_.emplace_back();
    TupleBuilder header(&filled_.back(), new_.count());
    for (int i = 0; i < new_.count(); ++i) {
      filled_.back().append(new_.is_absent(i) ? old_.raw(i) : new_.raw(i));
    }
    new_.Parse(filled_.back().data());
    Count(filled_.back().data(), new_, 1);
    return absl::OkStatus();
  }

  void Count(const char* row, const FieldStarts& fields, int64_t copies) {
    if (only_adds_) {
      deltas_.push_back({row, copies});
      return;
    }
    const std::string_view bytes = fields.count() == 0 ? std::string_view() : fields.raw(0, fields.count() - 1);
    auto [it, added] = by_row_.try_emplace(bytes, static_cast<uint32_t>(deltas_.size()));
    if (added) deltas_.push_back({row, 0});
    deltas_[it->second].copies += copies;
  }

  void FinishKeyless(CollapsedTable* out) {
    size_t filled_bytes = 64;
    for (const std::string& row : filled_) filled_bytes += row.size();
    if (!filled_.empty()) out->scratch.reserve(filled_bytes);
    absl::flat_hash_map<const char*, size_t> moved;
    for (const std::string& row : filled_) {
      moved[row.data()] = out->scratch.size();
      out->scratch.append(row);
    }
    for (const RowDelta& delta : deltas_) {
      if (delta.copies == 0) continue;
      out->deltas.push_back(delta);
      if (auto it = moved.find(delta.row); it != moved.end()) out->deltas.back().row = out->scratch.data() + it->second;
    }
  }

  const ChangeBatch& batch_;
  const RelationPtr relation_;
  const bool only_adds_;
  bool adjacent_key_;
  bool only_reads_ = true;
  bool truncate_ = false;
  // Kept for their memory.
  FieldStarts new_, old_;
  std::string built_key_;
  std::vector<std::string_view> assembled_;

  std::vector<RowState> states_;
  std::vector<RowVersion> versions_;
  absl::flat_hash_map<std::string_view, uint32_t> by_key_;
  std::deque<std::string> chunks_;

  std::vector<RowDelta> deltas_;
  absl::flat_hash_map<std::string_view, uint32_t> by_row_;
  std::deque<std::string> filled_;
};

// For each relation of the batch: whether every change to its table adds a row. Tables are told apart by OID.
std::vector<bool> OnlyAdds(const ChangeBatch& batch) {
  absl::flat_hash_map<uint32_t, bool> tables;
  std::vector<bool> other(batch.relations().size(), false);
  for (const Change& change : batch.changes()) {
    if (change.kind != ChangeKind::kInsert && change.kind != ChangeKind::kRead) other[change.relation] = true;
  }
  for (size_t i = 0; i < other.size(); ++i) tables[batch.relations()[i]->oid] |= other[i];
  std::vector<bool> only(other.size());
  for (size_t i = 0; i < other.size(); ++i) only[i] = !tables[batch.relations()[i]->oid];
  return only;
}

}  // namespace

absl::StatusOr<std::vector<CollapsedTable>> Collapse(const ChangeBatch& batch) {
  const std::vector<bool> only_adds = OnlyAdds(batch);
  std::vector<std::unique_ptr<TableCollapser>> tables;
  absl::flat_hash_map<uint32_t, TableCollapser*> current;  // by OID
  TableCollapser* table = nullptr;
  uint32_t last_relation = 0;
  for (const Change& change : batch.changes()) {
    if (table == nullptr || change.relation != last_relation) {
      const RelationPtr& relation = batch.relations()[change.relation];
      TableCollapser*& slot = current[relation->oid];
      if (slot == nullptr || (slot->relation() != relation && !slot->relation()->SameShape(*relation))) {
        tables.push_back(std::make_unique<TableCollapser>(batch, relation, only_adds[change.relation]));
        slot = tables.back().get();
      }
      table = slot;
      last_relation = change.relation;
    }
    RETURN_IF_ERROR(table->Add(change));
  }
  std::vector<CollapsedTable> out;
  out.reserve(tables.size());
  for (const auto& t : tables) out.push_back(t->Finish());
  return out;
}

}  // namespace wallaby
