#include "mapping/batch_mapper.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status.h"
#include "change/value.h"

namespace wallaby {
namespace {

using Action = MappedColumn::Action;

// From 1970-01-01, where commit times begin, to 2000-01-01, where PostgreSQL's binary timestamps do.
constexpr int64_t kEpochMicros = 946'684'800'000'000;

void AppendLength(uint32_t length, std::string* out) {
  const uint32_t swapped = __builtin_bswap32(length);
  out->append(reinterpret_cast<const char*>(&swapped), sizeof(swapped));
}

template <typename Integer>
void AppendInteger(int64_t value, std::string* out) {
  char bytes[sizeof(Integer)];
  for (size_t i = sizeof(bytes); i > 0; --i, value >>= 8) bytes[i - 1] = static_cast<char>(value);
  out->append(bytes, sizeof(bytes));
}

}  // namespace

absl::Status BatchMapper::Map(const ChangeBatch& in, const std::vector<const TableMapping*>& tables, ChangeBatch* out) {
  WALLABY_CHECK(tables.size() == in.relations().size(), "every relation has its mapping");
  out->Clear();
  out->ReserveLike(in);
  out->set_continues(in.continues());
  out->set_snapshot_part(in.snapshot_part());
  for (const Transaction& transaction : in.transactions()) out->AddTransaction(transaction);
  in_ = &in;
  out_ = out;
  uint32_t last = ~uint32_t{0};
  for (const Change& change : in.changes()) {
    const TableMapping& table = *tables[change.relation];
    if (table.target == nullptr) continue;
    if (change.relation != last) {
      relation_ = out->AddRelation(table.target);
      last = change.relation;
    }
    const absl::Status status = MapChange(change, table);
    if (!status.ok()) return Explain(change, table, status);
  }
  return absl::OkStatus();
}

absl::Status BatchMapper::Explain(const Change& change, const TableMapping& table, const absl::Status& status) const {
  return Annotate(status, absl::StrCat("mapping of table ", table.source->QualifiedName(), ", change at ",
                                       in_->position(change).ToString()));
}

// ---- changes ----

absl::Status BatchMapper::MapChange(const Change& change, const TableMapping& table) {
  if (in_->has_new(change)) new_.Parse(in_->tuple(change.new_row));
  if (in_->has_old(change)) old_.Parse(in_->tuple(change.old_row));
  switch (change.kind) {
    case ChangeKind::kInsert:
    case ChangeKind::kRead: {
      ASSIGN_OR_RETURN(const bool matches, Matches(table, new_, nullptr));
      return matches ? AddInsert(change, table, change.kind, nullptr) : absl::OkStatus();
    }
    case ChangeKind::kUpdate:
      return MapUpdate(change, table);
    case ChangeKind::kDelete:
      return MapDelete(change, table);
    case ChangeKind::kTruncate:
      return MapTruncate(change, table);
  }
  return absl::OkStatus();
}

absl::Status BatchMapper::MapUpdate(const Change& change, const TableMapping& table) {
  if (!table.filter) return AddUpdate(change, table);
  const bool has_old = in_->has_old(change);
  // What an old row of key columns only has in the others is null, and means nothing.
  const bool old_counts = has_old && (!change.old_is_key || table.filter_knows_old);
  ASSIGN_OR_RETURN(const bool now, Matches(table, new_, old_counts ? &old_ : nullptr));
  if (!table.filter_knows_old) return now ? AddUpdate(change, table) : AddDelete(change, table);
  bool before = now;  // without an old row, the identity's columns are what they were
  if (has_old) {
    ASSIGN_OR_RETURN(before, Matches(table, old_, nullptr));
  }
  if (before && now) return AddUpdate(change, table);
  if (before) return AddDelete(change, table);
  if (!now) return absl::OkStatus();
  return AddInsert(change, table, ChangeKind::kInsert, has_old && !change.old_is_key ? &old_ : nullptr);
}

absl::Status BatchMapper::MapDelete(const Change& change, const TableMapping& table) {
  if (table.filter && table.filter_knows_old) {
    if (!in_->has_old(change)) return absl::FailedPreconditionError("a delete came without the row's identity");
    ASSIGN_OR_RETURN(const bool before, Matches(table, old_, nullptr));
    if (!before) return absl::OkStatus();
  }
  return AddDelete(change, table);
}

absl::Status BatchMapper::MapTruncate(const Change& change, const TableMapping& table) {
  if (table.on_truncate == OnTruncate::kIgnore) return absl::OkStatus();
  if (table.soft_delete && table.on_truncate == OnTruncate::kUnset) {
    return absl::FailedPreconditionError(
        "the table was truncated at the source, and soft_delete keeps deleted rows; say in the mapping what shall "
        "happen, truncate: empty (the destination's rows go, those marked as deleted too) or truncate: ignore (all "
        "stay as they are)");
  }
  AddLike(change, ChangeKind::kTruncate);
  return absl::OkStatus();
}

absl::StatusOr<bool> BatchMapper::Matches(const TableMapping& table, const TupleFields& row,
                                          const TupleFields* fallback) const {
  if (!table.filter) return true;
  Truth truth;
  RETURN_IF_ERROR(table.filter->Evaluate(row, fallback, &truth));
  if (truth != Truth::kAbsent) return truth == Truth::kTrue;
  const int column = table.filter->FirstAbsent(row, fallback);
  return absl::FailedPreconditionError(
      absl::StrCat("the row filter looks at column ", table.source->columns[column].name,
                   ", whose unchanged TOASTed value was not sent; set toast_fetch=source, or ALTER TABLE ",
                   table.source->QualifiedName(), " REPLICA IDENTITY FULL"));
}

Change& BatchMapper::AddLike(const Change& change, ChangeKind kind) {
  Change& added = out_->AddChange();
  added.kind = kind;
  added.relation = relation_;
  added.transaction = change.transaction;
  added.seq = change.seq;
  return added;
}

absl::Status BatchMapper::AddInsert(const Change& change, const TableMapping& table, ChangeKind kind,
                                    const TupleFields* fallback) {
  ASSIGN_OR_RETURN(const uint64_t row, WriteRow(change, table, new_, fallback, Part::kNew, kind));
  AddLike(change, kind).new_row = row;
  return absl::OkStatus();
}

absl::Status BatchMapper::AddUpdate(const Change& change, const TableMapping& table) {
  uint64_t old_row = Change::kNone;
  if (in_->has_old(change)) {
    ASSIGN_OR_RETURN(old_row, WriteRow(change, table, old_, nullptr, change.old_is_key ? Part::kKey : Part::kOld,
                                       ChangeKind::kUpdate));
  }
  ASSIGN_OR_RETURN(const uint64_t new_row, WriteRow(change, table, new_, nullptr, Part::kNew, ChangeKind::kUpdate));
  Change& added = AddLike(change, ChangeKind::kUpdate);
  added.old_is_key = change.old_is_key;
  added.new_row = new_row;
  added.old_row = old_row;
  return absl::OkStatus();
}

absl::Status BatchMapper::AddDelete(const Change& change, const TableMapping& table) {
  const bool has_old = in_->has_old(change);
  const TupleFields& row = has_old ? old_ : new_;
  if (table.soft_delete) {
    ASSIGN_OR_RETURN(const uint64_t new_row,
                     WriteRow(change, table, row, nullptr, Part::kDeleted, ChangeKind::kDelete));
    AddLike(change, ChangeKind::kUpdate).new_row = new_row;
    return absl::OkStatus();
  }
  const bool key_only = !has_old || change.old_is_key;
  ASSIGN_OR_RETURN(const uint64_t old_row,
                   WriteRow(change, table, row, nullptr, key_only ? Part::kKey : Part::kOld, ChangeKind::kDelete));
  Change& added = AddLike(change, ChangeKind::kDelete);
  added.old_is_key = key_only;
  added.old_row = old_row;
  return absl::OkStatus();
}

// ---- rows ----

absl::StatusOr<uint64_t> BatchMapper::WriteRow(const Change& change, const TableMapping& table, const TupleFields& row,
                                               const TupleFields* fallback, Part part, ChangeKind kind) {
  if (row.count() != static_cast<int>(table.source->columns.size())) {
    return absl::InternalError(
        absl::StrCat("the row has ", row.count(), " columns, the relation ", table.source->columns.size()));
  }
  const bool whole = part == Part::kNew || part == Part::kOld;
  if (table.same_rows && whole && fallback == nullptr) return out_->AddRow(row.tuple());
  std::string* out = out_->arena();
  const uint64_t offset = out->size();
  const size_t count = table.columns.size();
  TupleBuilder header(out, static_cast<int>(count));
  for (size_t i = 0; i < count; ++i) {
    const MappedColumn& column = table.columns[i];
    if (column.source < 0) {
      if (part == Part::kNew || part == Part::kDeleted) {
        WriteOwn(column, in_->transaction(change), change.seq, kind);
      } else {
        header.Null();
      }
      continue;
    }
    if (!whole && !column.key) {
      part == Part::kDeleted ? header.Unchanged() : header.Null();
      continue;
    }
    if (column.action == Action::kCopy && fallback == nullptr) {
      // Columns that are copied mostly stand side by side.
      size_t last = i;
      while (whole && last + 1 < count && table.columns[last + 1].action == Action::kCopy &&
             table.columns[last + 1].source == table.columns[last].source + 1) {
        ++last;
      }
      out->append(row.raw(column.source, table.columns[last].source));
      i = last;
      continue;
    }
    Field value = row[column.source];
    if (value.is_absent() && fallback != nullptr) value = (*fallback)[column.source];
    const Column& source = table.source->columns[column.source];
    RETURN_IF_ERROR(WriteColumn(column, source, table.target->columns[i].type, value));
  }
  return offset;
}

absl::Status BatchMapper::WriteColumn(const MappedColumn& column, const Column& source, const PgType& target,
                                      const Field& value) {
  std::string* out = out_->arena();
  if (column.action == Action::kRedact) {
    WriteText(FieldKind::kBinary, column.constant);
    return absl::OkStatus();
  }
  if (column.action == Action::kNull || value.is_null()) {
    out->push_back('n');
    return absl::OkStatus();
  }
  if (value.is_absent()) {
    out->push_back('u');
    return absl::OkStatus();
  }
  if (column.action == Action::kCopy) {
    WriteText(value.kind, value.bytes);
    return absl::OkStatus();
  }
  const absl::Status status = WriteConverted(column, source, target, value);
  if (status.ok()) return status;
  // Without its text, which may quote the value.
  return absl::FailedPreconditionError(absl::StrCat("column ", source.name, ": a value of type ",
                                                    source.type.source_name, " does not fit ", target.sql_name,
                                                    "; give the column a wider type in the mapping, or text"));
}

absl::Status BatchMapper::WriteConverted(const MappedColumn& column, const Column& source, const PgType& target,
                                         const Field& value) {
  std::string_view text = value.bytes;
  if (column.action == Action::kInteger) {
    int64_t integer = 0;
    RETURN_IF_ERROR(ReadInt(value, &integer));
    if (value.kind == FieldKind::kText) {
      WriteText(value.kind, text);
      return absl::OkStatus();
    }
    const uint32_t size = target.logical == LogicalType::kInt64 ? 8 : 4;
    out_->arena()->push_back('b');
    AppendLength(size, out_->arena());
    size == 8 ? AppendInteger<int64_t>(integer, out_->arena()) : AppendInteger<int32_t>(integer, out_->arena());
    return absl::OkStatus();
  }
  const bool is_number = source.type.oid == target.oid;  // a numeric stays in the form it came in
  if (value.kind == FieldKind::kBinary && !(column.action == Action::kDecimal && is_number)) {
    scratch_.clear();
    RETURN_IF_ERROR(AppendText(value, source.type, &scratch_));
    text = scratch_;
  }
  if (column.action == Action::kHash) {
    out_->arena()->push_back(static_cast<char>(value.kind));
    AppendLength(KeyedHash::kHexSize, out_->arena());
    hash_->AppendHex(text, out_->arena());
    return absl::OkStatus();
  }
  if (column.action == Action::kText) {
    WriteText(value.kind, text);
    return absl::OkStatus();
  }
  const Field number{is_number ? value.kind : FieldKind::kText, text};
  absl::int128 unused;
  RETURN_IF_ERROR(ReadDecimal(number, target, &unused));
  WriteText(number.kind, number.bytes);
  return absl::OkStatus();
}

void BatchMapper::WriteOwn(const MappedColumn& column, const Transaction& transaction, uint32_t seq, ChangeKind kind) {
  const bool deleted = kind == ChangeKind::kDelete;
  const int64_t time = transaction.commit_time_micros - kEpochMicros;
  switch (column.action) {
    case Action::kDeleted:
      WriteText(FieldKind::kBinary, deleted ? std::string_view("\1", 1) : std::string_view("\0", 1));
      return;
    case Action::kDeletedAt:
      deleted ? WriteInteger(time) : out_->arena()->push_back('n');
      return;
    default:
      break;
  }
  switch (column.metadata) {
    case Metadata::kOp: {
      const char op = static_cast<char>(kind);
      WriteText(FieldKind::kBinary, {&op, 1});
      return;
    }
    case Metadata::kLsn:
      WriteInteger(static_cast<int64_t>(transaction.commit.value));
      return;
    case Metadata::kSeq:
      WriteInteger(seq);
      return;
    case Metadata::kCommitTime:
      WriteInteger(time);
      return;
    case Metadata::kSchema:
    case Metadata::kTable:
      WriteText(FieldKind::kBinary, column.constant);
      return;
  }
}

void BatchMapper::WriteText(FieldKind kind, std::string_view text) {
  out_->arena()->push_back(static_cast<char>(kind));
  AppendLength(static_cast<uint32_t>(text.size()), out_->arena());
  out_->arena()->append(text);
}

void BatchMapper::WriteInteger(int64_t value) {
  out_->arena()->push_back('b');
  AppendLength(sizeof(value), out_->arena());
  AppendInteger<int64_t>(value, out_->arena());
}

}  // namespace wallaby
