// Rows to Arrow columns. An item is a row of seven columns.
#include <benchmark/benchmark.h>

#include <memory>
#include <vector>

#include "base/check.h"
#include "codec/arrow_rows.h"
#include "rows.h"

namespace wallaby::bench {
namespace {

void BM_ArrowRows(benchmark::State& state, int value_bytes, bool binary) {
  constexpr int kRows = 10'000;
  const ChangeBatch batch = Batch(Operation::kInsert, kRows, kRows, value_bytes, binary);
  const RelationPtr& relation = batch.relations()[0];
  std::vector<ArrowColumn> columns;
  for (size_t i = 0; i < relation->columns.size(); ++i) {
    const Column& column = relation->columns[i];
    columns.push_back({column.name, ArrowSource::kRow, static_cast<int>(i), column.type});
  }
  ArrowRows rows(*relation, columns);
  int64_t bytes = 0;
  for (auto _ : state) {
    for (const Change& change : batch.changes()) {
      WALLABY_CHECK(rows.Append(batch.tuple(change.new_row), {}).ok(), "the rows are well-formed");
    }
    bytes = rows.bytes();
    WALLABY_CHECK(rows.Finish().ok(), "the builders are whole");
  }
  state.SetItemsProcessed(state.iterations() * kRows);
  state.SetBytesProcessed(state.iterations() * bytes);
}
BENCHMARK_CAPTURE(BM_ArrowRows, narrow, kNarrow, false);
BENCHMARK_CAPTURE(BM_ArrowRows, narrow_binary, kNarrow, true);
BENCHMARK_CAPTURE(BM_ArrowRows, wide, kWide, false);

}  // namespace
}  // namespace wallaby::bench
