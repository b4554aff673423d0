// An object while it is written: in memory while it is small, then as an upload in parts.
#ifndef WALLABY_DESTINATION_FILES_BUCKET_OUTPUT_H_
#define WALLABY_DESTINATION_FILES_BUCKET_OUTPUT_H_

#include <string>
#include <string_view>
#include <vector>

#include "destination/files/file_store.h"
#include "destination/s3/s3_client.h"

namespace wallaby {

// An upload that is not finished stays until BucketStore::Open() calls it off; nobody sees it.
class BucketOutput : public FileOutput {
 public:
  // `path` is where it lies below `prefix`. The client must outlive the object.
  BucketOutput(S3Client* client, const std::string& prefix, std::string path);

  absl::Status Write(std::string_view bytes) override;
  absl::Status Finish(Lsn last) override;
  int64_t written() const override { return written_; }
  int64_t held() const override { return static_cast<int64_t>(part_.size()); }
  std::string path() const override { return path_; }

 private:
  absl::Status SendPart();

  S3Client* const client_;
  const std::string path_;
  S3Client::Upload upload_;  // without an id until it is begun
  std::vector<std::string> etags_;
  std::string part_;
  int64_t written_ = 0;
};

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_FILES_BUCKET_OUTPUT_H_
