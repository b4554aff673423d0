#include "codec/debezium_codec.h"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/status.h"
#include "codec/debezium_value.h"
#include "codec/json_text.h"
#include "codec/record_rows.h"
#include "codec/relation_cache.h"
#include "codec/value_error.h"

namespace wallaby {
namespace {

// The schema of `source`, of `transaction` and of what follows; the same in every message of the connector.
constexpr std::string_view kTailSchema =
    R"({"type":"struct","fields":[{"type":"string","optional":false,"field":"version"},)"
    R"({"type":"string","optional":false,"field":"connector"},{"type":"string","optional":false,"field":"name"},)"
    R"({"type":"int64","optional":false,"field":"ts_ms"},{"type":"string","optional":true,)"
    R"("name":"io.debezium.data.Enum","version":1,"parameters":{"allowed":)"
    R"("true,first,first_in_data_collection,last_in_data_collection,last,false,incremental"},)"
    R"("default":"false","field":"snapshot"},{"type":"string","optional":false,"field":"db"},)"
    R"({"type":"string","optional":true,"field":"sequence"},{"type":"int64","optional":true,"field":"ts_us"},)"
    R"({"type":"int64","optional":true,"field":"ts_ns"},{"type":"string","optional":false,"field":"schema"},)"
    R"({"type":"string","optional":false,"field":"table"},{"type":"int64","optional":true,"field":"txId"},)"
    R"({"type":"int64","optional":true,"field":"lsn"},{"type":"int64","optional":true,"field":"xmin"}],)"
    R"("optional":false,"name":"io.debezium.connector.postgresql.Source","version":1,"field":"source"},)"
    R"({"type":"struct","fields":[{"type":"string","optional":false,"field":"id"},)"
    R"({"type":"int64","optional":false,"field":"total_order"},)"
    R"({"type":"int64","optional":false,"field":"data_collection_order"}],"optional":true,"name":"event.block",)"
    R"("version":1,"field":"transaction"},{"type":"string","optional":false,"field":"op"},)"
    R"({"type":"int64","optional":true,"field":"ts_ms"},{"type":"int64","optional":true,"field":"ts_us"},)"
    R"({"type":"int64","optional":true,"field":"ts_ns"}],"optional":false,"name":)";

struct TableField {
  std::string prefix;  // "name": in JSON
  DebeziumType type;
};

struct Table {
  RelationPtr relation;
  std::vector<TableField> fields;
  std::string key_head;     // up to the key, with json_schemas the schema
  std::string value_head;   // up to "before"
  std::string source_tail;  // of "source": schema and table
};

bool IsKey(const Relation& relation, int index) {
  for (const int key : relation.key) {
    if (key == index) return true;
  }
  return false;
}

class DebeziumCodec : public Codec {
 public:
  explicit DebeziumCodec(CodecOptions options) : options_(std::move(options)) {
    source_head_ = R"({"version":"wallaby","connector":"postgresql","name":)";
    AppendJsonString(options_.source_name, &source_head_);
    source_head_ += ",\"ts_ms\":";
    AppendJsonString(options_.database, &database_);
  }

  WireFormat format() const override { return WireFormat::kJson; }
  std::string_view content_type() const override { return "application/x-ndjson"; }
  std::string_view file_extension() const override { return "jsonl"; }
  std::string_view record_content_type() const override { return "application/json"; }

  absl::StatusOr<PayloadSchema> Describe(const RelationPtr& relation) override {
    RETURN_IF_ERROR(FindTable(relation).status());
    return PayloadSchema{.name = relation->name, .space = relation->schema, .version = relation->version};
  }

  absl::Status EncodeBatch(const BatchSlice& slice, std::string* out) override {
    const size_t before = out->size();
    absl::Status status = EncodeRecords(slice, [out](const EncodedRecord& record) {
      if (!record.tombstone) out->append(record.value).push_back('\n');
      return absl::OkStatus();
    });
    if (!status.ok()) out->resize(before);
    return status;
  }

  // Lines follow lines.
  absl::Status AppendPart(const BatchSlice& slice, std::string* out) override { return EncodeBatch(slice, out); }

  absl::Status EncodeRecords(const BatchSlice& slice, RecordSink sink) override {
    ASSIGN_OR_RETURN(Table * table, FindTable(slice.batch.relations()[slice.relation]));
    now_micros_ = absl::ToUnixMicros(absl::Now());
    bool key_gone = false;  // the change at hand deleted its old key, so what follows is a new row
    return ForEachRecord(slice, [&](const Change& change, const RecordRows& rows) {
      const bool moved =
          std::exchange(key_gone, change.kind == ChangeKind::kUpdate && rows.kind == ChangeKind::kDelete);
      const char op = moved ? 'c' : static_cast<char>(rows.kind);
      RETURN_IF_ERROR(MakeKey(*table, rows));
      RETURN_IF_ERROR(MakeValue(*table, slice.batch, change, rows, op));
      EncodedRecord record = Encoded(slice, change, rows, key_, value_);
      RETURN_IF_ERROR(sink(record));
      if (rows.kind != ChangeKind::kDelete || !record.has_key) return absl::OkStatus();
      record.tombstone = true;
      record.value = {};
      return sink(record);
    });
  }

 private:
  absl::StatusOr<Table*> FindTable(const RelationPtr& relation) {
    return tables_.Find(relation, [this](const RelationPtr& r) { return MakeTable(r); });
  }

  absl::StatusOr<std::unique_ptr<Table>> MakeTable(const RelationPtr& relation) const {
    auto table = std::make_unique<Table>();
    table->relation = relation;
    std::string name = options_.source_name + "." + relation->QualifiedName(), quoted;
    bool text = AppendJsonString(name, &quoted);
    std::string key_fields, value_fields;
    for (size_t i = 0; i < relation->columns.size(); ++i) {
      const Column& column = relation->columns[i];
      const bool key = IsKey(*relation, static_cast<int>(i));
      TableField field{.type = DebeziumType::Of(TypeOf(options_, *relation, column), !key)};
      text &= AppendJsonString(column.name, &field.prefix);
      const std::string schema = absl::StrCat("{", field.type.schema, ",\"field\":", field.prefix, "}");
      absl::StrAppend(&value_fields, value_fields.empty() ? "" : ",", schema);
      if (key) absl::StrAppend(&key_fields, key_fields.empty() ? "" : ",", schema);
      field.prefix.push_back(':');
      table->fields.push_back(std::move(field));
    }
    table->source_tail = ",\"schema\":";
    text &= AppendJsonString(relation->schema, &table->source_tail);
    table->source_tail += ",\"table\":";
    text &= AppendJsonString(relation->name, &table->source_tail);
    if (!text) {
      return absl::InvalidArgumentError(
          absl::StrCat("a name of table ", name, " or of its columns is not UTF-8, and JSON has no other text"));
    }
    if (options_.json_schemas) {
      quoted.pop_back();  // what follows completes the name
      table->key_head = absl::StrCat(R"({"schema":{"type":"struct","fields":[)", key_fields,
                                     R"(],"optional":false,"name":)", quoted, R"(.Key"},"payload":)");
      const std::string image = absl::StrCat(R"({"type":"struct","fields":[)", value_fields,
                                             R"(],"optional":true,"name":)", quoted, R"(.Value","field":)");
      table->value_head = absl::StrCat(R"({"schema":{"type":"struct","fields":[)", image, R"("before"},)", image,
                                       R"("after"},)", kTailSchema, quoted, R"(.Envelope","version":2},"payload":)");
    }
    return table;
  }

  absl::Status AppendField(Table& table, int index, const Field& field, std::string* out) {
    const TableField& column = table.fields[static_cast<size_t>(index)];
    const size_t before = out->size();
    if (out->back() != '{') out->push_back(',');
    out->append(column.prefix);
    if (field.is_null()) return out->append("null"), absl::OkStatus();
    if (field.is_absent()) {
      if (!AppendDebeziumUnavailable(column.type, out)) out->resize(before);
      return absl::OkStatus();
    }
    const absl::Status status = AppendDebeziumValue(field, column.type, &scratch_, out);
    return status.ok() ? status : ExplainValue(status, *table.relation, index, column.type.type);
  }

  absl::Status MakeKey(Table& table, const RecordRows& rows) {
    key_ = table.key_head;
    if (rows.key == nullptr) return key_.clear(), absl::OkStatus();
    key_.push_back('{');
    RETURN_IF_ERROR(ForKeyFields(*table.relation, TupleCursor(rows.key), rows.key_rest,
                                 [&](int i, const Field& field) { return AppendField(table, i, field, &key_); }));
    key_.push_back('}');
    if (options_.json_schemas) key_.push_back('}');
    return absl::OkStatus();
  }

  absl::Status AppendImage(Table& table, const char* row) {
    if (row == nullptr) return value_.append("null"), absl::OkStatus();
    TupleCursor cursor(row);
    if (cursor.count() != static_cast<int>(table.fields.size())) {
      return WrongColumnCount(*table.relation, cursor.count());
    }
    value_.push_back('{');
    for (; !cursor.done(); cursor.Next()) RETURN_IF_ERROR(AppendField(table, cursor.index(), cursor.field(), &value_));
    value_.push_back('}');
    return absl::OkStatus();
  }

  void AppendFinerTimes(int64_t micros) {
    value_ += ",\"ts_us\":";
    AppendNumber(micros, &value_);
    value_ += ",\"ts_ns\":";
    AppendNumber(micros * 1000, &value_);
  }

  void AppendSource(const Table& table, const Transaction& transaction, const Change& change) {
    const int64_t micros = transaction.commit_time_micros;
    value_.append(source_head_);
    AppendNumber(micros / 1000, &value_);
    value_ += change.kind == ChangeKind::kRead ? R"(,"snapshot":"true","db":)" : R"(,"snapshot":"false","db":)";
    value_.append(database_).append(R"(,"sequence":"[\")");
    AppendNumber(transaction.commit.value, &value_);
    value_ += R"(\",\")";
    AppendNumber(uint64_t{change.seq}, &value_);
    value_ += R"(\"]")";
    AppendFinerTimes(micros);
    value_.append(table.source_tail).append(",\"txId\":");
    AppendNumber(uint64_t{transaction.xid}, &value_);
    value_ += ",\"lsn\":";
    AppendNumber(transaction.commit.value, &value_);
    value_ += ",\"xmin\":null}";
  }

  absl::Status MakeValue(Table& table, const ChangeBatch& batch, const Change& change, const RecordRows& rows,
                         char op) {
    value_ = table.value_head;
    value_ += "{\"before\":";
    // Unlike in our own envelope the old key stands here too, with nulls around it.
    const char* before = rows.before;
    if (before == nullptr && rows.kind == ChangeKind::kDelete) before = rows.key;
    RETURN_IF_ERROR(AppendImage(table, op == 'c' ? nullptr : before));
    value_ += ",\"after\":";
    RETURN_IF_ERROR(AppendImage(table, rows.after));
    value_ += ",\"source\":";
    AppendSource(table, batch.transaction(change), change);
    value_.append(",\"transaction\":null,\"op\":\"").append(1, op).append("\",\"ts_ms\":");
    AppendNumber(now_micros_ / 1000, &value_);
    AppendFinerTimes(now_micros_);
    value_.push_back('}');
    if (options_.json_schemas) value_.push_back('}');
    return absl::OkStatus();
  }

  const CodecOptions options_;
  std::string source_head_;
  std::string database_;
  RelationCache<Table> tables_;
  std::string key_;
  std::string value_;
  std::string scratch_;
  int64_t now_micros_ = 0;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Codec>> MakeDebeziumCodec(CodecOptions options) {
  return std::make_unique<DebeziumCodec>(std::move(options));
}

}  // namespace wallaby
