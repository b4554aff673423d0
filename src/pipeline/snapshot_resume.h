// What an interrupted snapshot has left, and what of it is kept.
#ifndef WALLABY_PIPELINE_SNAPSHOT_RESUME_H_
#define WALLABY_PIPELINE_SNAPSHOT_RESUME_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/lsn.h"
#include "pipeline/pipeline.h"
#include "pipeline/snapshot_plan.h"
#include "pipeline/source.h"
#include "store/control_store.h"

namespace wallaby {

// "schema.table/": what the names of a table's parts begin with.
std::string PartPrefix(const Relation& relation);

// A table whose copy is due.
struct TableToCopy {
  PublishedTable table;
  // Of the copy that goes on; none: it starts, or starts over.
  std::optional<SnapshotPlan> plan;
  std::vector<bool> kept = {};  // by part of the plan: it is complete at every destination, and stays

  bool complete() const;
};

// Decides what is kept of earlier tries to copy `table`, and clears the rest at every destination, also in its
// `progress`. Parts are kept when the table is as it was planned and each destination has them, or can give up the
// others; else the copy starts over. `streamed`: changes up to there have been streamed, so that a snapshot which shows
// less has missed some.
absl::StatusOr<TableToCopy> PrepareCopy(SourceSession& source, const PublishedTable& table, const TableSync& sync,
                                        Lsn streamed, std::vector<OpenDestination>& destinations);

}  // namespace wallaby

#endif  // WALLABY_PIPELINE_SNAPSHOT_RESUME_H_
