// ProgressTables: where the destination keeps how far a flow is, in the destination's own database.
//
//   progress(flow_id, destination, generation, commit_lsn, end_lsn, updated_at)
//   snapshot_parts(flow_id, destination, part, finished_at)
//
// A worker takes over by writing its generation. A commit of rows updates the same row on the condition that the
// generation is still its own: whichever of the two comes first, the other sees it.
#ifndef WALLABY_DESTINATION_POSTGRES_PROGRESS_H_
#define WALLABY_DESTINATION_POSTGRES_PROGRESS_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "destination/destination.h"
#include "destination/options.h"
#include "destination/postgres/session.h"

namespace wallaby {

class ProgressTables {
 public:
  ProgressTables(const DestinationConfig& config, const TableOptions& options);

  // Makes the tables where they are missing.
  absl::Status Ensure(Session& session) const;
  // FAILED_PRECONDITION "fenced" when a newer generation was here. Ends transactions that a dead connection of this or
  // an older generation left open, because their locks would be in the way.
  absl::StatusOr<Progress> TakeOver(Session& session) const;
  // Statements for the end of a transaction; they fail when a newer generation has taken over.
  std::string CommitSql(const CommitPoint& point) const;
  // The same for a transaction that starts a table's snapshot over.
  std::string ForgetPartsSql(std::string_view part_prefix) const;
  // The same for one part.
  std::string ForgetPartSql(std::string_view part) const;
  // Whether RecordChange() was called with this and nothing has been written since.
  absl::StatusOr<bool> IsRecorded(Session& session, const std::string& table, const std::string& change) const;
  // In the open transaction. Makes a table of its own for it, beside the others: few changes leave no other trace.
  absl::Status RecordChange(Session& session, const std::string& table, const std::string& change) const;

 private:
  std::string FenceSql(std::string_view set) const;

  const int64_t generation_;
  const std::string flow_;  // literals
  const std::string destination_;
  const std::string shown_;
  const std::string schema_;  // plain
  const std::string table_name_;
  const std::string table_;  // quoted
  const std::string parts_;
  const std::string changes_;
  int64_t lock_ = 0;  // advisory lock's first number: this flow's destination
};

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_POSTGRES_PROGRESS_H_
