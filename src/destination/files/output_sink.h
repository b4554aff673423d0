// A FileOutput as Arrow wants it. For .cc files that know Arrow.
#ifndef WALLABY_DESTINATION_FILES_OUTPUT_SINK_H_
#define WALLABY_DESTINATION_FILES_OUTPUT_SINK_H_

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "arrow/io/interfaces.h"
#include "destination/files/file_store.h"

namespace wallaby {

// Keeps the first error in our own terms, which Arrow's lose. An Arrow writer that is dropped before its end still
// wants to write one: Abandon() keeps that from the file.
class OutputSink : public arrow::io::OutputStream {
 public:
  explicit OutputSink(FileOutput* out) : out_(out) {}

  void Abandon() {
    if (error_.ok()) error_ = absl::CancelledError("the file is not wanted any more");
  }

  arrow::Status Write(const void* data, int64_t size) override {
    if (error_.ok()) error_ = out_->Write({static_cast<const char*>(data), static_cast<size_t>(size)});
    return error_.ok() ? arrow::Status::OK() : arrow::Status::IOError(error_.ToString());
  }
  arrow::Status Close() override {
    closed_ = true;
    return arrow::Status::OK();
  }
  bool closed() const override { return closed_; }
  arrow::Result<int64_t> Tell() const override { return out_->written(); }

  // What a call of Arrow's that ended so means.
  absl::Status Explain(const arrow::Status& status) const {
    if (status.ok()) return absl::OkStatus();
    return error_.ok() ? absl::InternalError(absl::StrCat("writing a file: ", status.ToString())) : error_;
  }

 private:
  FileOutput* out_;
  absl::Status error_;
  bool closed_ = false;
};

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_FILES_OUTPUT_SINK_H_
