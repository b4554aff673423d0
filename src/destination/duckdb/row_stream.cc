#include "destination/duckdb/row_stream.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "arrow/c/bridge.h"
#include "arrow/record_batch.h"
#include "arrow/type.h"
#include "arrow/util/key_value_metadata.h"

namespace wallaby {
namespace {

constexpr int64_t kBatchRows = 32 * 1024;
constexpr int64_t kBatchBytes = 8 << 20;
constexpr int64_t kRowsBetweenLooks = 64;

// JSON travels as text with a mark, so that DuckDB takes it as its JSON type without parsing it: PostgreSQL has done
// so.
std::shared_ptr<arrow::Schema> MarkJson(const std::shared_ptr<arrow::Schema>& schema,
                                        const std::vector<ArrowColumn>& columns) {
  arrow::FieldVector fields = schema->fields();
  for (size_t i = 0; i < columns.size(); ++i) {
    const bool value = columns[i].source == ArrowSource::kRow || columns[i].source == ArrowSource::kOrigin;
    if (!value || columns[i].type.logical != LogicalType::kJson) continue;
    fields[i] = fields[i]->WithMetadata(
        arrow::key_value_metadata({"ARROW:extension:name", "ARROW:extension:metadata"}, {"arrow.json", ""}));
  }
  return arrow::schema(std::move(fields));
}

}  // namespace

class RowStream::Reader : public arrow::RecordBatchReader {
 public:
  Reader(const Relation& relation, std::vector<ArrowColumn> columns, RowProducer produce)
      : rows_(relation, columns), produce_(std::move(produce)) {
    schema_ = MarkJson(rows_.schema(), columns);
  }

  std::shared_ptr<arrow::Schema> schema() const override { return schema_; }

  arrow::Status ReadNext(std::shared_ptr<arrow::RecordBatch>* out) override {
    status_ = Fill();
    if (status_.ok() && rows_.rows() == 0) {
      *out = nullptr;
      return arrow::Status::OK();
    }
    if (status_.ok()) {
      auto batch = rows_.Finish();
      if (batch.ok()) {
        *out = arrow::RecordBatch::Make(schema_, (*batch)->num_rows(), (*batch)->columns());
        return arrow::Status::OK();
      }
      status_ = batch.status();
    }
    done_ = true;
    return arrow::Status::Invalid(std::string(status_.message()));
  }

  const absl::Status& status() const { return status_; }

 private:
  absl::Status Fill() {
    while (!done_ && rows_.rows() < kBatchRows) {
      for (int64_t i = 0; i < kRowsBetweenLooks && !done_; ++i) {
        auto more = produce_(&rows_);
        if (!more.ok()) return more.status();
        done_ = !*more;
      }
      if (rows_.bytes() >= kBatchBytes) break;
    }
    return absl::OkStatus();
  }

  ArrowRows rows_;
  RowProducer produce_;
  std::shared_ptr<arrow::Schema> schema_;
  absl::Status status_;
  bool done_ = false;
};

RowStream::RowStream(const Relation& relation, std::vector<ArrowColumn> columns, RowProducer produce)
    : reader_(std::make_shared<Reader>(relation, std::move(columns), std::move(produce))) {}
RowStream::~RowStream() = default;

absl::Status RowStream::Export(ArrowArrayStream* out) {
  const arrow::Status status = arrow::ExportRecordBatchReader(reader_, out);
  if (!status.ok()) return absl::InternalError(absl::StrCat("Arrow: ", status.ToString()));
  return absl::OkStatus();
}

absl::Status RowStream::status() const {
  return reader_->status();
}

}  // namespace wallaby
