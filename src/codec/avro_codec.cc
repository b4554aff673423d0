#include "codec/avro_codec.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/stable_hash.h"
#include "base/status.h"
#include "codec/avro_schema.h"
#include "codec/avro_value.h"
#include "codec/record_rows.h"
#include "codec/relation_cache.h"
#include "codec/utf8.h"
#include "codec/value_error.h"

namespace wallaby {
namespace {

struct Table {
  RelationPtr relation;
  std::vector<PgType> types;
  AvroSchemas schemas;
  std::string head;  // namespace, table, schema version: the same in every record
  PayloadSchema payload;
  std::string record_frame, key_frame;  // in front of a datum
};

// Avro's single-object encoding: two bytes and the schema's fingerprint, little-endian.
std::string FingerprintFrame(const AvroSchema& schema) {
  std::string frame("\xc3\x01", 2);
  for (int i = 0; i < 8; ++i) frame.push_back(static_cast<char>(schema.fingerprint >> (8 * i)));
  return frame;
}

class AvroCodec : public Codec {
 public:
  explicit AvroCodec(CodecOptions options) : options_(std::move(options)) {}

  WireFormat format() const override { return WireFormat::kAvro; }
  std::string_view content_type() const override { return "avro/binary"; }
  std::string_view file_extension() const override { return "avro"; }
  std::string_view record_content_type() const override { return "avro/binary"; }

  absl::StatusOr<PayloadSchema> Describe(const RelationPtr& relation) override {
    ASSIGN_OR_RETURN(const Table* table, FindTable(relation));
    return table->payload;
  }

  absl::Status EncodeBatch(const BatchSlice& slice, std::string* out) override {
    ASSIGN_OR_RETURN(Table * table, FindTable(slice.batch.relations()[slice.relation]));
    Position first;
    ASSIGN_OR_RETURN(const int64_t count, GatherRecords(*table, slice, &first));
    if (count == 0) return absl::OkStatus();
    // The mark between blocks is made of what the file is, so that a replay writes the same bytes.
    const std::string mark = MarkOf(*table, absl::StrCat(first.ToString(), "/", count));
    AppendContainerHead(*table, mark, out);
    AppendBlock(count, mark, out);
    return absl::OkStatus();
  }

  absl::Status AppendHead(const RelationPtr& relation, std::string* out) override {
    ASSIGN_OR_RETURN(const Table* table, FindTable(relation));
    AppendContainerHead(*table, MarkOf(*table, kParts), out);
    return absl::OkStatus();
  }

  absl::Status AppendPart(const BatchSlice& slice, std::string* out) override {
    ASSIGN_OR_RETURN(Table * table, FindTable(slice.batch.relations()[slice.relation]));
    Position first;
    ASSIGN_OR_RETURN(const int64_t count, GatherRecords(*table, slice, &first));
    if (count > 0) AppendBlock(count, MarkOf(*table, kParts), out);
    return absl::OkStatus();
  }

  absl::Status EncodeRecords(const BatchSlice& slice, RecordSink sink) override {
    ASSIGN_OR_RETURN(Table * table, FindTable(slice.batch.relations()[slice.relation]));
    return ForEachRecord(slice, [&](const Change& change, const RecordRows& rows) {
      RETURN_IF_ERROR(MakeKey(*table, rows));
      value_ = table->record_frame;
      RETURN_IF_ERROR(AppendRecord(*table, slice.batch, change, rows, &value_));
      return sink(Encoded(slice, change, rows, key_, value_));
    });
  }

 private:
  absl::StatusOr<Table*> FindTable(const RelationPtr& relation) {
    return tables_.Find(relation, [this](const RelationPtr& r) { return MakeTable(r); });
  }

  absl::StatusOr<std::unique_ptr<Table>> MakeTable(const RelationPtr& relation) const {
    auto table = std::make_unique<Table>();
    table->relation = relation;
    for (const Column& column : relation->columns) table->types.push_back(TypeOf(options_, *relation, column));
    table->schemas = MakeAvroSchemas(*relation, table->types);
    for (const std::string& name : {relation->schema, relation->name}) {
      if (!IsUtf8(name)) return NotUtf8(name, "Avro");
      AppendAvroBytes(name, &table->head);
    }
    AppendAvroLong(relation->version, &table->head);
    table->payload = {.name = relation->name,
                      .space = relation->schema,
                      .version = relation->version,
                      .text = table->schemas.record.text};
    RETURN_IF_ERROR(Register(table.get()));
    return table;
  }

  absl::Status Register(Table* table) const {
    const AvroSchemas& schemas = table->schemas;
    if (options_.registry == nullptr) {
      table->record_frame = FingerprintFrame(schemas.record);
      table->key_frame = FingerprintFrame(schemas.key);
      return absl::OkStatus();
    }
    const std::string topic = TopicOf(options_, *table->relation);
    if (table->relation->has_key()) {
      const std::string subject = options_.subjects.Of(topic, schemas.key.full_name, true);
      ASSIGN_OR_RETURN(const RegisteredSchema key,
                       options_.registry->Register(subject, SchemaType::kAvro, schemas.key.text));
      table->key_frame = key.frame;
    }
    table->payload.registry_subject = options_.subjects.Of(topic, schemas.record.full_name, false);
    ASSIGN_OR_RETURN(
        const RegisteredSchema record,
        options_.registry->Register(table->payload.registry_subject, SchemaType::kAvro, schemas.record.text));
    table->record_frame = record.frame;
    table->payload.registry_id = record.id;
    table->payload.registry_version = record.version;
    return absl::OkStatus();
  }

  absl::Status AppendField(const Table& table, int index, const Field& field, std::string* out) {
    const PgType& type = table.types[static_cast<size_t>(index)];
    const absl::Status status = AppendAvroField(field, type, &scratch_, out);
    return status.ok() ? status : ExplainValue(status, *table.relation, index, type);
  }

  absl::Status MakeKey(const Table& table, const RecordRows& rows) {
    key_ = table.key_frame;
    if (rows.key == nullptr) return absl::OkStatus();
    return ForKeyFields(*table.relation, TupleCursor(rows.key), rows.key_rest,
                        [&](int index, const Field& field) { return AppendField(table, index, field, &key_); });
  }

  absl::Status AppendImage(const Table& table, const char* row, std::string* out) {
    if (row == nullptr) return AppendAvroLong(0, out), absl::OkStatus();
    TupleCursor cursor(row);
    if (cursor.count() != static_cast<int>(table.types.size())) {
      return WrongColumnCount(*table.relation, cursor.count());
    }
    AppendAvroLong(1, out);
    for (; !cursor.done(); cursor.Next()) RETURN_IF_ERROR(AppendField(table, cursor.index(), cursor.field(), out));
    return absl::OkStatus();
  }

  // The key is in key_, behind its frame.
  absl::Status AppendRecord(const Table& table, const ChangeBatch& batch, const Change& change, const RecordRows& rows,
                            std::string* out) {
    const Transaction& transaction = batch.transaction(change);
    AppendAvroBytes(OperationName(rows.kind), out);
    out->append(table.head);
    AppendAvroLong(static_cast<int64_t>(transaction.commit.value), out);
    AppendAvroLong(change.seq, out);
    AppendAvroLong(transaction.xid, out);
    AppendAvroLong(transaction.commit_time_micros, out);
    // Of a table without a key, the key's type is null alone, which takes no bytes.
    if (table.relation->has_key()) AppendAvroLong(rows.key != nullptr, out);
    if (rows.key != nullptr) out->append(key_, table.key_frame.size());
    RETURN_IF_ERROR(AppendImage(table, rows.before, out));
    RETURN_IF_ERROR(AppendImage(table, rows.after, out));
    AppendUnchanged(table, rows.after, out);
    return absl::OkStatus();
  }

  static void AppendUnchanged(const Table& table, const char* row, std::string* out) {
    int64_t count = 0;
    if (row != nullptr) {
      for (TupleCursor cursor(row); !cursor.done(); cursor.Next()) count += cursor.field().is_absent();
    }
    AppendAvroLong(count, out);
    if (count == 0) return;
    for (TupleCursor cursor(row); !cursor.done(); cursor.Next()) {
      if (cursor.field().is_absent()) {
        AppendAvroBytes(table.relation->columns[static_cast<size_t>(cursor.index())].name, out);
      }
    }
    AppendAvroLong(0, out);
  }

  // Records of the slice into value_; their number, and where the first one stands.
  absl::StatusOr<int64_t> GatherRecords(const Table& table, const BatchSlice& slice, Position* first) {
    value_.clear();
    int64_t count = 0;
    RETURN_IF_ERROR(ForEachRecord(slice, [&](const Change& change, const RecordRows& rows) {
      if (count++ == 0) *first = slice.batch.position(change);
      RETURN_IF_ERROR(MakeKey(table, rows));
      return AppendRecord(table, slice.batch, change, rows, &value_);
    }));
    return count;
  }

  // Sixteen bytes between blocks.
  static std::string MarkOf(const Table& table, std::string_view of) {
    const uint64_t mark[2] = {StableHash64(table.schemas.record.text), StableHash64(of)};
    return {reinterpret_cast<const char*>(mark), sizeof(mark)};
  }

  static void AppendContainerHead(const Table& table, std::string_view mark, std::string* out) {
    out->append("Obj\1", 4);
    AppendAvroLong(2, out);
    AppendAvroBytes("avro.schema", out);
    AppendAvroBytes(table.schemas.record.text, out);
    AppendAvroBytes("avro.codec", out);
    AppendAvroBytes("null", out);
    AppendAvroLong(0, out);
    out->append(mark);
  }

  // The records are in value_.
  void AppendBlock(int64_t count, std::string_view mark, std::string* out) const {
    AppendAvroLong(count, out);
    AppendAvroBytes(value_, out);
    out->append(mark);
  }

  static constexpr std::string_view kParts = "parts";  // of a file that grows

  const CodecOptions options_;
  RelationCache<Table> tables_;
  std::string key_;
  std::string value_;
  std::string scratch_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Codec>> MakeAvroCodec(CodecOptions options) {
  return std::make_unique<AvroCodec>(std::move(options));
}

}  // namespace wallaby
