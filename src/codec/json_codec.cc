#include "codec/json_codec.h"

#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "codec/json_rows.h"
#include "codec/json_text.h"
#include "codec/record_rows.h"
#include "codec/relation_cache.h"

namespace wallaby {
namespace {

struct Table {
  JsonRows rows;
  std::string head;  // the fields that are the same in every record of the relation
};

class JsonCodec : public Codec {
 public:
  explicit JsonCodec(CodecOptions options) : options_(std::move(options)) {}

  WireFormat format() const override { return WireFormat::kJson; }
  std::string_view content_type() const override { return "application/x-ndjson"; }
  std::string_view file_extension() const override { return "jsonl"; }
  std::string_view record_content_type() const override { return "application/json"; }

  absl::StatusOr<PayloadSchema> Describe(const RelationPtr& relation) override {
    RETURN_IF_ERROR(FindTable(relation).status());
    return PayloadSchema{.name = relation->name, .space = relation->schema, .version = relation->version};
  }

  absl::Status EncodeBatch(const BatchSlice& slice, std::string* out) override {
    ASSIGN_OR_RETURN(Table * table, FindTable(slice.batch.relations()[slice.relation]));
    const size_t before = out->size();
    absl::Status status = ForEachRecord(slice, [&](const Change& change, const RecordRows& rows) {
      RETURN_IF_ERROR(MakeKey(table, rows));
      RETURN_IF_ERROR(AppendRecord(table, slice.batch, change, rows, out));
      out->push_back('\n');
      return absl::OkStatus();
    });
    if (!status.ok()) out->resize(before);
    return status;
  }

  // Lines follow lines.
  absl::Status AppendPart(const BatchSlice& slice, std::string* out) override { return EncodeBatch(slice, out); }

  absl::Status EncodeRecords(const BatchSlice& slice, RecordSink sink) override {
    ASSIGN_OR_RETURN(Table * table, FindTable(slice.batch.relations()[slice.relation]));
    return ForEachRecord(slice, [&](const Change& change, const RecordRows& rows) {
      RETURN_IF_ERROR(MakeKey(table, rows));
      value_.clear();
      RETURN_IF_ERROR(AppendRecord(table, slice.batch, change, rows, &value_));
      return sink(Encoded(slice, change, rows, key_, value_));
    });
  }

 private:
  absl::StatusOr<Table*> FindTable(const RelationPtr& relation) {
    return tables_.Find(relation, [this](const RelationPtr& r) -> absl::StatusOr<std::unique_ptr<Table>> {
      ASSIGN_OR_RETURN(JsonRows rows, JsonRows::Make(r, options_));
      std::string head = ",\"namespace\":";
      bool text = AppendJsonString(r->schema, &head);
      head += ",\"table\":";
      text &= AppendJsonString(r->name, &head);
      if (!text) {
        return absl::InvalidArgumentError(
            absl::StrCat("the name of table ", r->QualifiedName(), " is not UTF-8, and JSON has no other text"));
      }
      absl::StrAppend(&head, ",\"schema_version\":", r->version, ",\"lsn\":");
      return std::make_unique<Table>(Table{std::move(rows), std::move(head)});
    });
  }

  absl::Status MakeKey(Table* table, const RecordRows& rows) {
    key_.clear();
    if (rows.key == nullptr) return key_.append("null"), absl::OkStatus();
    return table->rows.AppendKey(TupleCursor(rows.key), rows.key_rest, &key_);
  }

  // Fields of the transaction; kept, as records of one follow each other.
  const std::string& TransactionText(const Transaction& transaction) {
    if (!transaction_text_.empty() && last_.commit == transaction.commit && last_.xid == transaction.xid &&
        last_.commit_time_micros == transaction.commit_time_micros) {
      return transaction_text_;
    }
    last_ = transaction;
    transaction_text_ = ",\"transaction_id\":";
    AppendNumber(uint64_t{transaction.xid}, &transaction_text_);
    transaction_text_ += ",\"commit_time\":";
    AppendJsonTime(transaction.commit_time_micros, &transaction_text_);
    transaction_text_ += ",\"key\":";
    return transaction_text_;
  }

  // The key is in key_.
  absl::Status AppendRecord(Table* table, const ChangeBatch& batch, const Change& change, const RecordRows& rows,
                            std::string* out) {
    out->append("{\"operation\":\"").append(OperationName(rows.kind)).append("\"").append(table->head);
    const Transaction& transaction = batch.transaction(change);
    AppendNumber(transaction.commit.value, out);
    out->append(",\"seq\":");
    AppendNumber(uint64_t{change.seq}, out);
    out->append(TransactionText(transaction)).append(key_);
    RETURN_IF_ERROR(AppendImage(table, ",\"before\":", rows.before, out));
    RETURN_IF_ERROR(AppendImage(table, ",\"after\":", rows.after, out));
    out->append(",\"unchanged\":");
    if (rows.after == nullptr) {
      out->append("[]");
    } else {
      RETURN_IF_ERROR(table->rows.AppendUnchanged(TupleCursor(rows.after), out));
    }
    out->push_back('}');
    return absl::OkStatus();
  }

  static absl::Status AppendImage(Table* table, std::string_view name, const char* row, std::string* out) {
    out->append(name);
    if (row == nullptr) return out->append("null"), absl::OkStatus();
    return table->rows.AppendRow(TupleCursor(row), out);
  }

  const CodecOptions options_;
  RelationCache<Table> tables_;
  std::string key_;
  std::string value_;
  std::string transaction_text_;
  Transaction last_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Codec>> MakeJsonCodec(CodecOptions options) {
  return std::make_unique<JsonCodec>(std::move(options));
}

}  // namespace wallaby
