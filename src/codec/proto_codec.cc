#include "codec/proto_codec.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "codec/json_rows.h"
#include "codec/record_rows.h"
#include "codec/relation_cache.h"
#include "codec/utf8.h"

namespace wallaby {
namespace {

// Places of the messages in RecordProtoFile().
constexpr int kRecordMessage = 0, kBatchMessage = 1;

// Field numbers of types.proto.
enum RecordField {
  kTable = 1,
  kOperation,
  kKey,
  kBefore,
  kAfter,
  kDdl,
  kTimeMillis,
  kSchemaVersion,
  kUnchanged,
  kNamespace = 20,
  kLsn,
  kSeq,
  kTransactionId,
  kCommitTimeMicros
};
enum BatchField { kBatchSchema = 1, kBatchRecords, kBatchCheckpoint, kBatchFormat };
enum SchemaField { kName = 1, kSpace, kVersion, kColumns };
enum ColumnField { kColumnName = 1, kColumnType, kColumnNullable };
enum CheckpointField { kCheckpointLsn = 1, kCheckpointMillis };

// ---- the wire form: protobuf.dev, "Encoding" ----

void AppendVarint(uint64_t value, std::string* out) {
  for (; value >= 0x80; value >>= 7) out->push_back(static_cast<char>(value | 0x80));
  out->push_back(static_cast<char>(value));
}
void AppendNumber(int field, uint64_t value, std::string* out) {
  if (value == 0) return;  // as proto3 leaves out what is zero
  AppendVarint(static_cast<uint64_t>(field) << 3, out);
  AppendVarint(value, out);
}
void AppendBytes(int field, std::string_view bytes, std::string* out) {
  AppendVarint(static_cast<uint64_t>(field) << 3 | 2, out);
  AppendVarint(bytes.size(), out);
  out->append(bytes);
}

struct Table {
  JsonRows rows;
  std::string head;    // table, namespace, schema version
  std::string schema;  // message Schema
  PayloadSchema payload;
  std::string record_frame, batch_frame;
};

absl::StatusOr<std::string> SchemaMessage(const Relation& relation, const CodecOptions& options) {
  std::string out, column_message;
  AppendBytes(kName, relation.name, &out);
  AppendBytes(kSpace, relation.schema, &out);
  AppendNumber(kVersion, static_cast<uint64_t>(relation.version), &out);
  for (const Column& column : relation.columns) {
    if (!IsUtf8(column.name)) return NotUtf8(column.name, "protobuf");
    column_message.clear();
    AppendBytes(kColumnName, column.name, &column_message);
    AppendBytes(kColumnType, TypeOf(options, relation, column).sql_name, &column_message);
    AppendNumber(kColumnNullable, column.key ? 0 : 1, &column_message);
    AppendBytes(kColumns, column_message, &out);
  }
  return out;
}

class ProtoCodec : public Codec {
 public:
  explicit ProtoCodec(CodecOptions options) : options_(std::move(options)) {}

  WireFormat format() const override { return WireFormat::kProto; }
  std::string_view content_type() const override { return "application/x-protobuf"; }
  std::string_view file_extension() const override { return "pb"; }
  std::string_view record_content_type() const override { return "application/x-protobuf"; }

  absl::StatusOr<PayloadSchema> Describe(const RelationPtr& relation) override {
    ASSIGN_OR_RETURN(const Table* table, FindTable(relation));
    return table->payload;
  }

  absl::Status EncodeBatch(const BatchSlice& slice, std::string* out) override {
    ASSIGN_OR_RETURN(Table * table, FindTable(slice.batch.relations()[slice.relation]));
    batch_.clear();
    const Transaction* last = nullptr;
    RETURN_IF_ERROR(ForEachRecord(slice, [&](const Change& change, const RecordRows& rows) {
      last = &slice.batch.transaction(change);
      RETURN_IF_ERROR(MakeRecord(*table, slice.batch, change, rows));
      AppendBytes(kBatchRecords, record_, &batch_);
      return absl::OkStatus();
    }));
    if (last == nullptr) return absl::OkStatus();
    out->append(table->batch_frame);
    AppendBytes(kBatchSchema, table->schema, out);
    out->append(batch_);
    std::string checkpoint;
    AppendBytes(kCheckpointLsn, last->commit.ToString(), &checkpoint);
    AppendNumber(kCheckpointMillis, static_cast<uint64_t>(last->commit_time_micros / 1000), &checkpoint);
    AppendBytes(kBatchCheckpoint, checkpoint, out);
    AppendNumber(kBatchFormat, static_cast<uint64_t>(WireFormat::kProto), out);
    return absl::OkStatus();
  }

  absl::Status EncodeRecords(const BatchSlice& slice, RecordSink sink) override {
    ASSIGN_OR_RETURN(Table * table, FindTable(slice.batch.relations()[slice.relation]));
    return ForEachRecord(slice, [&](const Change& change, const RecordRows& rows) {
      RETURN_IF_ERROR(MakeRecord(*table, slice.batch, change, rows));
      std::string_view value = record_;
      if (!table->record_frame.empty()) {
        framed_ = table->record_frame;
        value = framed_.append(record_);
      }
      return sink(Encoded(slice, change, rows, key_, value));
    });
  }

 private:
  absl::StatusOr<Table*> FindTable(const RelationPtr& relation) {
    return tables_.Find(relation, [this](const RelationPtr& r) { return MakeTable(r); });
  }

  absl::StatusOr<std::unique_ptr<Table>> MakeTable(const RelationPtr& relation) const {
    for (const std::string& name : {relation->schema, relation->name}) {
      if (!IsUtf8(name)) return NotUtf8(name, "protobuf");
    }
    ASSIGN_OR_RETURN(JsonRows rows, JsonRows::Make(relation, options_));
    auto table = std::make_unique<Table>(Table{.rows = std::move(rows)});
    AppendBytes(kTable, relation->name, &table->head);
    AppendBytes(kNamespace, relation->schema, &table->head);
    AppendNumber(kSchemaVersion, static_cast<uint64_t>(relation->version), &table->head);
    ASSIGN_OR_RETURN(table->schema, SchemaMessage(*relation, options_));
    table->payload = {.name = relation->name,
                      .space = relation->schema,
                      .version = relation->version,
                      .text = std::string(RecordProtoFile())};
    RETURN_IF_ERROR(Register(*relation, table.get()));
    return table;
  }

  absl::Status Register(const Relation& relation, Table* table) const {
    if (options_.registry == nullptr) return absl::OkStatus();
    PayloadSchema& payload = table->payload;
    payload.registry_subject = options_.subjects.Of(TopicOf(options_, relation), "wallaby.v1.Record", false);
    ASSIGN_OR_RETURN(const RegisteredSchema schema,
                     options_.registry->Register(payload.registry_subject, SchemaType::kProtobuf, payload.text));
    payload.registry_id = schema.id;
    payload.registry_version = schema.version;
    for (auto [frame, message] :
         {std::pair(&table->record_frame, kRecordMessage), std::pair(&table->batch_frame, kBatchMessage)}) {
      *frame = schema.frame;
      AppendMessagePath(message, frame);
    }
    return absl::OkStatus();
  }

  // The key in JSON is in key_ afterwards, the message in record_.
  absl::Status MakeRecord(Table& table, const ChangeBatch& batch, const Change& change, const RecordRows& rows) {
    const Transaction& transaction = batch.transaction(change);
    key_.clear();
    record_ = table.head;
    AppendBytes(kOperation, OperationName(rows.kind), &record_);
    if (rows.key != nullptr) {
      RETURN_IF_ERROR(table.rows.AppendKey(TupleCursor(rows.key), rows.key_rest, &key_));
      AppendBytes(kKey, key_, &record_);
    }
    RETURN_IF_ERROR(AppendImage(table, kBefore, rows.before));
    RETURN_IF_ERROR(AppendImage(table, kAfter, rows.after));
    if (rows.after != nullptr) {
      for (TupleCursor row(rows.after); !row.done(); row.Next()) {
        if (!row.field().is_absent()) continue;
        AppendBytes(kUnchanged, table.rows.relation()->columns[static_cast<size_t>(row.index())].name, &record_);
      }
    }
    AppendNumber(kTimeMillis, static_cast<uint64_t>(transaction.commit_time_micros / 1000), &record_);
    AppendNumber(kLsn, transaction.commit.value, &record_);
    AppendNumber(kSeq, change.seq, &record_);
    AppendNumber(kTransactionId, transaction.xid, &record_);
    AppendNumber(kCommitTimeMicros, static_cast<uint64_t>(transaction.commit_time_micros), &record_);
    return absl::OkStatus();
  }

  absl::Status AppendImage(Table& table, int field, const char* row) {
    if (row == nullptr) return absl::OkStatus();
    image_.clear();
    RETURN_IF_ERROR(table.rows.AppendRow(TupleCursor(row), &image_));
    AppendBytes(field, image_, &record_);
    return absl::OkStatus();
  }

  // In Confluent's wire format: how many numbers the path has, then those, each in zig-zag; {0} is a single zero.
  static void AppendMessagePath(int message, std::string* out) {
    if (message == 0) return AppendVarint(0, out);
    AppendVarint(2, out);
    AppendVarint(static_cast<uint64_t>(message) * 2, out);
  }

  const CodecOptions options_;
  RelationCache<Table> tables_;
  std::string key_;
  std::string image_;
  std::string record_;
  std::string framed_;
  std::string batch_;
};

}  // namespace

std::string_view RecordProtoFile() {
  return R"(syntax = "proto3";

package wallaby.v1;

message Record {
  string table = 1;
  string operation = 2;
  bytes key = 3;
  bytes before_json = 4;
  bytes after_json = 5;
  string ddl = 6;
  int64 timestamp_unix_millis = 7;
  int64 schema_version = 8;
  repeated string unchanged = 9;
  string namespace = 20;
  uint64 lsn = 21;
  uint32 seq = 22;
  uint32 transaction_id = 23;
  int64 commit_time_unix_micros = 24;
}

message Batch {
  Schema schema = 1;
  repeated Record records = 2;
  Checkpoint checkpoint = 3;
  WireFormat wire_format = 4;
}

message Schema {
  string name = 1;
  string namespace = 2;
  int64 version = 3;
  repeated SchemaColumn columns = 4;
}

message SchemaColumn {
  string name = 1;
  string type = 2;
  bool nullable = 3;
  bool generated = 4;
  string expression = 5;
}

message Checkpoint {
  string lsn = 1;
  int64 timestamp_unix_millis = 2;
  map<string, string> metadata = 3;
}

enum WireFormat {
  WIRE_FORMAT_UNSPECIFIED = 0;
  WIRE_FORMAT_ARROW = 1;
  WIRE_FORMAT_PARQUET = 2;
  WIRE_FORMAT_PROTO = 3;
  WIRE_FORMAT_AVRO = 4;
  WIRE_FORMAT_JSON = 5;
}
)";
}

absl::StatusOr<std::unique_ptr<Codec>> MakeProtoCodec(CodecOptions options) {
  return std::make_unique<ProtoCodec>(std::move(options));
}

}  // namespace wallaby
