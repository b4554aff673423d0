// An object while it is written: in memory while it is small, then as an upload in parts.
#ifndef WALLABY_DESTINATION_FILES_BUCKET_OUTPUT_H_
#define WALLABY_DESTINATION_FILES_BUCKET_OUTPUT_H_

#include <optional>
#include <string>
#include <string_view>

#include "destination/files/file_store.h"
#include "destination/objects/object_store.h"

namespace wallaby {

// An upload that is not finished is never seen: BucketStore::Open() calls it off, or the service forgets it.
class BucketOutput : public FileOutput {
 public:
  // `path` is where it lies below `prefix`. The store must outlive the object.
  BucketOutput(ObjectStore* store, const std::string& prefix, std::string path);

  absl::Status Write(std::string_view bytes) override;
  absl::Status Finish(Lsn last) override;
  int64_t written() const override { return written_; }
  int64_t held() const override { return static_cast<int64_t>(part_.size()); }
  std::string path() const override { return path_; }

 private:
  absl::Status SendPart();

  ObjectStore* const store_;
  const std::string path_;
  const std::string key_;
  std::optional<ObjectStore::Upload> upload_;  // once it is large
  std::string part_;
  int64_t written_ = 0;
};

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_FILES_BUCKET_OUTPUT_H_
