#include "codec/record_rows.h"

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status.h"
#include "change/append_rows.h"

namespace wallaby {

ChangeRecords::ChangeRecords(const ChangeBatch& batch, const Change& change) {
  RecordRows& record = records_[0];
  record.kind = change.kind;
  if (change.kind == ChangeKind::kTruncate) return;
  const char* const old_row = batch.has_old(change) ? batch.tuple(change.old_row) : nullptr;
  const char* const whole_old = change.old_is_key ? nullptr : old_row;
  if (change.kind == ChangeKind::kDelete) {
    WALLABY_CHECK(old_row != nullptr, "a delete has the old row");
    record.before = whole_old;
    record.key = old_row;
  } else {
    WALLABY_CHECK(batch.has_new(change), "an insert or update has the new row");
    record.before = whole_old;
    record.after = batch.tuple(change.new_row);
    record.key = record.after;
    record.key_rest = old_row;
    if (KeyChanged(batch, change)) {
      records_[1] = record;
      record = {.kind = ChangeKind::kDelete, .before = whole_old, .key = old_row};
      count_ = 2;
    }
  }
  if (!batch.relation(change).has_key()) {
    for (RecordRows& r : records_) r.key = r.key_rest = nullptr;
  }
}

absl::Status ForKeyFields(const Relation& relation, TupleCursor row, const char* rest,
                          absl::FunctionRef<absl::Status(int, const Field&)> visit) {
  auto key = relation.key.begin();
  for (; key != relation.key.end() && !row.done(); row.Next()) {
    if (row.index() != *key) continue;
    ++key;
    Field field = row.field();
    if (field.is_absent() && rest != nullptr) {
      TupleCursor other(rest);
      while (!other.done() && other.index() != row.index()) other.Next();
      if (!other.done()) field = other.field();
    }
    if (field.is_absent()) {
      return absl::FailedPreconditionError(absl::StrCat(
          "table ", relation.QualifiedName(), ", column ", relation.columns[static_cast<size_t>(row.index())].name,
          ": the key's value was not sent with an update; set REPLICA IDENTITY FULL on the table"));
    }
    RETURN_IF_ERROR(visit(row.index(), field));
  }
  return absl::OkStatus();
}

PgType TypeOf(const CodecOptions& options, const Relation& relation, const Column& column) {
  return options.type_of ? options.type_of(relation, column) : column.type;
}

std::string TopicOf(const CodecOptions& options, const Relation& relation) {
  return options.topic_of ? options.topic_of(relation) : relation.QualifiedName();
}

}  // namespace wallaby
