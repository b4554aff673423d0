// Parquet files, a row group at each flush, and Arrow IPC streams, a record batch at each.
#include <algorithm>
#include <utility>

#include "arrow/ipc/options.h"
#include "arrow/ipc/writer.h"
#include "arrow/record_batch.h"
#include "arrow/table.h"
#include "arrow/type.h"
#include "arrow/util/compression.h"
#include "arrow/util/key_value_metadata.h"
#include "base/status.h"
#include "codec/parquet_writer.h"
#include "destination/files/file_encoder.h"
#include "destination/files/output_sink.h"
#include "parquet/arrow/writer.h"

namespace wallaby {
namespace {

class ColumnarEncoder : public FileEncoder {
 public:
  ColumnarEncoder(const Relation& relation, const std::vector<ArrowColumn>& columns, const FilesOptions& options,
                  std::map<std::string, std::string> notes)
      : pending_(relation, columns), options_(options), notes_(std::move(notes)) {}

  ~ColumnarEncoder() override {
    if (sink_ != nullptr) sink_->Abandon();
  }

  absl::Status AppendRow(const char* tuple, const RowExtras& extras) override { return pending_.Append(tuple, extras); }

  int64_t gathered() const override { return pending_.bytes(); }
  bool empty() const override { return pending_.rows() == 0; }
  int64_t rows() const override { return rows_ + pending_.rows(); }

  absl::Status Flush(FileOutput* out) override {
    if (sink_ == nullptr) RETURN_IF_ERROR(Begin(out));
    ASSIGN_OR_RETURN(const std::shared_ptr<arrow::RecordBatch> rows, pending_.Finish());
    rows_ += rows->num_rows();
    if (stream_ != nullptr) return sink_->Explain(stream_->WriteRecordBatch(*rows));
    auto table = arrow::Table::FromRecordBatches({rows});
    RETURN_IF_ERROR(sink_->Explain(table.status()));
    return sink_->Explain(parquet_->WriteTable(**table, std::max<int64_t>(rows->num_rows(), 1)));
  }

  absl::Status Finish(FileOutput* out) override {
    if (!empty()) RETURN_IF_ERROR(Flush(out));
    return sink_->Explain(stream_ != nullptr ? stream_->Close() : parquet_->Close());
  }

 private:
  absl::Status Begin(FileOutput* out) {
    sink_ = std::make_shared<OutputSink>(out);
    auto metadata = std::make_shared<arrow::KeyValueMetadata>();
    for (const auto& [key, value] : notes_) metadata->Append(key, value);
    const std::shared_ptr<arrow::Schema> schema = pending_.schema()->WithMetadata(std::move(metadata));
    if (options_.format == WireFormat::kParquet) {
      auto writer = OpenParquetWriter(*schema, sink_, options_.compression);
      RETURN_IF_ERROR(sink_->Explain(writer.status()));
      parquet_ = *std::move(writer);
      return absl::OkStatus();
    }
    auto write_options = arrow::ipc::IpcWriteOptions::Defaults();
    if (options_.compression != FileCompression::kNone) {
      auto codec = arrow::util::Codec::Create(
          options_.compression == FileCompression::kZstd ? arrow::Compression::ZSTD : arrow::Compression::LZ4_FRAME);
      RETURN_IF_ERROR(sink_->Explain(codec.status()));
      write_options.codec = *std::move(codec);
    }
    auto writer = arrow::ipc::MakeStreamWriter(sink_, schema, write_options);
    RETURN_IF_ERROR(sink_->Explain(writer.status()));
    stream_ = *std::move(writer);
    return absl::OkStatus();
  }

  ArrowRows pending_;
  const FilesOptions& options_;
  const std::map<std::string, std::string> notes_;
  int64_t rows_ = 0;  // written
  std::shared_ptr<OutputSink> sink_;
  std::unique_ptr<parquet::arrow::FileWriter> parquet_;
  std::shared_ptr<arrow::ipc::RecordBatchWriter> stream_;
};

}  // namespace

std::unique_ptr<FileEncoder> MakeColumnarEncoder(const Relation& relation, const std::vector<ArrowColumn>& columns,
                                                 const FilesOptions& options,
                                                 std::map<std::string, std::string> notes) {
  return std::make_unique<ColumnarEncoder>(relation, columns, options, std::move(notes));
}

}  // namespace wallaby
