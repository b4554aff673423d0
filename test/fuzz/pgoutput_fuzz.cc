// The replication stream: messages as pgoutput sends them, one after the other, through the Assembler and, at each
// commit, through Collapse as a destination would. First byte: which parts take part; then blocks, each one message.
#include <array>
#include <memory>
#include <utility>

#include "change/change_batch.h"
#include "destination/collapse.h"
#include "fuzz.h"
#include "pgoutput/assembler.h"
#include "pgoutput/messages.h"
#include "pgoutput/test_bytes.h"

namespace wallaby {
namespace {

using pgoutput::Assembler;
using pgoutput::RelationEdit;
using pgoutput::SchemaWatch;

// Leaves out the last column of each table, ignores tables of odd OIDs above 2^31, and holds on the message "hold".
class Watch : public SchemaWatch {
 public:
  absl::StatusOr<Verdict> OnRelation(const Transaction&, const Relation& announced, HasRows has_rows,
                                     RelationEdit* edit) override {
    edit->ignore = announced.oid > 0x80000000u && announced.oid % 2 == 1;
    if (!announced.columns.empty() && !has_rows(announced.oid)) {
      Relation carried = announced;
      carried.columns.pop_back();
      std::erase(carried.key, static_cast<int>(carried.columns.size()));
      for (size_t i = 0; i < carried.columns.size(); ++i) edit->columns.push_back(static_cast<int>(i));
      edit->carried = std::move(carried);
    }
    return Verdict::kCarry;
  }
  absl::StatusOr<Verdict> OnMessage(const Transaction&, std::string_view prefix, std::string_view, HasRows) override {
    return prefix == "hold" ? Verdict::kHold : Verdict::kCarry;
  }
};

// Fills every absent value with "x".
class Filler : public pgoutput::AbsentFiller {
 public:
  void Remember(const Relation& relation, std::string_view row, bool) override {
    REQUIRE(TupleCursor(row.data()).count() == static_cast<int>(relation.columns.size()), "a row of another shape");
  }
  absl::StatusOr<bool> Fill(const Relation&, std::string_view row, std::string* out) override {
    TupleCursor fields(row.data());
    TupleBuilder builder(out, fields.count());
    for (; !fields.done(); fields.Next()) {
      if (fields.field().is_absent()) {
        builder.Text("x");
      } else {
        builder.Add(fields.field());
      }
    }
    return true;
  }
};

// Walks a row as every writer does; the sanitizers see a step beyond its bytes.
size_t Walk(TupleCursor cursor) {
  size_t sum = 0;
  for (; !cursor.done(); cursor.Next()) {
    for (const char c : cursor.field().bytes) sum += static_cast<unsigned char>(c);
  }
  return sum;
}

void CheckBatch(const ChangeBatch& batch) {
  size_t sum = 0;
  for (size_t i = 0; i < batch.changes().size(); ++i) {
    const Change& c = batch.changes()[i];
    REQUIRE(c.relation < batch.relations().size() && c.transaction < batch.transactions().size(), "an index");
    const int columns = static_cast<int>(batch.relation(c).columns.size());
    if (batch.has_new(c)) {
      REQUIRE(batch.new_row(c).count() == columns, "a new row of another shape than its relation");
      sum += Walk(batch.new_row(c));
    }
    if (batch.has_old(c)) {
      REQUIRE(batch.old_row(c).count() == columns, "an old row of another shape than its relation");
      sum += Walk(batch.old_row(c));
    }
    REQUIRE(batch.has_new(c) || batch.has_old(c) || c.kind == ChangeKind::kTruncate, "a change without a row");
    if (i > 0 && batch.changes()[i - 1].transaction == c.transaction) {
      REQUIRE(batch.changes()[i - 1].seq < c.seq, "positions of a transaction do not rise");
    }
    for (const int key : batch.relation(c).key) REQUIRE(key >= 0 && key < columns, "a key beyond the columns");
  }
  if (sum == 1) std::fputs("", stderr);  // the walk counts as used
  const auto collapsed = Collapse(batch);
  if (!collapsed.ok()) return;
  for (const CollapsedTable& table : *collapsed) {
    for (const CollapsedRow& row : table.rows) {
      Walk(TupleCursor(row.row));
      if (row.origin != nullptr) Walk(TupleCursor(row.origin));
    }
    for (const RowDelta& delta : table.deltas) REQUIRE(delta.copies != 0, "a row that does not change");
  }
}

}  // namespace
}  // namespace wallaby

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace wallaby;
  fuzz::Input in(data, size);
  const uint8_t parts = in.Byte();
  Assembler::Options options;
  options.binary = (parts & 1) != 0;
  if ((parts & 2) != 0) {
    const std::vector<Lsn> lsns = {Lsn{uint64_t{1} << 23}, Lsn{uint64_t{1} << 40}, Lsn{uint64_t{1} << 30}};
    options.skip_below = {{"public.t", pgoutput::SkipRule("id", {10, 1000}, lsns)},
                          {"public.u", pgoutput::SkipRule(Lsn{uint64_t{1} << 25})}};
  }
  pgoutput::BuiltinTypes source;
  Watch watch;
  Filler filler;
  Assembler assembler(&source, (parts & 4) != 0 ? &filler : nullptr, (parts & 8) != 0 ? &watch : nullptr, options);
  auto batch = std::make_unique<ChangeBatch>();
  while (!in.empty()) {
    const fuzz::Exact message(in.Block());
    const auto outcome = assembler.Add(message.view(), batch.get());
    if (!outcome.ok()) {
      REQUIRE(outcome.status().code() != absl::StatusCode::kInternal, outcome.status().message());
      // As an attempt ends: what the batch has is thrown away, and the stream begins again.
      assembler.Reset();
      batch->Clear();
      continue;
    }
    if (*outcome == Assembler::Outcome::kCommitted || *outcome == Assembler::Outcome::kHeld) {
      CheckBatch(*batch);
      if ((parts & 16) != 0) batch->Clear();
    } else if ((parts & 32) != 0 && batch->change_count() > 1) {
      // The reader cuts a large transaction.
      auto next = std::make_unique<ChangeBatch>();
      CheckBatch(*batch);
      assembler.ContinueIn(next.get());
      batch = std::move(next);
    }
  }
  CheckBatch(*batch);
  return 0;
}
