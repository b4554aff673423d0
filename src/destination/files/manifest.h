// Manifest: what a flow's destination holds in a local folder, in one small file. Replacing that file is the commit
// (local_store.h).
#ifndef WALLABY_DESTINATION_FILES_MANIFEST_H_
#define WALLABY_DESTINATION_FILES_MANIFEST_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "destination/files/file_store.h"

namespace wallaby {

struct PublishedFile {
  std::string staged;  // name in the staging folder
  std::string path;    // final name below the destination's path
  int64_t rows = 0;
};

struct Manifest {
  StoreState state;
  int64_t generation = 0;
  std::vector<PublishedFile> files;  // of the last commit
  std::vector<std::string> removed;  // below the path: to be removed, if still there

  std::string ToJson() const;
  // DATA_LOSS when the text is not a manifest, FAILED_PRECONDITION when it is of a later version of this program.
  static absl::StatusOr<Manifest> FromJson(std::string_view text);
};

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_FILES_MANIFEST_H_
