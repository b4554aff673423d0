// The decoder alone: pgoutput messages to batches, as the reader drives it.
#include <benchmark/benchmark.h>

#include <memory>

#include "base/check.h"
#include "pgoutput/assembler.h"
#include "rows.h"

namespace wallaby::bench {
namespace {

constexpr int kTransactions = 10;
constexpr int kTransactionChanges = 1000;
// When the reader hands a batch on.
constexpr size_t kBatchChanges = 50'000;
constexpr size_t kBatchBytes = 16 << 20;

void BM_Assemble(benchmark::State& state, Operation operation, int value_bytes, bool binary) {
  const Messages messages = Stream(operation, kTransactions, kTransactionChanges, value_bytes, binary);
  BuiltinTypes types;
  pgoutput::Assembler assembler(&types, nullptr, nullptr, {.binary = binary});
  auto batch = std::make_unique<ChangeBatch>();
  BatchPtr handed;  // the writer has it until the next one comes
  const auto hand_on = [&] {
    auto next = std::make_unique<ChangeBatch>();
    next->ReserveLike(*batch);
    assembler.ContinueIn(next.get());
    handed = std::move(batch);
    batch = std::move(next);
  };
  for (auto _ : state) {
    for (size_t i = 0; i < messages.count(); ++i) {
      const auto outcome = assembler.Add(messages.at(i), batch.get());
      WALLABY_CHECK(outcome.ok(), "the messages are well-formed");
      if (*outcome == pgoutput::Assembler::Outcome::kChange) {
        if (batch->arena()->size() >= kBatchBytes) hand_on();
      } else if (*outcome == pgoutput::Assembler::Outcome::kCommitted) {
        if (batch->change_count() >= kBatchChanges) hand_on();
      }
    }
  }
  state.SetItemsProcessed(state.iterations() * kTransactions * kTransactionChanges);
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(messages.bytes()));
}
BENCHMARK_CAPTURE(BM_Assemble, narrow, Operation::kInsert, kNarrow, false);
BENCHMARK_CAPTURE(BM_Assemble, narrow_binary, Operation::kInsert, kNarrow, true);
BENCHMARK_CAPTURE(BM_Assemble, wide, Operation::kInsert, kWide, false);
BENCHMARK_CAPTURE(BM_Assemble, update, Operation::kUpdate, kNarrow, false);
BENCHMARK_CAPTURE(BM_Assemble, update_binary, Operation::kUpdate, kNarrow, true);

}  // namespace
}  // namespace wallaby::bench
