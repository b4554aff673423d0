// BucketManifest: what a flow's destination holds in a bucket: every committed file, and the progress that they stand
// for. docs/destinations/s3.md describes it for readers.
//
// Replacing the object on condition that it is still the one that was read is the commit. So that it stays small, files
// are moved to lists from time to time: objects with a line of JSON for each file, which never change and are merged
// into larger ones.
#ifndef WALLABY_DESTINATION_FILES_BUCKET_MANIFEST_H_
#define WALLABY_DESTINATION_FILES_BUCKET_MANIFEST_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "destination/files/file_store.h"

namespace wallaby {

struct FileList {
  std::string path;  // below the prefix
  int64_t files = 0;
  bool merged = false;  // made of others
};

struct BucketManifest {
  StoreState state;
  int64_t generation = 0;
  uint64_t epoch = 0;                 // how many times a worker has taken over; part of every file's name
  uint64_t version = 0;               // rises with every write, so that no two manifests are equal
  std::vector<StoredFile> files;      // since the last list
  std::vector<FileList> lists;        // of all files before those, oldest first
  std::vector<std::string> removed;   // taken out: to be deleted, if still there
  std::vector<std::string> replaced;  // lists that were merged: kept for those who read the manifest before

  std::string ToJson() const;
  // DATA_LOSS when the text is not a manifest, FAILED_PRECONDITION when it is of a later version of this program.
  static absl::StatusOr<BucketManifest> FromJson(std::string_view text);
};

// A line of a list, with its end.
std::string FileLine(const StoredFile& file);
// DATA_LOSS when it is none.
absl::StatusOr<StoredFile> ParseFileLine(std::string_view line);

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_FILES_BUCKET_MANIFEST_H_
