// DuckdbProgress: where a flow stands, kept in the database file beside the data and changed in the same transactions.
//
//   <meta_schema>.<meta_table>     (flow_id, destination, generation, commit_lsn, end_lsn, updated_at), one row
//   <meta_schema>.snapshot_parts   (flow_id, destination, part), a row for each finished part of a table's snapshot
//   <meta_schema>.schema_changes   (flow_id, destination, table_name, change, commit_lsn), made when a change of a
//   table
//                                  leaves no other trace: the last such change, and the position at which it was made
#ifndef WALLABY_DESTINATION_DUCKDB_PROGRESS_H_
#define WALLABY_DESTINATION_DUCKDB_PROGRESS_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "destination/destination.h"
#include "destination/duckdb/database.h"
#include "destination/options.h"

namespace wallaby {

// Leaves committing to the caller.
class DuckdbProgress {
 public:
  DuckdbProgress(const DestinationConfig& config, const TableOptions& options);

  // Makes the tables, takes over for this generation, reads. "fenced" when a newer generation has been here.
  absl::StatusOr<Progress> TakeOver(DuckdbConnection* connection) const;
  // Stores the point; "fenced" when the generation is no longer ours.
  absl::Status Store(DuckdbConnection* connection, const CommitPoint& point) const;
  absl::Status ForgetParts(DuckdbConnection* connection, std::string_view prefix) const;
  absl::Status ForgetPart(DuckdbConnection* connection, std::string_view part) const;
  // Whether RecordChange() was called with this and nothing has been written since.
  absl::StatusOr<bool> IsRecorded(DuckdbConnection* connection, const std::string& table,
                                  const std::string& change) const;
  absl::Status RecordChange(DuckdbConnection* connection, const std::string& table, const std::string& change) const;

 private:
  absl::Status Fenced(DuckdbConnection* connection) const;
  std::string Where() const;

  std::string flow_;
  std::string destination_;
  int64_t generation_;
  std::string schema_;
  std::string table_;
  std::string parts_;
  std::string meta_schema_;  // plain
  std::string changes_;
};

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_DUCKDB_PROGRESS_H_
