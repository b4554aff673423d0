// Manifest: what a flow's parquet destination holds, in one small file. Replacing that file is the commit.
//
// A commit's files lie in the staging folder, complete and synced, when the manifest that names them is written; they
// move to their final names after it. So a crash leaves either the old manifest and files that nobody names, or the new
// one and files whose move is finished at the next start.
#ifndef WALLABY_DESTINATION_PARQUET_MANIFEST_H_
#define WALLABY_DESTINATION_PARQUET_MANIFEST_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "destination/destination.h"

namespace wallaby {

struct PublishedFile {
  std::string staged;  // name in the staging folder
  std::string path;    // final name below the destination's path
  int64_t rows = 0;
};

struct Manifest {
  std::string id;  // random, made with the manifest; part of every file's name
  int64_t generation = 0;
  uint64_t next_file = 0;  // number of the next data file
  Progress progress;
  std::vector<PublishedFile> files;  // of the last commit
  std::vector<std::string> removed;  // below the path: to be removed, if still there

  std::string ToJson() const;
  // DATA_LOSS when the text is not a manifest, FAILED_PRECONDITION when it is of a later version of this program.
  static absl::StatusOr<Manifest> FromJson(std::string_view text);
};

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_PARQUET_MANIFEST_H_
