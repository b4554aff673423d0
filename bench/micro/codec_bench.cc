// Rows to payloads of each format. An item is a row of seven columns; bytes are those of the payloads.
#include <benchmark/benchmark.h>

#include <memory>
#include <string>

#include "base/check.h"
#include "codec/codec.h"
#include "rows.h"

namespace wallaby::bench {
namespace {

constexpr int kRows = 10'000;

std::unique_ptr<Codec> Make(WireFormat format, JsonEnvelope envelope) {
  auto codec = MakeCodec({.format = format, .json_envelope = envelope});
  WALLABY_CHECK(codec.ok(), "the options go together");
  return *std::move(codec);
}

// One payload for each change.
void BM_CodecRecords(benchmark::State& state, WireFormat format, JsonEnvelope envelope, int value_bytes, bool binary) {
  const ChangeBatch batch = Batch(Operation::kInsert, kRows, kRows, value_bytes, binary);
  const auto codec = Make(format, envelope);
  size_t bytes = 0;
  for (auto _ : state) {
    const absl::Status status = codec->EncodeRecords({batch, 0, 0, kRows}, [&](const EncodedRecord& record) {
      bytes += record.key.size() + record.value.size();
      return absl::OkStatus();
    });
    WALLABY_CHECK(status.ok(), "the rows are well-formed");
  }
  state.SetItemsProcessed(state.iterations() * kRows);
  state.SetBytesProcessed(static_cast<int64_t>(bytes));
}

// One payload for all changes.
void BM_CodecBatch(benchmark::State& state, WireFormat format, int value_bytes, bool binary) {
  const ChangeBatch batch = Batch(Operation::kInsert, kRows, kRows, value_bytes, binary);
  const auto codec = Make(format, JsonEnvelope::kWallaby);
  std::string out;
  int64_t bytes = 0;
  for (auto _ : state) {
    out.clear();
    WALLABY_CHECK(codec->EncodeBatch({batch, 0, 0, kRows}, &out).ok(), "the rows are well-formed");
    bytes += static_cast<int64_t>(out.size());
  }
  state.SetItemsProcessed(state.iterations() * kRows);
  state.SetBytesProcessed(bytes);
}

BENCHMARK_CAPTURE(BM_CodecRecords, json_narrow, WireFormat::kJson, JsonEnvelope::kWallaby, kNarrow, false);
BENCHMARK_CAPTURE(BM_CodecRecords, json_narrow_binary, WireFormat::kJson, JsonEnvelope::kWallaby, kNarrow, true);
BENCHMARK_CAPTURE(BM_CodecRecords, json_wide, WireFormat::kJson, JsonEnvelope::kWallaby, kWide, false);
BENCHMARK_CAPTURE(BM_CodecRecords, debezium_narrow, WireFormat::kJson, JsonEnvelope::kDebezium, kNarrow, false);
BENCHMARK_CAPTURE(BM_CodecRecords, avro_narrow, WireFormat::kAvro, JsonEnvelope::kWallaby, kNarrow, false);
BENCHMARK_CAPTURE(BM_CodecRecords, avro_narrow_binary, WireFormat::kAvro, JsonEnvelope::kWallaby, kNarrow, true);
BENCHMARK_CAPTURE(BM_CodecRecords, proto_narrow, WireFormat::kProto, JsonEnvelope::kWallaby, kNarrow, false);
BENCHMARK_CAPTURE(BM_CodecBatch, json_narrow, WireFormat::kJson, kNarrow, false);
BENCHMARK_CAPTURE(BM_CodecBatch, avro_narrow, WireFormat::kAvro, kNarrow, false);
BENCHMARK_CAPTURE(BM_CodecBatch, proto_narrow, WireFormat::kProto, kNarrow, false);

}  // namespace
}  // namespace wallaby::bench
