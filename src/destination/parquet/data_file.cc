#include "destination/parquet/data_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "arrow/io/interfaces.h"
#include "arrow/record_batch.h"
#include "arrow/table.h"
#include "arrow/type.h"
#include "arrow/util/key_value_metadata.h"
#include "base/status.h"
#include "codec/parquet_writer.h"
#include "destination/parquet/folder.h"
#include "parquet/arrow/writer.h"

namespace wallaby {
namespace {

// A file as Arrow wants it. Keeps the first error in our own terms: Arrow's lose the errno.
class Sink : public arrow::io::OutputStream {
 public:
  Sink(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  ~Sink() override { CloseFd(); }

  arrow::Status Write(const void* data, int64_t size) override {
    const char* p = static_cast<const char*>(data);
    while (size > 0) {
      const ssize_t n = ::write(fd_, p, static_cast<size_t>(size));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) {
        Note("writing");
        return arrow::Status::IOError(error_.ToString());
      }
      p += n;
      size -= n;
      written_ += n;
    }
    return arrow::Status::OK();
  }
  arrow::Status Close() override { return arrow::Status::OK(); }
  bool closed() const override { return fd_ < 0; }
  arrow::Result<int64_t> Tell() const override { return written_; }

  absl::Status SyncAndClose() {
    if (fsync(fd_) != 0) Note("syncing");
    CloseFd();
    return error_;
  }
  const absl::Status& error() const { return error_; }
  int64_t written() const { return written_; }

 private:
  void Note(const char* doing) {
    if (error_.ok()) error_ = ErrnoStatus(errno, doing, path_);
  }
  void CloseFd() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }

  int fd_;
  std::string path_;
  int64_t written_ = 0;
  absl::Status error_;
};

}  // namespace

struct DataFile::Impl {
  std::shared_ptr<Sink> sink;
  std::unique_ptr<parquet::arrow::FileWriter> writer;

  absl::Status Explain(const arrow::Status& status, const std::string& path) const {
    if (status.ok()) return absl::OkStatus();
    if (sink != nullptr && !sink->error().ok()) return sink->error();
    return absl::InternalError(absl::StrCat("writing ", path, ": ", status.ToString()));
  }
};

DataFile::DataFile() : impl_(std::make_unique<Impl>()) {}

DataFile::~DataFile() {
  if (finished_) return;
  impl_->writer.reset();
  impl_->sink.reset();
  if (!path_.empty()) unlink(path_.c_str());
}

absl::StatusOr<std::unique_ptr<DataFile>> DataFile::Create(const std::string& path, const arrow::Schema& schema,
                                                           ParquetCompression compression,
                                                           const std::map<std::string, std::string>& notes) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (fd < 0) return ErrnoStatus(errno, "making", path);
  std::unique_ptr<DataFile> file(new DataFile);
  file->path_ = path;
  file->impl_->sink = std::make_shared<Sink>(fd, path);

  auto metadata = std::make_shared<arrow::KeyValueMetadata>();
  for (const auto& [key, value] : notes) metadata->Append(key, value);
  auto writer = OpenParquetWriter(*schema.WithMetadata(metadata), file->impl_->sink, compression);
  if (!writer.ok()) return file->impl_->Explain(writer.status(), path);
  file->impl_->writer = *std::move(writer);
  return file;
}

absl::Status DataFile::Write(const std::shared_ptr<arrow::RecordBatch>& rows) {
  auto table = arrow::Table::FromRecordBatches({rows});
  if (!table.ok()) return impl_->Explain(table.status(), path_);
  rows_ += rows->num_rows();
  return impl_->Explain(impl_->writer->WriteTable(**table, std::max<int64_t>(rows->num_rows(), 1)), path_);
}

absl::Status DataFile::Finish() {
  RETURN_IF_ERROR(impl_->Explain(impl_->writer->Close(), path_));
  impl_->writer.reset();
  RETURN_IF_ERROR(impl_->sink->SyncAndClose());
  finished_ = true;
  return absl::OkStatus();
}

int64_t DataFile::bytes() const {
  return impl_->sink->written();
}

}  // namespace wallaby
