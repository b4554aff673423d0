#include "destination/files/bucket_output.h"

#include <algorithm>
#include <utility>

#include "base/status.h"

namespace wallaby {
namespace {

constexpr size_t kPart = 8 << 20;
static_assert(kPart >= S3Client::kMinPart);

constexpr std::string_view kType = "application/octet-stream";

}  // namespace

BucketOutput::BucketOutput(S3Client* client, const std::string& prefix, std::string path)
    : client_(client), path_(std::move(path)), upload_{prefix + path_, ""} {}

absl::Status BucketOutput::Write(std::string_view bytes) {
  written_ += static_cast<int64_t>(bytes.size());
  while (!bytes.empty()) {
    const size_t fits = std::min(bytes.size(), kPart - part_.size());
    part_.append(bytes.substr(0, fits));
    bytes.remove_prefix(fits);
    if (part_.size() == kPart) RETURN_IF_ERROR(SendPart());
  }
  return absl::OkStatus();
}

absl::Status BucketOutput::SendPart() {
  if (upload_.id.empty()) {
    ASSIGN_OR_RETURN(upload_.id, client_->BeginUpload(upload_.key, kType));
  }
  std::string part;
  part.swap(part_);
  ASSIGN_OR_RETURN(std::string etag, client_->PutPart(upload_, static_cast<int>(etags_.size()) + 1, std::move(part)));
  etags_.push_back(std::move(etag));
  return absl::OkStatus();
}

absl::Status BucketOutput::Finish(Lsn /*last*/) {
  if (upload_.id.empty()) return client_->Put(upload_.key, std::move(part_), kType);
  if (!part_.empty()) RETURN_IF_ERROR(SendPart());
  return client_->CompleteUpload(upload_, etags_);
}

}  // namespace wallaby
