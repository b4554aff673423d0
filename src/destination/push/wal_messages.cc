#include "destination/push/wal_messages.h"

namespace wallaby {
namespace {

void AppendBigEndian(uint32_t value, int bytes, std::string* out) {
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) out->push_back(static_cast<char>(value >> shift));
}

void AppendString(const std::string& text, std::string* out) {
  out->append(text.c_str(), text.size() + 1);
}

void AppendTuple(char tag, TupleCursor row, std::string* out) {
  out->push_back(tag);
  TupleBuilder tuple(out, row.count());
  for (; !row.done(); row.Next()) tuple.Add(row.field());
}

}  // namespace

void AppendRelationMessage(const Relation& relation, std::string* out) {
  out->push_back('R');
  AppendBigEndian(relation.oid, 4, out);
  AppendString(relation.schema, out);
  AppendString(relation.name, out);
  out->push_back(static_cast<char>(relation.identity));
  AppendBigEndian(static_cast<uint32_t>(relation.columns.size()), 2, out);
  for (const Column& column : relation.columns) {
    out->push_back(column.key ? 1 : 0);
    AppendString(column.name, out);
    AppendBigEndian(column.type.oid, 4, out);
    AppendBigEndian(static_cast<uint32_t>(column.type.typmod), 4, out);
  }
}

void AppendChangeMessage(const ChangeBatch& batch, const Change& change, std::string* out) {
  const uint32_t oid = batch.relation(change).oid;
  if (change.kind == ChangeKind::kTruncate) {
    out->push_back('T');
    AppendBigEndian(1, 4, out);  // tables
    out->push_back(0);           // neither CASCADE nor RESTART IDENTITY is known any more
    return AppendBigEndian(oid, 4, out);
  }
  out->push_back(change.kind == ChangeKind::kDelete ? 'D' : change.kind == ChangeKind::kUpdate ? 'U' : 'I');
  AppendBigEndian(oid, 4, out);
  if (batch.has_old(change)) AppendTuple(change.old_is_key ? 'K' : 'O', batch.old_row(change), out);
  if (batch.has_new(change)) AppendTuple('N', batch.new_row(change), out);
}

}  // namespace wallaby
