// BucketStore: files as objects of a bucket, visible to whoever reads the manifest (bucket_manifest.h).
//
//   <prefix><table>/[<partition>/...]<commit LSN of the first row, 16 hex digits>-<number>-<id>-<epoch>[-r].parquet
//   <prefix>_wallaby/<flow>-<destination>/manifest.json, writing-<epoch>, files-<version>-<epoch>.jsonl
//
// Objects are written under their final names and count once a manifest names them. Each Open() takes the next epoch by
// replacing the manifest: an older worker's next commit fails on the condition, and whatever it still writes has names
// of its own. Before objects are finished, writing-<epoch> names them, with the manifest's version, so that Open() can
// take away what a crash left without listing the bucket.
#ifndef WALLABY_DESTINATION_FILES_BUCKET_STORE_H_
#define WALLABY_DESTINATION_FILES_BUCKET_STORE_H_

#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "destination/files/bucket_manifest.h"
#include "destination/files/file_store.h"
#include "destination/files/files_options.h"
#include "destination/objects/object_store.h"

namespace wallaby {

// The bucket of the options, which have no path.
std::unique_ptr<ObjectStore> MakeObjectStore(const FilesOptions& options);

class BucketStore : public FileStore {
 public:
  struct Limits {
    size_t files = 1000;  // in the manifest; then they go to a list
    size_t lists = 32;    // not merged; then they are
  };

  BucketStore(const DestinationConfig& config, const FilesOptions& options) : BucketStore(config, options, Limits()) {}
  BucketStore(const DestinationConfig& config, const FilesOptions& options, Limits limits);

  absl::StatusOr<StoreState> Open(int64_t generation) override;
  absl::StatusOr<std::unique_ptr<FileOutput>> Create(const FileName& name) override;
  absl::Status Announce(const std::vector<std::string>& paths) override;
  absl::Status Discard(const StoredFile& file) override;
  absl::Status Commit(const StoreState& next, std::vector<StoredFile> files) override;
  absl::Status RemoveSnapshot(const StoreState& next, const std::string& table) override;

 private:
  std::string KeyOf(std::string_view path) const;
  std::string WritingPath() const;
  // What is there now, in manifest_ and etag_; a new one, if there is none.
  absl::Status ReadManifest();
  absl::Status TakeOver(int64_t generation);
  // That the server refuses what does not fit a condition: on one that does not, nothing here would be safe.
  absl::Status CheckConditions();
  // Replaces the manifest where it is still the one that was read or written last.
  absl::Status WriteManifest(BucketManifest next);
  // `before`: the manifest's version when this worker took over.
  absl::Status RemoveOrphans(uint64_t before);
  // Takes out of `paths` those that the manifest and its lists name.
  absl::Status KeepUnnamed(bool look_in_lists, std::set<std::string>* paths);
  absl::Status CallOffUploads();
  // Deletes what the manifest says is taken out.
  absl::Status FinishRemovals();

  // Moves files to a list, where they have become many.
  absl::Status RollUp(BucketManifest* manifest);
  absl::Status MergeLists(BucketManifest* manifest);
  absl::StatusOr<FileList> WriteList(const std::string& lines, int64_t files, std::string_view what);

  const std::string place_;   // for people
  const std::string prefix_;  // of keys
  const std::string folder_;  // of this flow and destination, below the prefix
  const std::string id_prefix_;
  const Limits limits_;
  const std::unique_ptr<ObjectStore> objects_;
  BucketManifest manifest_;
  std::string etag_;                 // of manifest_; empty: there is none
  std::set<std::string> announced_;  // and not committed
};

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_FILES_BUCKET_STORE_H_
