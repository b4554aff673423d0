#include "destination/files/bucket_output.h"

#include <algorithm>
#include <utility>

#include "base/status.h"

namespace wallaby {
namespace {

constexpr std::string_view kType = "application/octet-stream";

}  // namespace

BucketOutput::BucketOutput(ObjectStore* store, const std::string& prefix, std::string path)
    : store_(store), path_(std::move(path)), key_(prefix + path_) {}

absl::Status BucketOutput::Write(std::string_view bytes) {
  written_ += static_cast<int64_t>(bytes.size());
  while (!bytes.empty()) {
    const size_t fits = std::min(bytes.size(), ObjectStore::kPart - part_.size());
    part_.append(bytes.substr(0, fits));
    bytes.remove_prefix(fits);
    if (part_.size() == ObjectStore::kPart) RETURN_IF_ERROR(SendPart());
  }
  return absl::OkStatus();
}

absl::Status BucketOutput::SendPart() {
  if (!upload_) {
    ASSIGN_OR_RETURN(upload_, store_->BeginUpload(key_, kType));
  }
  std::string part;
  part.swap(part_);
  return store_->PutPart(&*upload_, std::move(part));
}

absl::Status BucketOutput::Finish(Lsn /*last*/) {
  if (!upload_) return store_->Put(key_, std::move(part_), kType);
  return store_->CompleteUpload(*std::move(upload_), std::move(part_));
}

}  // namespace wallaby
