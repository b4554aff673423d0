// Rows to payloads of every format that is written row by row. The table has a column of every logical type, and of
// those that only Debezium's envelope looks into. For each field a byte for its kind (null, absent, text, binary), one
// for its length, and its bytes. What JSON says is JSON, and a record is the same alone and in a batch.
#include <array>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "codec/codec.h"
#include "fuzz.h"

namespace wallaby {
namespace {

constexpr std::array<std::pair<uint32_t, int32_t>, 30> kTypes{
    {{20, -1},   {16, -1},   {17, -1},   {21, -1},   {23, -1},   {25, -1},
     {26, -1},   {114, -1},  {700, -1},  {701, -1},  {1082, -1}, {1083, -1},
     {1083, 3},  {1114, -1}, {1114, 0},  {1184, -1}, {1700, -1}, {1700, (12 << 16 | 3) + 4},
     {2950, -1}, {3802, -1}, {1186, -1}, {1266, -1}, {790, -1},  {1560, 1},
     {1562, -1}, {600, -1},  {1007, -1}, {1009, -1}, {1231, -1}, {1185, -1}}};

const RelationPtr& Table() {
  static const RelationPtr table = [] {
    auto relation = std::make_shared<Relation>();
    relation->schema = "public";
    relation->name = "t";
    for (const auto& [oid, typmod] : kTypes) {
      const bool key = relation->columns.size() < 2;
      relation->columns.push_back({"c" + std::to_string(relation->columns.size()), BuiltinType(oid, typmod), key});
    }
    relation->key = {0, 1};
    return relation;
  }();
  return table;
}

std::string Row(fuzz::Input* in) {
  std::string tuple;
  TupleBuilder builder(&tuple, static_cast<int>(kTypes.size()));
  for (size_t i = 0; i < kTypes.size(); ++i) {
    const uint8_t kind = in->Byte() % 4;
    if (kind == 0) {
      builder.Null();
    } else if (kind == 1) {
      builder.Unchanged();
    } else {
      const std::string_view bytes = in->Take(in->Byte());
      kind == 2 ? builder.Text(bytes) : builder.Binary(bytes);
    }
  }
  return tuple;
}

ChangeBatch Batch(fuzz::Input* in) {
  ChangeBatch batch;
  const auto lsn = in->Number(8);
  batch.AddTransaction({Lsn{lsn}, Lsn{lsn}, static_cast<int64_t>(in->Number(8)), static_cast<uint32_t>(in->Number(4))});
  batch.AddRelation(Table());
  while (!in->empty() && batch.changes().size() < 8) {
    constexpr ChangeKind kKinds[] = {ChangeKind::kInsert, ChangeKind::kUpdate, ChangeKind::kDelete,
                                     ChangeKind::kTruncate, ChangeKind::kRead};
    Change& change = batch.AddChange();
    const uint8_t what = in->Byte();
    change.kind = kKinds[what % 5];
    change.old_is_key = (what & 0x40) != 0;
    change.seq = static_cast<uint32_t>(batch.changes().size());
    if (change.kind == ChangeKind::kTruncate) continue;
    if (change.kind != ChangeKind::kDelete) change.new_row = batch.AddRow(Row(in));
    if (change.kind == ChangeKind::kDelete || (change.kind == ChangeKind::kUpdate && (what & 0x80) != 0)) {
      change.old_row = batch.AddRow(Row(in));
    }
  }
  return batch;
}

void Check(const ChangeBatch& batch, CodecOptions options) {
  const bool json = options.format == WireFormat::kJson;
  const bool own_json = json && options.json_envelope == JsonEnvelope::kWallaby;
  auto codec = MakeCodec(std::move(options));
  REQUIRE(codec.ok(), codec.status().message());
  const BatchSlice slice{batch, 0, 0, batch.changes().size()};
  std::string whole = "x", records;
  const absl::Status in_batch = (*codec)->EncodeBatch(slice, &whole);
  const absl::Status alone = (*codec)->EncodeRecords(slice, [&](const EncodedRecord& record) {
    if (record.tombstone) return absl::OkStatus();
    records.append(record.value).push_back('\n');
    if (!json) return absl::OkStatus();
    REQUIRE(nlohmann::json::accept(record.value), record.value);
    REQUIRE(!record.has_key || nlohmann::json::accept(record.key), record.key);
    return absl::OkStatus();
  });
  REQUIRE(in_batch.code() == alone.code(), in_batch.message());
  REQUIRE(in_batch.ok() || whole == "x", "a refused batch left something behind");
  // Debezium's messages tell when they were made.
  if (own_json && in_batch.ok()) {
    REQUIRE(whole.substr(1) == records, "a batch is not its records");
  }
}

}  // namespace
}  // namespace wallaby

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace wallaby;
  fuzz::Input in(data, size);
  const ChangeBatch batch = Batch(&in);
  Check(batch, {});
  Check(batch, {.json_envelope = JsonEnvelope::kDebezium, .json_schemas = true});
  Check(batch, {.format = WireFormat::kAvro});
  Check(batch, {.format = WireFormat::kProto});
  return 0;
}
