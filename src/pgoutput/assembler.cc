#include "pgoutput/assembler.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status.h"
#include "change/tuple.h"
#include "change/value.h"

namespace wallaby::pgoutput {
namespace {

// `row` with its absent columns taken from `old_row`, a whole row.
void FillFromOldRow(std::string_view row, std::string_view old_row, std::string* out) {
  TupleCursor fields(row.data());
  TupleCursor old_fields(old_row.data());
  TupleBuilder builder(out, fields.count());
  for (; !fields.done(); fields.Next(), old_fields.Next()) {
    builder.Add(fields.field().is_absent() ? old_fields.field() : fields.field());
  }
}

// Where the rule's column stands; -1 when this shape of the table does not have it as its integer key.
int SkipColumn(const Relation& relation, const SkipRule& rule) {
  if (relation.key.size() != 1) return -1;
  const Column& column = relation.columns[relation.key[0]];
  const LogicalType type = column.type.logical;
  const bool integer = type == LogicalType::kInt16 || type == LogicalType::kInt32 || type == LogicalType::kInt64;
  return integer && column.name == rule.column ? relation.key[0] : -1;
}

}  // namespace

absl::StatusOr<Assembler::Outcome> Assembler::Add(std::string_view message, ChangeBatch* batch) {
  if (message.empty()) return absl::DataLossError("empty pgoutput message");
  bool added = false;
  const auto type = static_cast<MessageType>(message[0]);
  switch (type) {
    case MessageType::kInsert:
      RETURN_IF_ERROR(OnRow(ChangeKind::kInsert, message, batch, &added));
      break;
    case MessageType::kUpdate:
      RETURN_IF_ERROR(OnRow(ChangeKind::kUpdate, message, batch, &added));
      break;
    case MessageType::kDelete:
      RETURN_IF_ERROR(OnRow(ChangeKind::kDelete, message, batch, &added));
      break;
    case MessageType::kTruncate:
      RETURN_IF_ERROR(OnTruncate(message, batch, &added));
      break;
    case MessageType::kBegin: {
      Begin begin;
      RETURN_IF_ERROR(ParseBegin(message, &begin));
      if (in_transaction_) return absl::DataLossError("pgoutput begin inside a transaction");
      in_transaction_ = true;
      opened_ = false;
      held_ = false;
      next_seq_ = 0;
      // The end is not known yet; the commit LSN stands in for it in batches that are cut before the commit arrives.
      transaction_ = Transaction{begin.commit, begin.commit, begin.commit_time_micros, begin.xid};
      break;
    }
    case MessageType::kCommit: {
      Commit commit;
      RETURN_IF_ERROR(ParseCommit(message, &commit));
      if (!in_transaction_ || commit.commit != transaction_.commit) {
        return absl::DataLossError(
            absl::StrCat("pgoutput commit at ", commit.commit.ToString(), " does not belong to the open transaction"));
      }
      transaction_.end = commit.end;
      if (opened_) batch->last_transaction().end = commit.end;
      committed_had_changes_ = opened_;
      in_transaction_ = false;
      opened_ = false;
      return held_ ? Outcome::kHeld : Outcome::kCommitted;
    }
    case MessageType::kRelation:
      RETURN_IF_ERROR(OnRelation(message));
      break;
    case MessageType::kLogicalMessage:
      RETURN_IF_ERROR(OnMessage(message));
      break;
    case MessageType::kOrigin:
    case MessageType::kType:
      break;
    default:
      return absl::DataLossError(absl::StrCat("pgoutput message of unknown type ", static_cast<int>(message[0])));
  }
  if (held_ && opened_) {
    batch->DropLastTransaction(transaction_.commit);
    opened_ = false;
  }
  return added ? Outcome::kChange : Outcome::kNone;
}

void Assembler::ContinueIn(ChangeBatch* next) {
  if (opened_) next->AddTransaction(transaction_);
}

void Assembler::Reset() {
  in_transaction_ = false;
  opened_ = false;
  held_ = false;
}

absl::StatusOr<std::shared_ptr<Relation>> Assembler::Announced(std::string_view message) const {
  RelationMessage announced;
  RETURN_IF_ERROR(ParseRelation(message, &announced));
  if (!IsReplicaIdentity(announced.identity)) {
    return absl::DataLossError(absl::StrCat("pgoutput announced relation ", announced.oid,
                                            " with a replica identity that does not exist: ", int{announced.identity}));
  }
  auto relation = std::make_shared<Relation>();
  relation->oid = announced.oid;
  relation->schema = announced.schema.empty() ? "pg_catalog" : std::string(announced.schema);
  relation->name = announced.name;
  relation->identity = static_cast<ReplicaIdentity>(announced.identity);
  const bool full = relation->identity == ReplicaIdentity::kFull;
  std::vector<std::string> primary_key;
  if (full) {
    ASSIGN_OR_RETURN(primary_key, source_->PrimaryKey(announced.oid));
  }
  for (const RelationColumn& announced_column : announced.columns) {
    Column column;
    column.name = announced_column.name;
    column.key = announced_column.key;
    ASSIGN_OR_RETURN(column.type, source_->ResolveType(announced_column.type_oid, announced_column.typmod));
    const bool identifies =
        full ? std::find(primary_key.begin(), primary_key.end(), column.name) != primary_key.end() : column.key;
    if (identifies) relation->key.push_back(static_cast<int>(relation->columns.size()));
    relation->columns.push_back(std::move(column));
  }
  // A primary key of which a column is not published cannot identify rows at the destination.
  if (full && relation->key.size() != primary_key.size()) relation->key.clear();
  return relation;
}

const SkipRule* Assembler::SkipRuleOf(const Relation& relation) const {
  const auto by_oid = options_.skip_below_by_oid.find(relation.oid);
  if (by_oid != options_.skip_below_by_oid.end()) return &by_oid->second;
  const auto by_name = options_.skip_below.find(relation.QualifiedName());
  return by_name == options_.skip_below.end() ? nullptr : &by_name->second;
}

absl::Status Assembler::OnRelation(std::string_view message) {
  ASSIGN_OR_RETURN(std::shared_ptr<Relation> relation, Announced(message));
  last_ = nullptr;  // an insertion moves what is there
  Known& known = relations_[relation->oid];
  known.announced_columns = static_cast<int>(relation->columns.size());
  known.edit = {};
  if (watch_ != nullptr) {
    ASSIGN_OR_RETURN(const auto verdict,
                     watch_->OnRelation(
                         transaction_, *relation, [this](uint32_t oid) { return HasRows(oid); }, &known.edit));
    held_ |= verdict == SchemaWatch::Verdict::kHold;
  }
  known.edited = known.edit.carried.has_value();
  if (known.edited) relation = std::make_shared<Relation>(*std::move(known.edit.carried));
  for (const Column& column : relation->columns) {
    if (!options_.binary || column.type.binary || known.edit.ignore || held_) continue;
    return absl::UnimplementedError(absl::StrCat("binary: column ", column.name, " of ", relation->QualifiedName(),
                                                 " has type ", column.type.source_name,
                                                 ", which is read as text only"));
  }
  // What is not carried gets no number: nobody would see it.
  const bool carried = !known.edit.ignore && !held_;
  if (known.relation != nullptr && known.relation->SameShape(*relation) && (known.relation->version > 0 || !carried)) {
    return absl::OkStatus();
  }
  relation->version = 0;
  if (carried) {
    ASSIGN_OR_RETURN(relation->version, VersionOf(known, *relation));
  }
  known.skip = SkipRuleOf(*relation);
  known.skip_below = known.skip == nullptr ? Lsn{} : known.skip->highest();
  known.skip_column = known.skip == nullptr ? -1 : SkipColumn(*relation, *known.skip);
  known.relation = std::move(relation);
  return absl::OkStatus();
}

absl::StatusOr<int64_t> Assembler::VersionOf(const Known& known, const Relation& relation) const {
  if (options_.version) return options_.version(relation, transaction_.commit);
  return known.relation == nullptr ? 1 : known.relation->version + 1;
}

absl::Status Assembler::OnMessage(std::string_view message) {
  if (watch_ == nullptr) return absl::OkStatus();
  LogicalMessage logical;
  RETURN_IF_ERROR(ParseLogicalMessage(message, &logical));
  if (!logical.transactional) return absl::OkStatus();
  if (!in_transaction_) return absl::DataLossError("pgoutput sent a transactional message outside a transaction");
  ASSIGN_OR_RETURN(const auto verdict, watch_->OnMessage(transaction_, logical.prefix, logical.content,
                                                         [this](uint32_t oid) { return HasRows(oid); }));
  held_ |= verdict == SchemaWatch::Verdict::kHold;
  return absl::OkStatus();
}

bool Assembler::HasRows(uint32_t oid) const {
  const auto it = relations_.find(oid);
  return it != relations_.end() && in_transaction_ && it->second.touched == transaction_.commit;
}

// What an edited relation leaves of a row.
void Assembler::EditRow(const Known& known, RowChange* row) {
  const auto edit = [&](TupleView* tuple, std::string* out) {
    std::vector<Field>& fields = edited_fields_;
    fields.clear();
    for (TupleCursor cursor(tuple->bytes.data()); !cursor.done(); cursor.Next()) fields.push_back(cursor.field());
    out->clear();
    tuple->has_absent = false;
    tuple->columns = static_cast<int>(known.edit.columns.size());
    TupleBuilder builder(out, tuple->columns);
    for (const int column : known.edit.columns) {
      tuple->has_absent |= fields[column].is_absent();
      builder.Add(fields[column]);
    }
    tuple->bytes = *out;
  };
  if (row->has_new) edit(&row->new_row, &edited_new_);
  if (row->has_old) edit(&row->old_row, &edited_old_);
}

absl::StatusOr<Assembler::Known*> Assembler::Find(uint32_t oid) {
  if (last_ != nullptr && last_oid_ == oid && in_transaction_) return last_;
  auto it = relations_.find(oid);
  if (it == relations_.end() || it->second.relation == nullptr) {
    return absl::DataLossError(absl::StrCat("pgoutput sent a change of relation ", oid, " before announcing it"));
  }
  if (!in_transaction_) return absl::DataLossError("pgoutput sent a change outside a transaction");
  last_oid_ = oid;
  return last_ = &it->second;
}

Change& Assembler::Append(Known* known, ChangeBatch* batch) {
  if (!opened_) {
    batch->AddTransaction(transaction_);
    opened_ = true;
  }
  const auto& relations = batch->relations();
  if (known->batch_index >= relations.size() || relations[known->batch_index] != known->relation) {
    known->batch_index = batch->AddRelation(known->relation);
  }
  Change& change = batch->AddChange();
  change.relation = known->batch_index;
  change.transaction = static_cast<uint32_t>(batch->transactions().size() - 1);
  return change;
}

absl::Status Assembler::OnRow(ChangeKind kind, std::string_view message, ChangeBatch* batch, bool* added) {
  RowChange row;
  switch (kind) {
    case ChangeKind::kInsert:
      RETURN_IF_ERROR(ParseInsert(message, &row));
      break;
    case ChangeKind::kUpdate:
      RETURN_IF_ERROR(ParseUpdate(message, &row));
      break;
    default:
      RETURN_IF_ERROR(ParseDelete(message, &row));
      break;
  }
  ASSIGN_OR_RETURN(Known * known, Find(row.oid));
  // The ordinal counts every change of the transaction, carried or not, so that it is the same in every replay.
  const uint32_t seq = next_seq_++;
  known->touched = transaction_.commit;
  const Relation& relation = *known->relation;
  const int columns = known->announced_columns;
  if ((row.has_new && row.new_row.columns != columns) || (row.has_old && row.old_row.columns != columns)) {
    return absl::DataLossError(absl::StrCat("a row of ", relation.QualifiedName(), " has ",
                                            row.has_new ? row.new_row.columns : row.old_row.columns,
                                            " columns where its relation message announced ", columns));
  }
  if (held_ || known->edit.ignore) [[unlikely]]
    return absl::OkStatus();
  if (known->edited) [[unlikely]]
    EditRow(*known, &row);
  Rest rest = Rest::kAll;
  if (transaction_.commit < known->skip_below) [[unlikely]] {
    ASSIGN_OR_RETURN(rest, RestOf(*known, kind, row));
    if (rest == Rest::kNothing) return absl::OkStatus();
  }
  const bool takes_new = row.has_new && rest != Rest::kDelete;
  const bool takes_old = row.has_old && rest != Rest::kInsert;
  uint64_t new_row = Change::kNone;
  if (takes_new) RETURN_IF_ERROR(AddNewRow(relation, row, batch, &new_row));
  if (rest == Rest::kInsert) RETURN_IF_ERROR(CheckWhole(*known, *batch, new_row));
  Change& change = Append(known, batch);
  change.kind = rest == Rest::kInsert ? ChangeKind::kInsert : rest == Rest::kDelete ? ChangeKind::kDelete : kind;
  change.seq = seq;
  change.new_row = new_row;
  if (takes_old) {
    change.old_is_key = row.old_is_key;
    change.old_row = batch->AddRow(row.old_row.bytes);
  }
  *added = true;
  return absl::OkStatus();
}

// ---- tables whose snapshot has parts of several LSNs ----

absl::StatusOr<Assembler::Rest> Assembler::RestOf(const Known& known, ChangeKind kind, const RowChange& row) const {
  if (transaction_.commit < known.skip->lowest()) return Rest::kNothing;
  // Without an old row the key is as it was.
  ASSIGN_OR_RETURN(const bool skip_old, Skips(known, row.has_old ? row.old_row : row.new_row));
  if (kind != ChangeKind::kUpdate) return skip_old ? Rest::kNothing : Rest::kAll;
  bool skip_new = skip_old;
  if (row.has_old) {
    ASSIGN_OR_RETURN(skip_new, Skips(known, row.new_row));
  }
  if (skip_old != skip_new) return skip_old ? Rest::kInsert : Rest::kDelete;
  return skip_old ? Rest::kNothing : Rest::kAll;
}

absl::StatusOr<bool> Assembler::Skips(const Known& known, const TupleView& row) const {
  if (known.skip_column < 0) {
    return NeedsBackfill(known, absl::StrCat("its key was not ", known.skip->column, " all the while, or no integer"));
  }
  TupleCursor fields(row.bytes.data());
  while (fields.index() < known.skip_column) fields.Next();
  const Field& field = fields.field();
  if (field.is_null() || field.is_absent()) {
    return absl::DataLossError(
        absl::StrCat("a row of ", known.relation->QualifiedName(), " came without its key ", known.skip->column));
  }
  int64_t key = 0;
  RETURN_IF_ERROR(ReadInt(field, &key));
  return known.skip->Skips(key, transaction_.commit);
}

absl::StatusOr<bool> Assembler::SkipsTruncate(const Known& known) const {
  if (transaction_.commit >= known.skip_below) return false;
  if (transaction_.commit < known.skip->lowest()) return true;
  return NeedsBackfill(known, "a TRUNCATE came between the snapshots of its parts");
}

// An inserted row without some of its values would be a wrong row.
absl::Status Assembler::CheckWhole(const Known& known, const ChangeBatch& batch, uint64_t offset) const {
  for (TupleCursor fields(batch.tuple(offset)); !fields.done(); fields.Next()) {
    if (!fields.field().is_absent()) continue;
    return NeedsBackfill(known, absl::StrCat("an update moved a row from one part to another without sending the "
                                             "unchanged large value of column ",
                                             known.relation->columns[fields.index()].name));
  }
  return absl::OkStatus();
}

absl::Status Assembler::NeedsBackfill(const Known& known, std::string_view why) const {
  const std::string table = known.relation->QualifiedName();
  return absl::FailedPreconditionError(
      absl::StrCat("table ", table, ": its snapshot was interrupted and went on under a later one, and ", why, " (at ",
                   transaction_.commit.ToString(), "); to copy the table again, run: ", options_.backfill_command,
                   " -tables ", table));
}

absl::Status Assembler::AddNewRow(const Relation& relation, const RowChange& row, ChangeBatch* batch,
                                  uint64_t* offset) {
  if (filler_ != nullptr) [[unlikely]] {
    filler_->Remember(relation, row.new_row.bytes, /*moved=*/row.has_old && row.old_is_key);
  }
  *offset = batch->arena()->size();
  if (row.new_row.has_absent) [[unlikely]] {
    // With identity full the old row carries the value itself.
    if (row.has_old && !row.old_is_key) {
      FillFromOldRow(row.new_row.bytes, row.old_row.bytes, batch->arena());
      return absl::OkStatus();
    }
    if (filler_ != nullptr) {
      ASSIGN_OR_RETURN(const bool some, filler_->Fill(relation, row.new_row.bytes, batch->arena()));
      if (some) return absl::OkStatus();
      batch->arena()->resize(*offset);
    }
  }
  batch->AddRow(row.new_row.bytes);
  return absl::OkStatus();
}

absl::Status Assembler::OnTruncate(std::string_view message, ChangeBatch* batch, bool* added) {
  Truncate truncate;
  RETURN_IF_ERROR(ParseTruncate(message, &truncate));
  for (const uint32_t oid : truncate.oids) {
    ASSIGN_OR_RETURN(Known * known, Find(oid));
    const uint32_t seq = next_seq_++;
    if (held_ || known->edit.ignore) continue;
    ASSIGN_OR_RETURN(const bool skip, SkipsTruncate(*known));
    if (skip) continue;
    Change& change = Append(known, batch);
    change.kind = ChangeKind::kTruncate;
    change.seq = seq;
    *added = true;
  }
  return absl::OkStatus();
}

}  // namespace wallaby::pgoutput
