#include "pipeline/instruments.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/ascii.h"
#include "telemetry/metric_table.h"

namespace wallaby {
namespace {

// Those that end attempts; any other is "other", so that the series are few and all there from the start.
constexpr std::array kErrorCodes = {absl::StatusCode::kUnavailable,      absl::StatusCode::kFailedPrecondition,
                                    absl::StatusCode::kInvalidArgument,  absl::StatusCode::kPermissionDenied,
                                    absl::StatusCode::kNotFound,         absl::StatusCode::kAborted,
                                    absl::StatusCode::kDeadlineExceeded, absl::StatusCode::kUnimplemented,
                                    absl::StatusCode::kDataLoss,         absl::StatusCode::kInternal};

std::string ErrorType(absl::StatusCode code) {
  if (std::find(kErrorCodes.begin(), kErrorCodes.end(), code) == kErrorCodes.end()) return "other";
  return absl::AsciiStrToLower(absl::StatusCodeToString(code));
}

MetricRegistry& Registry() {
  return MetricRegistry::Process();
}

Counter& DdlApplied(const std::string& flow_id, const std::string& type) {
  return Registry().GetCounter(kDdlApplied, {{"type", type}, {"flow_id", flow_id}});
}

Counter& DeadLetters(const std::string& destination) {
  return Registry().GetCounter(kDeadLetters, {{"destination", destination}});
}

Counter& Dropped(const std::string& destination) {
  return Registry().GetCounter(kDestinationDropped, {{"destination", destination}});
}

Counter& ClaimChecks(const std::string& destination) {
  return Registry().GetCounter(kClaimChecks, {{"destination", destination}});
}

// A batch on its way; what is shared is the batch inside.
struct TrackedBatch {
  std::unique_ptr<ChangeBatch> batch;
  Clock* clock;
  absl::Duration began;
  Histogram* latency;
  Span span;
  std::shared_ptr<SpareBatches> spare;

  TrackedBatch(std::unique_ptr<ChangeBatch> of, Clock* by, absl::Duration since, Histogram* into, Span during,
               std::shared_ptr<SpareBatches> to)
      : batch(std::move(of)), clock(by), began(since), latency(into), span(std::move(during)), spare(std::move(to)) {}
  ~TrackedBatch() {
    latency->Observe(absl::ToDoubleSeconds(clock->Monotonic() - began));
    if (spare != nullptr) spare->Give(std::move(batch));
  }
  TrackedBatch(const TrackedBatch&) = delete;
  TrackedBatch& operator=(const TrackedBatch&) = delete;
};

}  // namespace

void PrepareInstruments(const Flow& flow, const std::string& checkpoint_backend) {
  Registry().SetCommonLabels({{"flow_id", flow.id}});
  ReaderInstruments();
  for (const Endpoint& endpoint : flow.destinations) {
    WriterInstruments{endpoint.name};
    Dropped(endpoint.name);
    if (endpoint.type == "kafka" || endpoint.type == "bufstream") ClaimChecks(endpoint.name);
    DdlApplied(flow.id, endpoint.type);
    if (endpoint.type == "http" || endpoint.type == "grpc") DeadLetters(endpoint.name);
  }
  for (const absl::StatusCode code : kErrorCodes) Registry().GetCounter(kErrors, {{"error_type", ErrorType(code)}});
  Registry().GetCounter(kErrors, {{"error_type", "other"}});
  MeasuredCheckpointStore(nullptr, nullptr, checkpoint_backend);
}

ReaderInstruments::ReaderInstruments()
    : records(Registry().GetCounter(kRecordsProcessed)),
      batches(Registry().GetCounter(kBatchesProcessed)),
      batch_records(Registry().GetHistogram(kBatchRecords)),
      batch_latency(Registry().GetHistogram(kBatchLatency)),
      read_latency(Registry().GetHistogram(kSourceReadLatency)) {}

BatchPtr ReaderInstruments::HandOn(std::unique_ptr<ChangeBatch> batch, Clock* clock, absl::Duration began, Span span,
                                   std::shared_ptr<SpareBatches> spare) {
  const auto changes = static_cast<int64_t>(batch->change_count());
  records.Add(changes);
  batches.Add();
  batch_records.Observe(static_cast<double>(changes));
  span.Set("records", changes);
  const auto tracked =
      std::make_shared<TrackedBatch>(std::move(batch), clock, began, &batch_latency, std::move(span), std::move(spare));
  return BatchPtr(tracked, tracked->batch.get());
}

WriterInstruments::WriterInstruments(const std::string& destination)
    : writes(Registry().GetCounter(kDestinationWrites, {{"destination", destination}})),
      write_latency(Registry().GetHistogram(kDestinationWriteLatency, {{"destination", destination}})),
      commit_latency(Registry().GetHistogram(kDestinationCommitLatency, {{"destination", destination}})) {}

void CountDropped(const std::string& destination) {
  Dropped(destination).Add();
}

void CountClaimCheck(const std::string& destination) {
  ClaimChecks(destination).Add();
}

void CountError(const absl::Status& error) {
  Registry().GetCounter(kErrors, {{"error_type", ErrorType(error.code())}}).Add();
}

void CountDeadLetter(const std::string& destination) {
  DeadLetters(destination).Add();
}

void CountDdlApplied(const std::string& flow_id, const std::string& destination_type) {
  DdlApplied(flow_id, destination_type).Add();
}

MeasuredCheckpointStore::MeasuredCheckpointStore(std::unique_ptr<CheckpointStore> store, Clock* clock,
                                                 const std::string& backend)
    : store_(std::move(store)),
      clock_(clock),
      commits_(Registry().GetCounter(kCheckpointCommits)),
      get_latency_(Registry().GetHistogram(kCheckpointGetLatency, {{"backend", backend}})),
      put_latency_(Registry().GetHistogram(kCheckpointPutLatency, {{"backend", backend}})) {}

absl::StatusOr<std::optional<Checkpoint>> MeasuredCheckpointStore::Get() {
  const absl::Duration began = clock_->Monotonic();
  auto checkpoint = store_->Get();
  get_latency_.Observe(absl::ToDoubleSeconds(clock_->Monotonic() - began));
  return checkpoint;
}

absl::Status MeasuredCheckpointStore::Put(const Checkpoint& checkpoint) {
  const absl::Duration began = clock_->Monotonic();
  const absl::Status status = store_->Put(checkpoint);
  put_latency_.Observe(absl::ToDoubleSeconds(clock_->Monotonic() - began));
  if (status.ok()) commits_.Add();
  return status;
}

}  // namespace wallaby
