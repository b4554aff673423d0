// FileStore: where the files of a destination lie, and how the files of a commit become part of it at once, together
// with the progress that they stand for. A local folder (local_store.h) or a bucket (bucket_store.h).
#ifndef WALLABY_DESTINATION_FILES_FILE_STORE_H_
#define WALLABY_DESTINATION_FILES_FILE_STORE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "destination/destination.h"

namespace wallaby {

// What a commit stores beside the files.
struct StoreState {
  std::string id;          // part of every file's name
  uint64_t next_file = 0;  // number of the next data file
  Progress progress;
};

// What a file is called when it is begun.
struct FileName {
  std::string folder;  // the table's, with the partition's
  uint64_t number = 0;
  Lsn first;
  bool snapshot = false;
  std::string extension;  // "parquet"
};

// A file that is finished.
struct StoredFile {
  std::string path;    // below the store's place
  std::string staged;  // where it lies until it is committed; of a local folder
  std::string table;   // "shop/orders": the table's folder
  std::string format;
  int64_t rows = 0;
  int64_t bytes = 0;
  Lsn first, last;  // commit LSNs of its rows
  bool snapshot = false;
};

// A file while it is written. Forgets it unless it was finished.
class FileOutput {
 public:
  virtual ~FileOutput() = default;

  virtual absl::Status Write(std::string_view bytes) = 0;
  // The content is durable on return, and not committed. `last`: commit LSN of its last row.
  virtual absl::Status Finish(Lsn last) = 0;

  virtual int64_t written() const = 0;
  // Of these, bytes that are in memory.
  virtual int64_t held() const = 0;
  // "" until it is known. Where it is before Finish(), FileStore::Announce() must hear it first.
  virtual std::string path() const = 0;
  virtual std::string staged() const { return ""; }
};

// Used by one thread. After an error that is not told to be harmless, only Open() may follow.
class FileStore {
 public:
  virtual ~FileStore() = default;

  // Takes the place over for a worker of this generation, finishes or undoes what a crash left. "fenced"
  // (destination.h) when a newer generation was there.
  virtual absl::StatusOr<StoreState> Open(int64_t generation) = 0;
  virtual absl::StatusOr<std::unique_ptr<FileOutput>> Create(const FileName& name) = 0;
  // Files of these paths are about to be finished.
  virtual absl::Status Announce(const std::vector<std::string>& /*paths*/) { return absl::OkStatus(); }
  // Takes away a finished file that will not be committed.
  virtual absl::Status Discard(const StoredFile& file) = 0;
  // Both or neither; "fenced" when another worker has taken over.
  virtual absl::Status Commit(const StoreState& next, std::vector<StoredFile> files) = 0;
  // As Commit(): takes out all committed files that hold rows of a snapshot of the table in this folder.
  virtual absl::Status RemoveSnapshot(const StoreState& next, const std::string& table) = 0;
};

// "shop/orders/day=1/000000000000000A-000017-<id>[-r].parquet"
std::string FilePath(const FileName& name, Lsn lsn, std::string_view id);

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_FILES_FILE_STORE_H_
