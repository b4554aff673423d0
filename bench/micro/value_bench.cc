// Values out of fields, from text and from binary. An item is a value.
#include <benchmark/benchmark.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "change/value.h"
#include "rows.h"

namespace wallaby::bench {
namespace {

constexpr int kValues = 1024;

// `make(i)` is the i-th value's bytes; `read(field)` reads it.
template <typename Make, typename Read>
void ReadAll(benchmark::State& state, bool binary, Make make, Read read) {
  std::vector<std::string> values;
  int64_t bytes = 0;
  for (int i = 0; i < kValues; ++i) {
    values.push_back(make(i));
    bytes += static_cast<int64_t>(values.back().size());
  }
  const FieldKind kind = binary ? FieldKind::kBinary : FieldKind::kText;
  for (auto _ : state) {
    for (const std::string& value : values) {
      WALLABY_CHECK(read(Field{kind, value}).ok(), "the values are well-formed");
    }
  }
  state.SetItemsProcessed(state.iterations() * kValues);
  state.SetBytesProcessed(state.iterations() * bytes);
}

using pgoutput::Big;

// The column's bytes in row i of the orders table.
std::string OrderField(int i, int column, bool binary) {
  std::string row;
  AppendOrder(1'000'000 + i, kNarrow, binary, &row);
  TupleCursor cursor(row.data());
  while (cursor.index() < column) cursor.Next();
  return std::string(cursor.field().bytes);
}

void BM_ReadInt(benchmark::State& state, bool binary) {
  ReadAll(
      state, binary, [&](int i) { return OrderField(i, 0, binary); },
      [](const Field& field) {
        int64_t value;
        absl::Status status = ReadInt(field, &value);
        benchmark::DoNotOptimize(value);
        return status;
      });
}

void BM_ReadDecimal(benchmark::State& state, bool binary) {
  const PgType type = Orders()->columns[3].type;
  ReadAll(
      state, binary, [&](int i) { return OrderField(i, 3, binary); },
      [&](const Field& field) {
        absl::int128 value;
        absl::Status status = ReadDecimal(field, type, &value);
        benchmark::DoNotOptimize(value);
        return status;
      });
}

void BM_ReadTimestampTz(benchmark::State& state, bool binary) {
  ReadAll(
      state, binary, [&](int i) { return OrderField(i, 4, binary); },
      [](const Field& field) {
        int64_t value;
        absl::Status status = ReadTimestamp(field, &value);
        benchmark::DoNotOptimize(value);
        return status;
      });
}

void BM_ReadText(benchmark::State& state, bool binary) {
  const PgType type = BuiltinType(25, -1);
  std::string scratch;
  ReadAll(
      state, binary, [&](int i) { return OrderField(i, 6, binary); },
      [&](const Field& field) {
        std::string_view value;
        absl::Status status = ReadText(field, type, &scratch, &value);
        benchmark::DoNotOptimize(value);
        return status;
      });
}

void BM_ReadUuid(benchmark::State& state, bool binary) {
  const auto make = [&](int i) {
    std::string bytes = Big(static_cast<uint64_t>(i) * 0x9e3779b97f4a7c15, 8) + Big(~static_cast<uint64_t>(i), 8);
    if (binary) return bytes;
    std::string text;
    WALLABY_CHECK(AppendText({FieldKind::kBinary, bytes}, BuiltinType(2950, -1), &text).ok(), "16 bytes are a uuid");
    return text;
  };
  ReadAll(state, binary, make, [](const Field& field) {
    unsigned char value[16];
    absl::Status status = ReadUuid(field, value);
    benchmark::DoNotOptimize(value);
    return status;
  });
}

void BM_ReadJsonb(benchmark::State& state, bool binary) {
  const PgType type = BuiltinType(3802, -1);
  std::string scratch;
  const auto make = [&](int i) {
    return std::string(binary ? "\1" : "") + "{\"number\": " + std::to_string(i) + ", \"tags\": [\"a\", \"b\"]}";
  };
  ReadAll(state, binary, make, [&](const Field& field) {
    std::string_view value;
    absl::Status status = ReadText(field, type, &scratch, &value);
    benchmark::DoNotOptimize(value);
    return status;
  });
}

// The way from binary to what PostgreSQL prints, for destinations that take text.
void BM_PrintDecimal(benchmark::State& state) {
  const PgType type = Orders()->columns[3].type;
  std::string scratch;
  ReadAll(
      state, true, [](int i) { return OrderField(i, 3, true); },
      [&](const Field& field) {
        scratch.clear();
        return AppendText(field, type, &scratch);
      });
}

BENCHMARK_CAPTURE(BM_ReadInt, text, false);
BENCHMARK_CAPTURE(BM_ReadInt, binary, true);
BENCHMARK_CAPTURE(BM_ReadDecimal, text, false);
BENCHMARK_CAPTURE(BM_ReadDecimal, binary, true);
BENCHMARK_CAPTURE(BM_ReadTimestampTz, text, false);
BENCHMARK_CAPTURE(BM_ReadTimestampTz, binary, true);
BENCHMARK_CAPTURE(BM_ReadText, text, false);
BENCHMARK_CAPTURE(BM_ReadText, binary, true);
BENCHMARK_CAPTURE(BM_ReadUuid, text, false);
BENCHMARK_CAPTURE(BM_ReadUuid, binary, true);
BENCHMARK_CAPTURE(BM_ReadJsonb, text, false);
BENCHMARK_CAPTURE(BM_ReadJsonb, binary, true);
BENCHMARK(BM_PrintDecimal);

}  // namespace
}  // namespace wallaby::bench
