#include "test/simulation/pgoutput_writer.h"

#include "change/tuple.h"
#include "pgoutput/messages.h"
#include "pgoutput/test_bytes.h"

namespace wallaby::simulation {
namespace {

using pgoutput::Big;
using pgoutput::Zero;

constexpr int kLargeAttnum = 3;

std::string Time(int64_t unix_micros) {
  return Big(static_cast<uint64_t>(unix_micros - pgoutput::kPostgresEpochMicros), 8);
}

std::string Announce(const Relation& relation) {
  std::string out = "R" + Big(relation.oid, 4) + Zero(relation.schema) + Zero(relation.name);
  out += static_cast<char>(relation.identity);
  out += Big(relation.columns.size(), 2);
  for (const Column& column : relation.columns) {
    out += column.key ? '\1' : '\0';
    out += Zero(column.name) + Big(column.type.oid, 4) + Big(~0u, 4);
  }
  return out;
}

}  // namespace

void PgoutputWriter::WriteTuple(const TableShape& shape, const Values& values, bool key_only, bool unchanged_large,
                                std::string* out) const {
  TupleBuilder tuple(out, static_cast<int>(shape.details.size()));
  for (const ColumnDetail& detail : shape.details) {
    const size_t i = static_cast<size_t>(detail.attnum) - 1;
    if ((key_only && detail.attnum != 1) || i >= values.size() || !values[i].has_value()) {
      tuple.Null();
    } else if (unchanged_large && detail.attnum == kLargeAttnum) {
      tuple.Unchanged();
    } else if (!binary_) {
      tuple.Text(*values[i]);
    } else if (detail.attnum == 1) {
      tuple.Binary(Big(static_cast<uint64_t>(KeyOf(values)), 8));
    } else {
      tuple.Binary(*values[i]);
    }
  }
}

void PgoutputWriter::WriteOp(const WalTransaction& t, const WalOp& op, std::string* out) {
  if (op.kind == WalOp::Kind::kMessage) {
    *out = "M\1" + Big(t.begin.value, 8) + Zero(kDdlPrefix) + Big(op.content.size(), 4) + op.content;
    return;
  }
  const TableShape& shape = *op.shape;
  const bool full = shape.relation.identity == ReplicaIdentity::kFull;
  switch (op.kind) {
    case WalOp::Kind::kInsert:
      *out = "I" + Big(op.oid, 4) + "N";
      WriteTuple(shape, *op.new_row, false, false, out);
      break;
    case WalOp::Kind::kUpdate:
      *out = "U" + Big(op.oid, 4);
      if (full || KeyOf(*op.old_row) != KeyOf(*op.new_row)) {
        *out += full ? 'O' : 'K';
        WriteTuple(shape, *op.old_row, !full, false, out);
      }
      *out += 'N';
      WriteTuple(shape, *op.new_row, false, op.unchanged_large, out);
      break;
    case WalOp::Kind::kDelete:
      *out = "D" + Big(op.oid, 4) + (full ? "O" : "K");
      WriteTuple(shape, *op.old_row, !full, false, out);
      break;
    default:
      *out = "T" + Big(1, 4) + std::string(1, '\0') + Big(op.oid, 4);
      break;
  }
}

std::vector<SentMessage> PgoutputWriter::Write(const WalTransaction& t) {
  std::vector<SentMessage> sent;
  sent.push_back({t.begin, "B" + Big(t.commit.value, 8) + Time(t.time_micros) + Big(t.xid, 4)});
  uint64_t lsn = t.begin.value;
  for (const WalOp& op : t.ops) {
    lsn += 0x40;
    if (op.kind == WalOp::Kind::kMessage && !messages_) continue;
    if (op.kind != WalOp::Kind::kMessage && announced_[op.oid] != op.shape) {
      announced_[op.oid] = op.shape;
      sent.push_back({Lsn{lsn}, Announce(op.shape->relation)});
    }
    WriteOp(t, op, &sent.emplace_back(SentMessage{Lsn{lsn}, ""}).bytes);
  }
  if (sent.size() == 1 && !empty_) return {};
  sent.push_back({t.end, Zero("C") + Big(t.commit.value, 8) + Big(t.end.value, 8) + Time(t.time_micros)});
  return sent;
}

}  // namespace wallaby::simulation
