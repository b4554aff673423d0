// ParquetDestination: the history of tables as Parquet files in a folder, exactly once for whoever reads the files by
// name. docs/destinations/parquet.md is the user's page.
//
//   <path>/<schema>/<table>/[<partition>/...]<commit LSN, 16 hex digits>-<number>-<id>[-r].parquet
//   <path>/_wallaby/<flow>-<destination>/manifest.json, lock, staging/
//
// Files whose name ends in -r hold rows of a snapshot, the others streamed changes, never both.
#ifndef WALLABY_DESTINATION_PARQUET_PARQUET_DESTINATION_H_
#define WALLABY_DESTINATION_PARQUET_PARQUET_DESTINATION_H_

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "destination/destination.h"
#include "destination/parquet/folder.h"
#include "destination/parquet/manifest.h"
#include "destination/parquet/parquet_options.h"
#include "destination/parquet/row_writers.h"

namespace wallaby {

class ParquetDestination : public Destination {
 public:
  static absl::StatusOr<std::unique_ptr<Destination>> Make(const DestinationConfig& config);

  Capabilities capabilities() const override;
  absl::StatusOr<Progress> Open() override;
  absl::Status CheckTable(const Relation& relation) override;
  absl::Status Write(const ChangeBatch& batch) override;
  absl::Status Commit(const CommitPoint& point) override;
  absl::Status ResetSnapshot(const Relation& relation, std::string_view part_prefix) override;
  std::vector<std::string> DdlStatements(const SchemaChange& change) const override;
  absl::Status ApplyDdl(const SchemaChange& change) override;

 private:
  ParquetDestination(DestinationConfig config, ParquetOptions options);

  std::string PathOf(std::string_view below) const;
  absl::StatusOr<Manifest> ReadManifest() const;
  absl::Status WriteManifest(const Manifest& manifest);
  // Carries out what the manifest says has happened: moves of staged files, removals.
  absl::Status FinishMoves(const Manifest& manifest);
  absl::Status RemoveLeftovers();
  absl::Status Publish(const CommitPoint& point);
  absl::Status CheckOpen() const;
  // After an error nothing in memory can be trusted; Open() starts again from the disk.
  absl::Status Broken(absl::Status status);

  const DestinationConfig config_;
  const ParquetOptions options_;
  const std::string folder_;   // of this flow and destination, below _wallaby
  const std::string staging_;  // in it
  FolderLock lock_;
  Manifest manifest_;
  std::optional<RowWriters> writers_;  // while open
};

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_PARQUET_PARQUET_DESTINATION_H_
