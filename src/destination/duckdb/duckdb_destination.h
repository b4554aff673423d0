// The duckdb destination: tables in a DuckDB file, with the position in the same transaction as the rows
// (docs/destinations/ duckdb.md). Data goes in as Arrow record batches through ADBC.
#ifndef WALLABY_DESTINATION_DUCKDB_DUCKDB_DESTINATION_H_
#define WALLABY_DESTINATION_DUCKDB_DUCKDB_DESTINATION_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "destination/destination.h"
#include "destination/duckdb/database.h"
#include "destination/duckdb/progress.h"
#include "destination/duckdb/tables.h"
#include "destination/options.h"

namespace wallaby {

class DuckdbDestination : public Destination {
 public:
  // Checks the options; opens nothing.
  static absl::StatusOr<std::unique_ptr<Destination>> Make(const DestinationConfig& config);

  Capabilities capabilities() const override;
  absl::StatusOr<Progress> Open() override;
  absl::Status CheckTable(const Relation& relation) override;
  absl::Status CheckPresent(const Relation& relation) override;
  absl::Status Write(const ChangeBatch& batch) override;
  absl::Status Commit(const CommitPoint& point) override;
  absl::Status ResetSnapshot(const Relation& relation, std::string_view part_prefix) override;
  absl::Status ResetPart(const Relation& relation, std::string_view part, const KeyRange& range) override;
  std::vector<std::string> DdlStatements(const SchemaChange& change) const override;
  absl::Status ApplyDdl(const SchemaChange& change) override;

 private:
  struct FileOptions {
    std::string path;
    DuckdbSettings settings;
    // Close the file after each commit, so that other processes can read it in between.
    bool release = false;
  };

  DuckdbDestination(const DestinationConfig& config, TableOptions options, FileOptions file);

  // Opens the file unless it is open. With `release`, that is at the first use after a commit.
  absl::Status Connect();
  absl::Status Reconnect();
  // Rolls back and closes, so that nothing of a failed transaction can be committed.
  absl::Status Fail(absl::Status status);
  void Close();
  void ReleaseIfIdle();
  absl::Status WriteTarget(const ChangeBatch& batch);
  absl::Status WriteAppend(const ChangeBatch& batch);
  absl::Status DeleteSnapshotRows(const Relation& relation);
  absl::Status DeleteRange(const Relation& relation, const KeyRange& range);
  // Begins a transaction that changes what earlier ones left.
  absl::Status BeginRepair();

  const TableOptions options_;
  const FileOptions file_;
  const DuckdbProgress progress_;
  DuckdbTables tables_;
  std::unique_ptr<DuckdbConnection> connection_;
  bool opened_ = false;   // Open() succeeded and nothing has failed since
  bool writing_ = false;  // something is written and not committed
};

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_DUCKDB_DUCKDB_DESTINATION_H_
