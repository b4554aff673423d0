// JSON lines and Avro object container files, by their codecs.
#include <utility>

#include "arrow/io/compressed.h"
#include "arrow/util/compression.h"
#include "base/check.h"
#include "base/status.h"
#include "codec/record_rows.h"
#include "destination/files/file_encoder.h"
#include "destination/files/output_sink.h"

namespace wallaby {
namespace {

class PayloadEncoder : public FileEncoder {
 public:
  PayloadEncoder(RelationPtr relation, Codec* codec, FileCompression compression)
      : relation_(std::move(relation)), codec_(codec), compression_(compression) {}

  ~PayloadEncoder() override {
    if (sink_ != nullptr) sink_->Abandon();
  }

  absl::Status AppendSlice(const BatchSlice& slice) override {
    if (!begun_) RETURN_IF_ERROR(codec_->AppendHead(relation_, &text_));
    begun_ = true;
    RETURN_IF_ERROR(codec_->AppendPart(slice, &text_));
    for (size_t i = slice.begin; i < slice.end; ++i) {
      const Change& change = slice.batch.changes()[i];
      if (change.relation != slice.relation) continue;
      const ChangeRecords records(slice.batch, change);
      rows_ += records.end() - records.begin();
    }
    return absl::OkStatus();
  }

  int64_t gathered() const override { return static_cast<int64_t>(text_.size()); }
  bool empty() const override { return text_.empty(); }
  int64_t rows() const override { return rows_; }

  absl::Status Flush(FileOutput* out) override {
    if (sink_ == nullptr) RETURN_IF_ERROR(Begin(out));
    arrow::io::OutputStream& stream =
        compressed_ != nullptr ? *compressed_ : *static_cast<arrow::io::OutputStream*>(sink_.get());
    RETURN_IF_ERROR(sink_->Explain(stream.Write(text_.data(), static_cast<int64_t>(text_.size()))));
    text_.clear();
    return absl::OkStatus();
  }

  absl::Status Finish(FileOutput* out) override {
    if (!empty()) RETURN_IF_ERROR(Flush(out));
    return compressed_ != nullptr ? sink_->Explain(compressed_->Close()) : absl::OkStatus();
  }

 private:
  absl::Status Begin(FileOutput* out) {
    sink_ = std::make_shared<OutputSink>(out);
    if (compression_ == FileCompression::kNone) return absl::OkStatus();
    auto codec = arrow::util::Codec::Create(compression_ == FileCompression::kGzip ? arrow::Compression::GZIP
                                                                                   : arrow::Compression::ZSTD);
    RETURN_IF_ERROR(sink_->Explain(codec.status()));
    compressor_ = *std::move(codec);
    auto stream = arrow::io::CompressedOutputStream::Make(compressor_.get(), sink_);
    RETURN_IF_ERROR(sink_->Explain(stream.status()));
    compressed_ = *std::move(stream);
    return absl::OkStatus();
  }

  const RelationPtr relation_;
  Codec* const codec_;
  const FileCompression compression_;
  bool begun_ = false;
  int64_t rows_ = 0;
  std::string text_;
  std::shared_ptr<OutputSink> sink_;
  std::unique_ptr<arrow::util::Codec> compressor_;
  std::shared_ptr<arrow::io::CompressedOutputStream> compressed_;
};

}  // namespace

bool IsColumnar(WireFormat format) {
  return format == WireFormat::kParquet || format == WireFormat::kArrow;
}

absl::Status FileEncoder::AppendRow(const char* /*tuple*/, const RowExtras& /*extras*/) {
  WALLABY_CHECK(false, "this format takes slices");
  return absl::OkStatus();
}

absl::Status FileEncoder::AppendSlice(const BatchSlice& /*slice*/) {
  WALLABY_CHECK(false, "this format takes rows");
  return absl::OkStatus();
}

std::unique_ptr<FileEncoder> MakePayloadEncoder(RelationPtr relation, Codec* codec, FileCompression compression) {
  return std::make_unique<PayloadEncoder>(std::move(relation), codec, compression);
}

}  // namespace wallaby
