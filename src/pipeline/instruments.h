// What the pipeline counts and measures (telemetry/metric_table.h), in the registry of the process.
#ifndef WALLABY_PIPELINE_INSTRUMENTS_H_
#define WALLABY_PIPELINE_INSTRUMENTS_H_

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "base/clock.h"
#include "change/change_batch.h"
#include "change/spare_batches.h"
#include "flow/flow.h"
#include "pipeline/checkpoint_store.h"
#include "telemetry/metrics.h"
#include "telemetry/trace.h"

namespace wallaby {

// Makes the instruments of a flow's worker, so that they are there at 0 before the first event, and names the flow in
// all of them.
void PrepareInstruments(const Flow& flow, const std::string& checkpoint_backend);

struct ReaderInstruments {
  ReaderInstruments();
  Counter& records;
  Counter& batches;
  Histogram& batch_records;
  Histogram& batch_latency;
  Histogram& read_latency;

  // The batch as it goes to the writers. Its latency counts from `began` (of the clock) until the last of them lets go
  // of it; `span` ends then too.
  // Its memory goes to `spare` then, if there is one.
  BatchPtr HandOn(std::unique_ptr<ChangeBatch> batch, Clock* clock, absl::Duration began, Span span,
                  std::shared_ptr<SpareBatches> spare = nullptr);
};

struct WriterInstruments {
  explicit WriterInstruments(const std::string& destination);
  Counter& writes;
  Histogram& write_latency;
  Histogram& commit_latency;
};

// A destination has left out a change.
void CountDropped(const std::string& destination);
// A message's payload went into a bucket.
void CountClaimCheck(const std::string& destination);
// An attempt ended by this error.
void CountError(const absl::Status& error);
// A request of this destination became a dead letter.
void CountDeadLetter(const std::string& destination);
// A destination of this type ("duckdb") has followed a schema change. Also in the control plane, which names the flow.
void CountDdlApplied(const std::string& flow_id, const std::string& destination_type);

// Counts and times what another store does. `backend`: "sqlite" or "postgres".
class MeasuredCheckpointStore final : public CheckpointStore {
 public:
  // Pointers outlive the object.
  MeasuredCheckpointStore(std::unique_ptr<CheckpointStore> store, Clock* clock, const std::string& backend);
  absl::StatusOr<std::optional<Checkpoint>> Get() override;
  absl::Status Put(const Checkpoint& checkpoint) override;
  absl::Status Reset(const Checkpoint& checkpoint) override { return store_->Reset(checkpoint); }

 private:
  const std::unique_ptr<CheckpointStore> store_;
  Clock* const clock_;
  Counter& commits_;
  Histogram& get_latency_;
  Histogram& put_latency_;
};

}  // namespace wallaby

#endif  // WALLABY_PIPELINE_INSTRUMENTS_H_
