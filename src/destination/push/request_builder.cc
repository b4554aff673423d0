#include "destination/push/request_builder.h"

#include <algorithm>
#include <optional>
#include <utility>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "absl/strings/str_cat.h"
#include "base/stable_hash.h"
#include "base/status.h"
#include "change/append_rows.h"
#include "destination/push/wal_messages.h"

namespace wallaby {
namespace {

std::string Hex16(uint64_t value) {
  return absl::StrCat(absl::Hex(value, absl::kZeroPad16));
}

std::string PositionText(const Position& position) {
  return absl::StrCat(absl::Hex(position.commit.value, absl::kZeroPad16), "-",
                      absl::Hex(position.seq, absl::kZeroPad8));
}

std::string RecordKey(const std::string& table, const Position& position, ChangeKind kind) {
  return absl::StrCat(table, "-", PositionText(position), "-", std::string(1, static_cast<char>(kind)));
}

// A snapshot's ordinals are not the same in another try; what the row is, is. 128 bits: two rows must not share one.
std::string SnapshotKey(const std::string& table, Lsn lsn, std::string_view content) {
  const XXH128_hash_t hash = XXH3_128bits(content.data(), content.size());
  return absl::StrCat(table, "-", absl::Hex(lsn.value, absl::kZeroPad16), "-", absl::Hex(hash.high64, absl::kZeroPad16),
                      absl::Hex(hash.low64, absl::kZeroPad16), "-r");
}

uint64_t Mix(uint64_t hash, std::string_view bytes) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), hash);
}

RecordId IdOf(const ChangeBatch& batch, const Change& change, ChangeKind kind) {
  const Transaction& transaction = batch.transaction(change);
  return {transaction.commit.value, transaction.commit_time_micros, change.seq, transaction.xid, kind};
}

// Of all that belongs to a table.
uint64_t TableLane(uint32_t oid) {
  return Mix(oid, "");
}

const Field* FieldAt(const char* tuple, int column, Field* out) {
  for (TupleCursor row(tuple); !row.done(); row.Next()) {
    if (row.index() != column) continue;
    *out = row.field();
    return out;
  }
  return nullptr;
}

// The key of the change's row as it is sent, in `key`; false when it is not known, or the change concerns two keys.
bool RawKey(const ChangeBatch& batch, const Change& change, std::string* key) {
  if (change.kind == ChangeKind::kTruncate || KeyChanged(batch, change)) return false;
  const char* const old_row = batch.has_old(change) ? batch.tuple(change.old_row) : nullptr;
  const char* const row = batch.has_new(change) ? batch.tuple(change.new_row) : old_row;
  key->clear();
  for (const int column : batch.relation(change).key) {
    Field field;
    if (FieldAt(row, column, &field) == nullptr) return false;
    if (field.is_absent() && old_row != nullptr) FieldAt(old_row, column, &field);
    if (field.is_absent()) return false;
    absl::StrAppend(key, field.bytes.size(), ":", field.bytes);
  }
  return true;
}

}  // namespace

RequestBuilder::RequestBuilder(const DestinationConfig& config, const PushOptions& options, TableOptions table,
                               Codec* codec, bool remember)
    : flow_id_(config.flow_id),
      destination_(config.name),
      options_(options),
      table_(std::move(table)),
      codec_(codec),
      remember_(remember) {}

absl::Status RequestBuilder::Build(const ChangeBatch& batch, const Skip& skip, Emit emit) {
  switch (options_.payload_mode) {
    case PayloadMode::kWire:
      return BuildWire(batch, skip, emit);
    case PayloadMode::kRecordJson:
      return BuildRecords(batch, skip, emit);
    case PayloadMode::kWal:
      return BuildWal(batch, skip, emit);
  }
  return absl::InternalError("no such payload mode");
}

absl::StatusOr<const RequestBuilder::Table*> RequestBuilder::FindTable(const RelationPtr& relation) {
  return tables_.Find(relation, [this](const RelationPtr& r) -> absl::StatusOr<std::unique_ptr<Table>> {
    auto table = std::make_unique<Table>();
    table->schema = table_.TargetSchema(*r);
    table->name = table_.TargetTable(*r);
    table->key_prefix = Hex16(StableHash64(absl::StrCat(flow_id_, "\n", destination_, "\n", r->schema, "\n", r->name)));
    if (options_.payload_mode == PayloadMode::kWal) AppendRelationMessage(*r, &table->relation_message);
    return table;
  });
}

PushRequest RequestBuilder::NewRequest(const Table& table, std::string_view operation) const {
  PushRequest request;
  request.schema = table.schema;
  request.table = table.name;
  request.operation = std::string(operation);
  request.payload_mode = std::string(PayloadModeName(options_.payload_mode));
  return request;
}

bool RequestBuilder::IsSkipped(const ChangeBatch& batch, const Change& change, const Skip& skip) const {
  return skip && batch.snapshot_part().empty() && skip(IdOf(batch, change, change.kind));
}

// ---- wire ----

absl::Status RequestBuilder::BuildWire(const ChangeBatch& batch, const Skip& skip, Emit emit) {
  // A relation's runs one after the other, so that a table's older shape comes before its newer one.
  std::vector<std::vector<Run>> runs(batch.relations().size());
  const std::vector<Change>& changes = batch.changes();
  for (size_t i = 0; i < changes.size(); ++i) {
    std::vector<Run>& of_table = runs[changes[i].relation];
    if (IsSkipped(batch, changes[i], skip)) {
      // What comes next may not be cut together with what came before.
      if (!of_table.empty() && of_table.back().changes > 0) of_table.push_back({});
      continue;
    }
    if (of_table.empty() || of_table.back().changes == options_.batch_records) of_table.push_back({});
    Run& run = of_table.back();
    if (run.changes++ == 0) run.begin = i;
    run.end = i + 1;
  }
  for (uint32_t relation = 0; relation < runs.size(); ++relation) {
    for (const Run& run : runs[relation]) {
      if (run.changes > 0) RETURN_IF_ERROR(EmitRun(batch, relation, run, emit));
    }
  }
  return absl::OkStatus();
}

absl::Status RequestBuilder::EmitRun(const ChangeBatch& batch, uint32_t relation, const Run& run, Emit emit) {
  const std::vector<Change>& changes = batch.changes();
  const auto is_ours = [relation](const Change& change) { return change.relation == relation; };
  ASSIGN_OR_RETURN(const Table* const table, FindTable(batch.relations()[relation]));
  QueuedRequest queued{.request = NewRequest(*table, "batch")};
  PushRequest& request = queued.request;
  RETURN_IF_ERROR(codec_->EncodeBatch({batch, relation, run.begin, run.end}, &request.payload));
  if (static_cast<int64_t>(request.payload.size()) > options_.batch_bytes && run.changes > 1) {
    // At the same change in every replay of the same records.
    Run first{.begin = run.begin, .end = run.begin, .changes = 0}, second{.begin = 0, .end = run.end, .changes = 0};
    for (size_t i = run.begin; i < run.end; ++i) {
      if (!is_ours(changes[i])) continue;
      if (first.changes < run.changes / 2) {
        ++first.changes;
        first.end = i + 1;
      } else if (second.changes++ == 0) {
        second.begin = i;
      }
    }
    request.payload = std::string();
    RETURN_IF_ERROR(EmitRun(batch, relation, first, emit));
    return EmitRun(batch, relation, second, emit);
  }
  const Change& last = changes[run.end - 1];
  request.first = batch.position(changes[run.begin]);
  request.last = batch.position(last);
  request.transaction_id = batch.transaction(last).xid;
  request.records = run.changes;
  request.format = codec_->format();
  request.content_type = std::string(codec_->content_type());
  if (!batch.snapshot_part().empty()) {
    request.key = SnapshotKey(table->key_prefix, request.last.commit, request.payload);
  } else {
    request.key =
        absl::StrCat(table->key_prefix, "-", PositionText(request.first), "-", PositionText(request.last), "-b");
    for (size_t i = run.begin; remember_ && i < run.end; ++i) {
      if (is_ours(changes[i])) queued.records.push_back(IdOf(batch, changes[i], changes[i].kind));
    }
  }
  return emit(TableLane(batch.relations()[relation]->oid), std::move(queued));
}

// ---- record_json ----

absl::Status RequestBuilder::BuildRecords(const ChangeBatch& batch, const Skip& skip, Emit emit) {
  const std::vector<Change>& changes = batch.changes();
  const bool streamed = batch.snapshot_part().empty();
  // Neighbours of one table at a time, so that with one lane all records are in the order of the source.
  for (size_t begin = 0, end = 0; begin < changes.size(); begin = end) {
    const uint32_t relation = changes[begin].relation;
    while (end < changes.size() && changes[end].relation == relation) ++end;
    ASSIGN_OR_RETURN(const Table* const table, FindTable(batch.relations()[relation]));
    const BatchSlice slice{batch, relation, begin, end};
    RETURN_IF_ERROR(codec_->EncodeRecords(slice, [&](const EncodedRecord& record) -> absl::Status {
      if (record.tombstone) return absl::OkStatus();  // says nothing to who keeps no log
      const Transaction& transaction = *record.transaction;
      const RecordId id{transaction.commit.value, transaction.commit_time_micros, record.position.seq, transaction.xid,
                        record.kind};
      if (streamed && skip && skip(id)) return absl::OkStatus();
      return EmitRecord(slice, *table, record, emit);
    }));
  }
  return absl::OkStatus();
}

absl::Status RequestBuilder::EmitRecord(const BatchSlice& slice, const Table& table, const EncodedRecord& record,
                                        Emit emit) const {
  QueuedRequest queued{.request = NewRequest(table, OperationName(record.kind))};
  PushRequest& request = queued.request;
  request.first = request.last = record.position;
  request.transaction_id = record.transaction->xid;
  request.format = WireFormat::kJson;
  request.content_type = std::string(codec_->record_content_type());
  request.payload = std::string(record.value);
  if (slice.batch.snapshot_part().empty()) {
    request.key = RecordKey(table.key_prefix, record.position, record.kind);
    if (remember_) {
      queued.records = {{record.transaction->commit.value, record.transaction->commit_time_micros, record.position.seq,
                         record.transaction->xid, record.kind}};
    }
  } else {
    request.key = record.has_key ? SnapshotKey(table.key_prefix, record.position.commit, record.key)
                                 : SnapshotKey(table.key_prefix, record.position.commit,
                                               absl::StrCat(record.value, slice.batch.snapshot_part()));
  }
  const uint32_t oid = slice.batch.relations()[slice.relation]->oid;
  const uint64_t lane = record.kind == ChangeKind::kTruncate ? kBarrier
                        : record.has_key                     ? Mix(oid, record.key)
                                                             : TableLane(oid);
  return emit(lane, std::move(queued));
}

// ---- wal ----

absl::Status RequestBuilder::BuildWal(const ChangeBatch& batch, const Skip& skip, Emit emit) {
  std::string key;
  for (const Change& change : batch.changes()) {
    if (IsSkipped(batch, change, skip)) continue;
    ASSIGN_OR_RETURN(const Table* const table, FindTable(batch.relations()[change.relation]));
    QueuedRequest queued{.request = NewRequest(*table, OperationName(change.kind))};
    PushRequest& request = queued.request;
    request.first = request.last = batch.position(change);
    request.transaction_id = batch.transaction(change).xid;
    request.content_type = "application/vnd.postgresql.pgoutput";
    request.payload = table->relation_message;
    AppendChangeMessage(batch, change, &request.payload);
    const Relation& relation = batch.relation(change);
    const bool has_key = relation.has_key() && RawKey(batch, change, &key);
    if (batch.snapshot_part().empty()) {
      request.key = RecordKey(table->key_prefix, request.last, change.kind);
      if (remember_) queued.records = {IdOf(batch, change, change.kind)};
    } else {
      request.key = SnapshotKey(table->key_prefix, request.last.commit,
                                has_key ? key : absl::StrCat(request.payload, batch.snapshot_part(), change.seq));
    }
    const bool barrier = change.kind == ChangeKind::kTruncate || (relation.has_key() && !has_key);
    const uint64_t lane = barrier ? kBarrier : has_key ? Mix(relation.oid, key) : TableLane(relation.oid);
    RETURN_IF_ERROR(emit(lane, std::move(queued)));
  }
  return absl::OkStatus();
}

}  // namespace wallaby
