// The copy of the tables' rows that exist when a flow, or a table in it, begins.
#ifndef WALLABY_PIPELINE_SNAPSHOT_H_
#define WALLABY_PIPELINE_SNAPSHOT_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "pipeline/pipeline.h"
#include "pipeline/snapshot_resume.h"
#include "pipeline/source.h"
#include "store/control_store.h"

namespace wallaby {

struct SnapshotOptions {
  std::string flow_id;
  Source* source = nullptr;
  int workers = 2;  // connections that read in parallel
  size_t batch_bytes = 4 << 20;
  PartitionOptions partition;
};

// Copies `tables`, or what is left of them, under `snapshot` through the pipeline's writers, and returns when every row
// is durable at every destination. Before the first row, each table's entry in the store says `copying` with the plan
// and its LSNs; at its end `done`. Progress is stored about once a second.
absl::Status CopyTables(const SnapshotOptions& options, const std::vector<TableToCopy>& tables,
                        const SourceSnapshot& snapshot, ControlStore& store, Pipeline& pipeline);

}  // namespace wallaby

#endif  // WALLABY_PIPELINE_SNAPSHOT_H_
