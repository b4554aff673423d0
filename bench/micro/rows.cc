#include "rows.h"

#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/check.h"

namespace wallaby::bench {
namespace {

constexpr uint32_t kOid = 16384;
constexpr uint64_t kFirstLsn = 0x1000000;

struct ColumnSpec {
  const char* name;
  uint32_t type;
  int32_t typmod = -1;
};
constexpr ColumnSpec kColumns[] = {
    {"id", 20},       {"customer", 23}, {"status", 25}, {"total", 1700, (12 << 16) + 2 + 4},
    {"placed", 1184}, {"paid", 16},     {"note", 25}};
constexpr int kColumnCount = std::size(kColumns);

using pgoutput::Big;

void Put(uint64_t value, int bytes, std::string* out) {
  out->append(Big(value, bytes));
}

void PutRelation(std::string* out) {
  out->append("R").append(Big(kOid, 4)).append("public", 7).append("orders", 7).append("d");
  Put(kColumnCount, 2, out);
  for (const ColumnSpec& column : kColumns) {
    out->push_back(column.type == 20 ? 1 : 0);
    out->append(column.name, std::string_view(column.name).size() + 1);
    Put(column.type, 4, out);
    Put(static_cast<uint32_t>(column.typmod), 4, out);
  }
}

}  // namespace

RelationPtr Orders() {
  auto relation = std::make_shared<Relation>();
  relation->oid = kOid;
  relation->schema = "public";
  relation->name = "orders";
  for (const ColumnSpec& spec : kColumns) {
    relation->columns.push_back({spec.name, BuiltinType(spec.type, spec.typmod), spec.type == 20});
  }
  relation->key = {0};
  return relation;
}

void AppendOrder(int64_t id, int value_bytes, bool binary, std::string* out) {
  const int64_t customer = 10000 + id * 7 % 90000;
  const int64_t cents = 100000 + id * 31 % 900000;
  const int64_t micros = id * 999983 % 1000000;
  constexpr int kFixed = 7 + 5 + 7 + 7 + 29 + 1;
  const std::string note(value_bytes - kFixed, static_cast<char>('a' + id % 26));
  TupleBuilder row(out, kColumnCount);
  if (binary) {
    row.Binary(Big(static_cast<uint64_t>(id), 8));
    row.Binary(Big(static_cast<uint64_t>(customer), 4));
    row.Binary("shipped");
    // 1234.56: two groups of four digits, the first of weight 0, and one behind the point.
    row.Binary(Big(2, 2) + Big(0, 2) + Big(0, 2) + Big(2, 2) + Big(static_cast<uint64_t>(cents / 100), 2) +
               Big(static_cast<uint64_t>(cents % 100 * 100), 2));
    row.Binary(Big(static_cast<uint64_t>(768'000'000'000'000 + micros), 8));
    row.Binary(Big(static_cast<uint64_t>(id % 2), 1));
    row.Binary(note);
    return;
  }
  row.Text(absl::StrCat(id));
  row.Text(absl::StrCat(customer));
  row.Text("shipped");
  row.Text(absl::StrFormat("%d.%02d", cents / 100, cents % 100));
  row.Text(absl::StrFormat("2024-05-01 12:34:56.%06d+00", micros));
  row.Text(id % 2 == 0 ? "f" : "t");
  row.Text(note);
}

Messages Stream(Operation operation, int transactions, int changes, int value_bytes, bool binary) {
  Messages out;
  std::string* buffer = out.buffer();
  int64_t id = 1'000'000;
  for (int t = 0; t < transactions; ++t) {
    const uint64_t lsn = kFirstLsn + static_cast<uint64_t>(t) * 0x10000;
    buffer->append("B").append(Big(lsn, 8)).append(Big(0, 8)).append(Big(700 + t, 4));
    out.End();
    if (t == 0) {
      PutRelation(buffer);
      out.End();
    }
    for (int i = 0; i < changes; ++i, ++id) {
      buffer->append(operation == Operation::kInsert ? "I" : "U").append(Big(kOid, 4));
      if (operation == Operation::kUpdate) {
        buffer->push_back('K');
        TupleBuilder key(buffer, kColumnCount);
        binary ? key.Binary(Big(static_cast<uint64_t>(id + 1), 8)) : key.Text(absl::StrCat(id + 1));
        for (int c = 1; c < kColumnCount; ++c) key.Null();
      }
      buffer->push_back('N');
      AppendOrder(id, value_bytes, binary, buffer);
      out.End();
    }
    buffer->append("C").append(1, '\0').append(Big(lsn, 8)).append(Big(lsn + 48, 8)).append(Big(0, 8));
    out.End();
  }
  return out;
}

ChangeBatch Batch(Operation operation, int changes, int distinct, int value_bytes, bool binary) {
  ChangeBatch batch;
  batch.AddTransaction({Lsn{kFirstLsn}, Lsn{kFirstLsn + 48}, 0, 700});
  const uint32_t relation = batch.AddRelation(Orders());
  for (int i = 0; i < changes; ++i) {
    Change change;
    change.kind = operation == Operation::kInsert ? ChangeKind::kInsert : ChangeKind::kUpdate;
    change.relation = relation;
    change.seq = static_cast<uint32_t>(i);
    // A prime step, so that neighbours in the batch are none in the table.
    const int64_t id = 1'000'000 + int64_t{i} * 7919 % distinct;
    std::string row;
    AppendOrder(id, value_bytes, binary, &row);
    change.new_row = batch.AddRow(row);
    batch.AddChange(change);
  }
  return batch;
}

}  // namespace wallaby::bench
