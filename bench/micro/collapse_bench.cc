// The last state of each key in a batch. An item is a change of the batch.
#include <benchmark/benchmark.h>

#include "base/check.h"
#include "destination/collapse.h"
#include "rows.h"

namespace wallaby::bench {
namespace {

void BM_Collapse(benchmark::State& state, Operation operation, int distinct) {
  constexpr int kChanges = 50'000;
  ChangeBatch batch = Batch(operation, kChanges, distinct, kNarrow, false);
  for (auto _ : state) {
    const auto tables = Collapse(batch);
    WALLABY_CHECK(tables.ok() && static_cast<int>((*tables)[0].rows.size()) == distinct, "one row for each key");
  }
  state.SetItemsProcessed(state.iterations() * kChanges);
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(batch.arena()->size()));
}
BENCHMARK_CAPTURE(BM_Collapse, inserts, Operation::kInsert, 50'000);
BENCHMARK_CAPTURE(BM_Collapse, updates_of_many_rows, Operation::kUpdate, 50'000);
BENCHMARK_CAPTURE(BM_Collapse, updates_of_few_rows, Operation::kUpdate, 500);

}  // namespace
}  // namespace wallaby::bench
