// The spool: appending what a slot sends and making it durable, and reading it again. Not in memory only: it writes to
// TMPDIR or /tmp, so its figures are those of that disk too.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <filesystem>
#include <memory>

#include "base/check.h"
#include "rows.h"
#include "spool/spool_reader.h"
#include "spool/spool_writer.h"

namespace wallaby::bench {
namespace {

constexpr int kChanges = 100;  // of a transaction
constexpr size_t kSyncBytes = 4 << 20;

// A spool in a folder of its own.
class Scratch {
 public:
  explicit Scratch(bool encrypted) {
    std::string pattern = (std::filesystem::temp_directory_path() / "wallaby_spool_XXXXXX").string();
    options_.root = mkdtemp(pattern.data());
    if (encrypted) options_.key = std::string(32, 'k');
  }
  ~Scratch() { std::filesystem::remove_all(options_.root); }

  std::unique_ptr<SpoolWriter> Writer() const {
    auto writer = SpoolWriter::Open(options_, name_, "pub", Lsn{1});
    WALLABY_CHECK(writer.ok(), "a spool can be made in the folder for temporary files");
    return *std::move(writer);
  }
  std::unique_ptr<SpoolReader> Reader() const { return SpoolReader::Open(options_, name_, "pub", Lsn{1}).value(); }

 private:
  SpoolOptions options_;
  const SpoolName name_{"1", "bench"};
};

// Sync() each kSyncBytes and at the end.
void Append(SpoolWriter& writer, const Messages& messages) {
  size_t unsynced = 0;
  for (size_t i = 0; i < messages.count(); ++i) {
    WALLABY_CHECK(writer.Append(messages.at(i)).ok(), "is appended");
    unsynced += messages.at(i).size();
    if (unsynced < kSyncBytes) continue;
    WALLABY_CHECK(writer.Sync().ok(), "is durable");
    unsynced = 0;
  }
  WALLABY_CHECK(writer.Sync().ok(), "is durable");
}

void Count(benchmark::State& state, const Messages& messages) {
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(messages.count()));
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(messages.bytes()));
}

void BM_SpoolAppend(benchmark::State& state, int value_bytes, bool encrypted) {
  const Messages messages =
      Stream(Operation::kInsert, 100'000'000 / value_bytes / kChanges, kChanges, value_bytes, false);
  for (auto _ : state) {
    state.PauseTiming();
    const Scratch scratch(encrypted);
    const auto writer = scratch.Writer();
    state.ResumeTiming();
    Append(*writer, messages);
  }
  Count(state, messages);
}
BENCHMARK_CAPTURE(BM_SpoolAppend, narrow, kNarrow, false)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_SpoolAppend, wide, kWide, false)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_SpoolAppend, wide_encrypted, kWide, true)->UseRealTime()->Unit(benchmark::kMillisecond);

void BM_SpoolRead(benchmark::State& state, int value_bytes, bool encrypted) {
  const Messages messages =
      Stream(Operation::kInsert, 100'000'000 / value_bytes / kChanges, kChanges, value_bytes, false);
  const Scratch scratch(encrypted);
  Append(*scratch.Writer(), messages);
  for (auto _ : state) {
    const auto reader = scratch.Reader();
    size_t count = 0;
    while (reader->Next()->kind == SpoolReader::Item::Kind::kMessage) ++count;
    WALLABY_CHECK(count == messages.count(), "all is read");
  }
  Count(state, messages);
}
BENCHMARK_CAPTURE(BM_SpoolRead, narrow, kNarrow, false)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_SpoolRead, wide, kWide, false)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_SpoolRead, wide_encrypted, kWide, true)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace wallaby::bench
