// Assembler: pgoutput messages to ChangeBatches.
//
// Keeps the relations that the stream announced, each an immutable versioned schema, and appends every committed change
// to the batch it is given. One thread. No I/O of its own: types and primary keys that the stream does not tell come
// from the RelationSource.
#ifndef WALLABY_PGOUTPUT_ASSEMBLER_H_
#define WALLABY_PGOUTPUT_ASSEMBLER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/lsn.h"
#include "change/change_batch.h"
#include "pgoutput/messages.h"
#include "pgoutput/schema_watch.h"
#include "pgoutput/skip_rule.h"

namespace wallaby::pgoutput {

// What the stream does not say about a relation.
class RelationSource {
 public:
  virtual ~RelationSource() = default;
  virtual absl::StatusOr<PgType> ResolveType(uint32_t oid, int32_t typmod) = 0;
  // Column names of the primary key, for tables with REPLICA IDENTITY FULL; empty when there is none.
  virtual absl::StatusOr<std::vector<std::string>> PrimaryKey(uint32_t relation_oid) = 0;
};

// Fills the absent columns of an update's new row from somewhere else than its old row (toast_fetch).
class AbsentFiller {
 public:
  virtual ~AbsentFiller() = default;
  // Sees every row that is inserted or updated, absent values and all. `moved`: an update gave the row another key, so
  // that what is known under the new key belongs to another row.
  virtual void Remember(const Relation& relation, std::string_view row, bool moved) = 0;
  // Appends to `out` a tuple like `row` with as many absent columns filled as can be; false when none could.
  virtual absl::StatusOr<bool> Fill(const Relation& relation, std::string_view row, std::string* out) = 0;
};

class Assembler {
 public:
  struct Options {
    bool binary = false;  // the stream was asked for binary values
    // Changes of a table that its snapshot shows already are left out. By oid, under whatever name they come; by name
    // ("schema.name") where that says nothing.
    std::map<uint32_t, SkipRule> skip_below_by_oid;
    std::map<std::string, SkipRule> skip_below;
    // The command that copies a table again, but for " -tables schema.name": for errors.
    std::string backfill_command = "wallaby-worker -mode backfill";
    // The lasting version of a relation that is carried, as transaction `commit` has it. Null: they are counted here.
    std::function<absl::StatusOr<int64_t>(const Relation& relation, Lsn commit)> version;
  };

  // `filler` and `watch` may be null. All must outlive the object.
  Assembler(RelationSource* source, AbsentFiller* filler, SchemaWatch* watch, Options options)
      : source_(source), filler_(filler), watch_(watch), options_(std::move(options)) {}

  // What a message did.
  enum class Outcome {
    kNone,       // nothing to act on
    kChange,     // a change was added
    kCommitted,  // the open transaction ended; `committed()` tells which
    kHeld,       // so did this, and the watch holds it: the batch has nothing of it
  };

  // Adds one message to `batch`. A transaction enters the batch with its first change that is not left out. Errors:
  // DATA_LOSS for malformed bytes; UNIMPLEMENTED "binary" when a relation has a type that is only read as text: the
  // stream must be started again without binary; FAILED_PRECONDITION for changes that cannot be carried.
  absl::StatusOr<Outcome> Add(std::string_view message, ChangeBatch* batch);

  bool in_transaction() const { return in_transaction_; }
  // The open transaction has put changes into a batch.
  bool transaction_has_changes() const { return opened_; }
  // The open transaction, or the one that the last kCommitted or kHeld ended.
  const Transaction& transaction() const { return transaction_; }
  bool committed_had_changes() const { return committed_had_changes_; }
  // It had rows, carried or not.
  bool committed_had_rows() const { return next_seq_ > 0; }

  // The caller cut the open transaction: what follows goes to `next`, as the same transaction.
  void ContinueIn(ChangeBatch* next);

  // Forgets the open transaction (the stream was cut and starts again); relations keep their versions.
  void Reset();

 private:
  struct Known {
    RelationPtr relation;
    const SkipRule* skip = nullptr;  // in options_
    Lsn skip_below;                  // its highest LSN: from there on it says nothing
    int skip_column = -1;            // index of the rule's column; -1: it is no integer key of this shape
    uint32_t batch_index = 0;        // where the relation stood in the batch it was last used in
    int announced_columns = 0;
    RelationEdit edit;  // `carried` has become `relation`
    bool edited = false;
    Lsn touched;  // commit LSN of the last transaction with a row
  };

  // What the snapshots of a table's parts leave of a change.
  enum class Rest { kAll, kNothing, kInsert, kDelete };

  absl::Status OnRelation(std::string_view message);
  absl::Status OnMessage(std::string_view message);
  const SkipRule* SkipRuleOf(const Relation& relation) const;
  absl::StatusOr<std::shared_ptr<Relation>> Announced(std::string_view message) const;
  absl::StatusOr<int64_t> VersionOf(const Known& known, const Relation& relation) const;
  bool HasRows(uint32_t oid) const;
  void EditRow(const Known& known, RowChange* row);
  absl::Status OnRow(ChangeKind kind, std::string_view message, ChangeBatch* batch, bool* added);
  absl::StatusOr<Rest> RestOf(const Known& known, ChangeKind kind, const RowChange& row) const;
  absl::StatusOr<bool> Skips(const Known& known, const TupleView& row) const;
  absl::StatusOr<bool> SkipsTruncate(const Known& known) const;
  absl::Status CheckWhole(const Known& known, const ChangeBatch& batch, uint64_t offset) const;
  absl::Status NeedsBackfill(const Known& known, std::string_view why) const;
  absl::Status OnTruncate(std::string_view message, ChangeBatch* batch, bool* added);
  absl::StatusOr<Known*> Find(uint32_t oid);
  // A change of the relation at the end of the batch, to be filled in.
  Change& Append(Known* known, ChangeBatch* batch);
  absl::Status AddNewRow(const Relation& relation, const RowChange& row, ChangeBatch* batch, uint64_t* offset);

  RelationSource* source_;
  AbsentFiller* filler_;
  SchemaWatch* watch_;
  Options options_;
  absl::flat_hash_map<uint32_t, Known> relations_;
  Known* last_ = nullptr;  // what Find() found last, in relations_,
  uint32_t last_oid_ = 0;  // and under which OID
  bool in_transaction_ = false;
  bool opened_ = false;  // the transaction is in the current batch
  bool held_ = false;    // the watch holds the open transaction
  bool committed_had_changes_ = false;
  Transaction transaction_;
  uint32_t next_seq_ = 0;
  // Rows of an edited relation.
  std::string edited_new_, edited_old_;
  std::vector<Field> edited_fields_;
};

}  // namespace wallaby::pgoutput

#endif  // WALLABY_PGOUTPUT_ASSEMBLER_H_
