#include "change/append_rows.h"

#include "base/check.h"

namespace wallaby {
bool KeyChanged(const ChangeBatch& batch, const Change& change) {
  if (change.kind != ChangeKind::kUpdate || !batch.has_old(change)) return false;
  const std::vector<int>& columns = batch.relation(change).key;
  TupleCursor before = batch.old_row(change), after = batch.new_row(change);
  for (auto key = columns.begin(); key != columns.end() && !before.done() && !after.done();
       before.Next(), after.Next()) {
    if (before.index() != *key) continue;
    ++key;
    const Field& a = before.field();
    const Field& b = after.field();
    if (!b.is_absent() && (a.kind != b.kind || a.bytes != b.bytes)) return true;
  }
  return false;
}

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
  const bool keyless = change.kind == ChangeKind::kUpdate && batch.has_old(change) && !batch.relation(change).has_key();
  if (keyless || KeyChanged(batch, change)) {
    rows_[1] = row;
    row = {.op = static_cast<char>(ChangeKind::kDelete), .tuple = batch.tuple(change.old_row)};
    count_ = 2;
  }
}

}  // namespace wallaby
