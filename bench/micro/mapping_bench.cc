// What a mapping costs. An item is a change of seven columns; BM_Map/nothing copies the rows and no more.
#include <benchmark/benchmark.h>

#include <memory>
#include <string>
#include <vector>

#include "base/check.h"
#include "mapping/batch_mapper.h"
#include "mapping/table_mapping.h"
#include "rows.h"

namespace wallaby::bench {
namespace {

void BM_Map(benchmark::State& state, const char* rule, bool binary) {
  constexpr int kChanges = 50'000;
  const ChangeBatch batch = Batch(Operation::kInsert, kChanges, kChanges, kNarrow, binary);
  const RelationPtr& relation = batch.relations()[0];
  MappingSetup setup;
  const std::string text = "tables: {" + relation->QualifiedName() + ": " + rule + "}";
  setup.mapping = ParseMapping(text, "mapping").value();
  setup.hash = std::make_shared<KeyedHash>("a secret of 16 characters");
  const TableMapping table = CompileTableMapping(setup, relation).value();
  BatchMapper mapper(setup.hash);
  ChangeBatch out;
  for (auto _ : state) {
    WALLABY_CHECK(mapper.Map(batch, {&table}, &out).ok(), "the rows fit");
  }
  state.SetItemsProcessed(state.iterations() * kChanges);
}
BENCHMARK_CAPTURE(BM_Map, nothing, "{to: other}", false);
BENCHMARK_CAPTURE(BM_Map, nothing_binary, "{to: other}", true);
BENCHMARK_CAPTURE(BM_Map, left_out, "{columns: {status: {drop: true}}}", false);
BENCHMARK_CAPTURE(BM_Map, filter_that_all_pass, "{rows: \"total >= 0 and status is not null and paid is not null\"}",
                  false);
BENCHMARK_CAPTURE(BM_Map, filter_that_none_pass, "{rows: \"total < 0\"}", false);
BENCHMARK_CAPTURE(BM_Map, redact, "{columns: {note: {mask: redact}}}", false);
BENCHMARK_CAPTURE(BM_Map, hash, "{columns: {status: {mask: hash}}}", false);

}  // namespace
}  // namespace wallaby::bench
