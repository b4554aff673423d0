// LocalStore: files in a local folder, visible to whoever reads it by pattern.
//
//   <path>/<table>/[<partition>/...]<commit LSN of the last row, 16 hex digits>-<number>-<id>[-r].parquet
//   <path>/_wallaby/<flow>-<destination>/manifest.json, lock, staging/
//
// A commit's files lie in the staging folder, complete and synced, when the manifest that names them is written; they
// move to their final names after it. So a crash leaves either the old manifest and files that nobody names, or the new
// one and files whose move is finished at the next start.
#ifndef WALLABY_DESTINATION_FILES_LOCAL_STORE_H_
#define WALLABY_DESTINATION_FILES_LOCAL_STORE_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "destination/files/file_store.h"
#include "destination/files/folder.h"
#include "destination/files/manifest.h"

namespace wallaby {

class LocalStore : public FileStore {
 public:
  LocalStore(const DestinationConfig& config, std::string path);

  absl::StatusOr<StoreState> Open(int64_t generation) override;
  absl::StatusOr<std::unique_ptr<FileOutput>> Create(const FileName& name) override;
  absl::Status Discard(const StoredFile& file) override;
  absl::Status Commit(const StoreState& next, std::vector<StoredFile> files) override;
  absl::Status RemoveSnapshot(const StoreState& next, const std::string& table) override;

 private:
  std::string PathOf(std::string_view below) const;
  absl::StatusOr<Manifest> ReadManifest() const;
  absl::Status WriteManifest(const Manifest& manifest);
  // Carries out what the manifest says has happened: moves of staged files, removals.
  absl::Status FinishMoves(const Manifest& manifest);
  absl::Status RemoveLeftovers();

  const std::string path_;
  const std::string id_prefix_;
  const std::string folder_;   // of this flow and destination, below _wallaby
  const std::string staging_;  // in it
  FolderLock lock_;
  Manifest manifest_;
};

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_FILES_LOCAL_STORE_H_
