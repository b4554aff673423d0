#include "codec/columnar_codec.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "arrow/buffer.h"
#include "arrow/io/memory.h"
#include "arrow/ipc/writer.h"
#include "arrow/record_batch.h"
#include "arrow/table.h"
#include "arrow/type.h"
#include "arrow/util/key_value_metadata.h"
#include "base/status.h"
#include "change/append_rows.h"
#include "codec/arrow_rows.h"
#include "codec/json_rows.h"
#include "codec/parquet_writer.h"
#include "codec/record_rows.h"
#include "codec/relation_cache.h"
#include "parquet/arrow/writer.h"

namespace wallaby {
namespace {

absl::Status FromArrow(const arrow::Status& status) {
  if (status.ok()) return absl::OkStatus();
  const std::string text = absl::StrCat("Arrow: ", status.ToString());
  return status.IsOutOfMemory() || status.IsCapacityError() ? absl::ResourceExhaustedError(text)
                                                            : absl::InternalError(text);
}

struct Table {
  RelationPtr relation;
  std::vector<ArrowColumn> columns;
  std::unique_ptr<ArrowRows> rows;
  JsonRows keys;
  std::shared_ptr<arrow::Schema> schema;  // with the table's name and version
  std::string nulls;                      // a row without values
};

class ColumnarCodec : public Codec {
 public:
  ColumnarCodec(CodecOptions options, ParquetCompression compression)
      : options_(std::move(options)), compression_(compression) {}

  WireFormat format() const override { return options_.format; }
  std::string_view content_type() const override {
    return parquet() ? "application/vnd.apache.parquet" : "application/vnd.apache.arrow.stream";
  }
  std::string_view file_extension() const override { return parquet() ? "parquet" : "arrows"; }
  // A Parquet file for a single row is no message.
  std::string_view record_content_type() const override { return parquet() ? "" : content_type(); }

  absl::StatusOr<PayloadSchema> Describe(const RelationPtr& relation) override {
    RETURN_IF_ERROR(FindTable(relation).status());
    return PayloadSchema{.name = relation->name, .space = relation->schema, .version = relation->version};
  }

  absl::Status EncodeBatch(const BatchSlice& slice, std::string* out) override {
    ASSIGN_OR_RETURN(Table * table, FindTable(slice.batch.relations()[slice.relation]));
    const std::vector<Change>& changes = slice.batch.changes();
    for (size_t i = slice.begin; i < slice.end; ++i) {
      if (changes[i].relation != slice.relation) continue;
      for (const AppendRow& row : AppendRows(slice.batch, changes[i])) {
        RETURN_IF_ERROR(Add(table, slice.batch, changes[i], row.op, row.tuple));
      }
    }
    return table->rows->rows() == 0 ? absl::OkStatus() : Write(table, out);
  }

  absl::Status EncodeRecords(const BatchSlice& slice, RecordSink sink) override {
    if (parquet()) {
      return absl::InvalidArgumentError(
          "format parquet has no form for a single record; send batches, or use json, avro, proto or arrow");
    }
    ASSIGN_OR_RETURN(Table * table, FindTable(slice.batch.relations()[slice.relation]));
    const std::vector<Change>& changes = slice.batch.changes();
    for (size_t i = slice.begin; i < slice.end; ++i) {
      if (changes[i].relation != slice.relation) continue;
      for (const AppendRow& row : AppendRows(slice.batch, changes[i])) {
        RETURN_IF_ERROR(EncodeRecord(table, slice.batch, changes[i], row, sink));
      }
    }
    return absl::OkStatus();
  }

 private:
  bool parquet() const { return options_.format == WireFormat::kParquet; }

  absl::StatusOr<Table*> FindTable(const RelationPtr& relation) {
    return tables_.Find(relation, [this](const RelationPtr& r) { return MakeTable(r); });
  }

  absl::StatusOr<std::unique_ptr<Table>> MakeTable(const RelationPtr& relation) const {
    std::vector<ArrowColumn> columns =
        ArrowAppendColumns(*relation, [&](const Column& column) { return TypeOf(options_, *relation, column); });
    ASSIGN_OR_RETURN(JsonRows keys, JsonRows::Make(relation, options_));
    auto rows = std::make_unique<ArrowRows>(*relation, columns);
    auto table = std::make_unique<Table>(Table{relation, std::move(columns), std::move(rows), std::move(keys)});
    auto notes = std::make_shared<arrow::KeyValueMetadata>();
    notes->Append("wallaby.table", relation->QualifiedName());
    notes->Append("wallaby.schema_version", absl::StrCat(relation->version));
    table->schema = table->rows->schema()->WithMetadata(std::move(notes));
    TupleBuilder nulls(&table->nulls, static_cast<int>(relation->columns.size()));
    for (size_t i = 0; i < relation->columns.size(); ++i) nulls.Null();
    return table;
  }

  absl::Status Add(Table* table, const ChangeBatch& batch, const Change& change, char op, const char* tuple) {
    const Transaction& transaction = batch.transaction(change);
    const RowExtras extras{.op = op,
                           .lsn = transaction.commit.value,
                           .seq = change.seq,
                           .commit_time_micros = transaction.commit_time_micros};
    absl::Status status = table->rows->Append(tuple != nullptr ? tuple : table->nulls.data(), extras);
    // The builders hold rows of a payload that will not be, and a part of one.
    if (!status.ok()) table->rows = std::make_unique<ArrowRows>(*table->relation, table->columns);
    return status;
  }

  absl::Status EncodeRecord(Table* table, const ChangeBatch& batch, const Change& change, const AppendRow& row,
                            RecordSink sink) {
    const auto kind = static_cast<ChangeKind>(row.op);
    const bool has_key = table->relation->has_key() && row.tuple != nullptr;
    key_.clear();
    if (has_key) {
      const bool rest = kind != ChangeKind::kDelete && batch.has_old(change);
      RETURN_IF_ERROR(
          table->keys.AppendKey(TupleCursor(row.tuple), rest ? batch.tuple(change.old_row) : nullptr, &key_));
    }
    RETURN_IF_ERROR(Add(table, batch, change, row.op, row.tuple));
    value_.clear();
    RETURN_IF_ERROR(Write(table, &value_));
    return sink({.kind = kind,
                 .position = batch.position(change),
                 .transaction = &batch.transaction(change),
                 .has_key = has_key,
                 .key = key_,
                 .value = value_});
  }

  absl::Status Write(Table* table, std::string* out) {
    ASSIGN_OR_RETURN(std::shared_ptr<arrow::RecordBatch> rows, table->rows->Finish());
    rows = rows->ReplaceSchemaMetadata(table->schema->metadata());
    auto sink = arrow::io::BufferOutputStream::Create();
    RETURN_IF_ERROR(FromArrow(sink.status()));
    RETURN_IF_ERROR(parquet() ? WriteParquet(*table, rows, *sink) : WriteStream(*table, *rows, *sink));
    auto buffer = (*sink)->Finish();
    RETURN_IF_ERROR(FromArrow(buffer.status()));
    out->append(reinterpret_cast<const char*>((*buffer)->data()), static_cast<size_t>((*buffer)->size()));
    return absl::OkStatus();
  }

  static absl::Status WriteStream(const Table& table, const arrow::RecordBatch& rows,
                                  const std::shared_ptr<arrow::io::OutputStream>& sink) {
    auto writer = arrow::ipc::MakeStreamWriter(sink, table.schema);
    RETURN_IF_ERROR(FromArrow(writer.status()));
    RETURN_IF_ERROR(FromArrow((*writer)->WriteRecordBatch(rows)));
    return FromArrow((*writer)->Close());
  }

  absl::Status WriteParquet(const Table& table, const std::shared_ptr<arrow::RecordBatch>& rows,
                            const std::shared_ptr<arrow::io::OutputStream>& sink) const {
    auto writer = OpenParquetWriter(*table.schema, sink, compression_);
    RETURN_IF_ERROR(FromArrow(writer.status()));
    RETURN_IF_ERROR(FromArrow((*writer)->WriteRecordBatch(*rows)));
    return FromArrow((*writer)->Close());
  }

  const CodecOptions options_;
  const ParquetCompression compression_;
  RelationCache<Table> tables_;
  std::string key_;
  std::string value_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Codec>> MakeColumnarCodec(CodecOptions options) {
  const auto compression = ParseParquetCompression(options.compression);
  if (!compression) {
    return absl::InvalidArgumentError(
        absl::StrCat("compression: got '", options.compression, "'; allowed: ", kParquetCompressionsAllowed));
  }
  return std::make_unique<ColumnarCodec>(std::move(options), *compression);
}

}  // namespace wallaby
