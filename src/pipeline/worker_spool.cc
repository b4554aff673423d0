// What a worker does for its flow's spool.
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "pipeline/worker.h"
#include "telemetry/log.h"
#include "telemetry/metric_table.h"

namespace wallaby {
namespace {

constexpr absl::Duration kLookEvery = absl::Seconds(2);

}  // namespace

void Worker::MakeSpooler(Spooler::Failed failed) {
  if (!options_.spool) return;
  spooler_ = std::make_unique<Spooler>(source_.get(), &source_options_, store_, clock_, *options_.spool,
                                       options_.spool_policy, std::move(failed));
  context_.spooler = spooler_.get();
  spool_meter_ = std::make_unique<SpoolMeter>(*options_.spool, source_options_.spool_limit);
}

// Without the flow's lease, which an apply, or a worker that delivers, may take at any time.
absl::Status Worker::KeepSpooling() {
  if (!options_.spool) {
    return absl::FailedPreconditionError("there is no spool: WALLABY_SPOOL_DIR says where it shall be");
  }
  RETURN_IF_ERROR(FollowReferences());
  ASSIGN_OR_RETURN(const auto checkpoint, checkpoints_->GetCheckpoint(options_.flow_id));
  if (checkpoint.has_value()) last_report_.acknowledged = checkpoint->lsn;
  waiting_ = absl::StrCat(FlowStateName(stored_.state), "; the slot is read into the spool");
  Log(LogLevel::kInfo, "spooling for a flow that does not run", {{"state", std::string(FlowStateName(stored_.state))}});
  MakeSpooler([this](const absl::Status& failure) { FailSpooling(failure); });
  while (!stop_event_.Wait(kLookEvery)) {
    const auto flow = store_->GetFlow(options_.flow_id);
    if (absl::IsNotFound(flow.status()) || (flow.ok() && !IsSpooled(flow->state))) break;
    WriteReport(*store_);
  }
  spooler_.reset();
  return absl::OkStatus();
}

void Worker::MeasureSpool(Lsn cursor) {
  MetricRegistry& metrics = MetricRegistry::Process();
  const Labels labels = {{"slot", source_options_.slot}};
  Gauge& size = metrics.GetGauge(kSpoolSize, labels);
  Gauge& limit = metrics.GetGauge(kSpoolLimit, labels);
  Gauge& behind = metrics.GetGauge(kSpoolBehind, labels);
  Gauge& full_in = metrics.GetGauge(kSpoolFullIn, labels);
  for (Gauge* gauge : {&size, &limit, &behind, &full_in}) gauge->SetUnknown();
  const std::optional<SpoolName> name = spooler_ == nullptr ? std::nullopt : spooler_->name();
  if (!name) return;
  const auto figures = spool_meter_->Measure(*name, cursor, clock_->Monotonic());
  if (!figures.ok()) return;
  size.Set(static_cast<double>(figures->size));
  limit.Set(static_cast<double>(figures->limit));
  behind.Set(static_cast<double>(figures->behind));
  if (figures->full_in) full_in.Set(absl::ToDoubleSeconds(*figures->full_in));
}

// The worker stays: to be started again would not mend it, and somebody must see to it first.
void Worker::FailSpooling(const absl::Status& failure) {
  const std::string reason(failure.message());
  store_->SetLastError(options_.flow_id, reason).IgnoreError();
  store_->Transition(options_.flow_id, {FlowState::kPaused}, FlowState::kFailed, reason).IgnoreError();
  std::lock_guard lock(mutex_);
  waiting_ = reason;
}

}  // namespace wallaby
