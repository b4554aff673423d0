// FilesDestination: the history of tables as files in a folder or a bucket, exactly once. The types parquet, s3, azure
// and gcs, whose pages are docs/destinations/parquet.md, s3.md, azure.md and gcs.md.
//
// Files whose name ends in -r hold rows of a snapshot, the others streamed changes, never both.
#ifndef WALLABY_DESTINATION_FILES_FILES_DESTINATION_H_
#define WALLABY_DESTINATION_FILES_FILES_DESTINATION_H_

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "codec/codec.h"
#include "destination/destination.h"
#include "destination/files/file_store.h"
#include "destination/files/files_options.h"
#include "destination/files/row_writers.h"

namespace wallaby {

class FilesDestination : public Destination {
 public:
  static absl::StatusOr<std::unique_ptr<Destination>> Make(std::string_view type, const DestinationConfig& config);

  Capabilities capabilities() const override;
  absl::StatusOr<Progress> Open() override;
  absl::Status CheckTable(const Relation& relation) override;
  absl::Status Write(const ChangeBatch& batch) override;
  absl::Status Commit(const CommitPoint& point) override;
  absl::Status ResetSnapshot(const Relation& relation, std::string_view part_prefix) override;
  std::vector<std::string> DdlStatements(const SchemaChange& change) const override;
  absl::Status ApplyDdl(const SchemaChange& change) override;

 private:
  FilesDestination(const DestinationConfig& config, FilesOptions options, std::unique_ptr<FileStore> store,
                   std::unique_ptr<Codec> codec);

  // Says once of each table that it goes without a column of partition_by.
  void WarnOfMissing(const Relation& relation, const std::vector<std::string>& columns);
  absl::Status Publish(const CommitPoint& point);
  absl::Status CheckOpen() const;
  // After an error nothing in memory can be trusted; Open() starts again from the store.
  absl::Status Broken(absl::Status status);

  const DestinationConfig config_;
  const FilesOptions options_;
  const std::unique_ptr<FileStore> store_;
  const std::unique_ptr<Codec> codec_;  // null for formats that take rows
  std::set<std::string> warned_;        // tables
  StoreState state_;
  std::optional<RowWriters> writers_;  // while open
};

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_FILES_FILES_DESTINATION_H_
