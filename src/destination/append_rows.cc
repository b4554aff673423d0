#include "destination/append_rows.h"

#include "base/check.h"

namespace wallaby {
namespace {

// An old row is sent when the key changed, with each update under identity full, and when the key itself is so large
// that it stands outside the row: so the values decide.
bool IdentityChanged(const Relation& relation, TupleCursor before, TupleCursor after) {
  if (!relation.has_key()) return true;
  auto key = relation.key.begin();
  for (; key != relation.key.end() && !before.done() && !after.done(); before.Next(), after.Next()) {
    if (before.index() != *key) continue;
    ++key;
    const Field& a = before.field();
    const Field& b = after.field();
    if (!b.is_absent() && (a.kind != b.kind || a.bytes != b.bytes)) return true;
  }
  return false;
}

}  // namespace

AppendRows::AppendRows(const ChangeBatch& batch, const Change& change) {
  AppendRow& row = rows_[0];
  row.op = static_cast<char>(change.kind);
  if (change.kind == ChangeKind::kTruncate) return;
  if (change.kind == ChangeKind::kDelete) {
    WALLABY_CHECK(batch.has_old(change), "a delete has the old row");
    row.tuple = batch.tuple(change.old_row);
    return;
  }
  WALLABY_CHECK(batch.has_new(change), "an insert or update has the new row");
  row.tuple = batch.tuple(change.new_row);
  if (change.kind == ChangeKind::kUpdate && batch.has_old(change) &&
      IdentityChanged(batch.relation(change), batch.old_row(change), batch.new_row(change))) {
    rows_[1] = row;
    row = {.op = static_cast<char>(ChangeKind::kDelete), .tuple = batch.tuple(change.old_row)};
    count_ = 2;
  }
}

}  // namespace wallaby
