// The worker's pulse: lease, requests from the control plane, reports.
#include <poll.h>

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/failpoint.h"
#include "base/status.h"
#include "pipeline/worker.h"
#include "telemetry/log.h"
#include "telemetry/metric_table.h"
#include "telemetry/metrics_snapshot.h"
#include "telemetry/trace_events.h"

namespace wallaby {
namespace {

constexpr int kPulseMillis = 2000;

}  // namespace

void Worker::Pulse() {
  bool told = false;
  while (true) {
    pollfd fds[2] = {{pulse_end_.fd(), POLLIN, 0}, {stop_event_.fd(), POLLIN, 0}};
    // Once the stop was seen its descriptor stays readable; only the end matters then.
    const int ready = poll(fds, told ? 1 : 2, kPulseMillis);
    if (ready > 0 && (fds[0].revents & POLLIN) != 0) return;
    if (!told && ready > 0 && (fds[1].revents & POLLIN) != 0) {
      told = true;
      Log(LogLevel::kInfo, "ending: delivering what was read, then the last checkpoint");
      Finish(absl::OkStatus());
      continue;
    }
    PulseOnce();
  }
}

void Worker::PulseOnce() {
  absl::Status renewed = ReachFailpoint(Failpoint::kLeaseRenew);
  if (renewed.ok()) renewed = store_->RenewLease(lease_, kLeaseTtl);
  if (absl::IsFailedPrecondition(renewed)) {
    Log(LogLevel::kError, "another worker has taken over; ending", {{"error", std::string(renewed.message())}});
    return Finish(renewed);
  }
  if (!renewed.ok()) {
    // Destinations and the store check the generation themselves, so going on is safe while the store is away.
    Log(LogLevel::kWarn, "the lease could not be renewed", {{"error", std::string(renewed.message())}});
  }
  auto now = store_->GetFlow(options_.flow_id);
  const bool gone = absl::IsNotFound(now.status());
  const bool asked = now.ok() && now->state != stored_.state &&
                     (now->state == FlowState::kPaused || now->state == FlowState::kStopping ||
                      now->state == FlowState::kStopped || now->state == FlowState::kFailed);
  if ((gone || asked) && !ending_) {
    Log(LogLevel::kInfo, "ending, as the flow's state asks",
        {{"state", gone ? "deleted" : std::string(FlowStateName(now->state))}});
    if (now.ok() && now->state == FlowState::kPaused) TraceEvent(spec::kPause, "Paused", {});
    Finish(absl::OkStatus());
  }
  // A flow that was started while its probe runs: from now on its requests count.
  if (now.ok() && now->state == FlowState::kRunning) stored_.state = FlowState::kRunning;
  LookAtHolds();
  LookAtCopies();
  WriteReport(*fenced_);
}

void Worker::ShowLoads(const AttemptReport& current) {
  if (attempt_ != nullptr && (current.changes > 0 || current.acknowledged > best_acknowledged_)) failing_since_.reset();
  best_acknowledged_ = std::max(best_acknowledged_, current.acknowledged);
  MetricRegistry& registry = MetricRegistry::Process();
  registry.GetGauge(kWorkerFailing).Set(failing_since_ ? absl::ToDoubleSeconds(clock_->Now() - *failing_since_) : 0);
  for (const Endpoint& destination : stored_.flow.destinations) {
    const Labels labels = {{"destination", destination.name}};
    Gauge& queued = registry.GetGauge(kDestinationQueue, labels);
    Gauge& limit = registry.GetGauge(kDestinationQueueLimit, labels);
    Gauge& busy = registry.GetGauge(kDestinationBusy, labels);
    for (Gauge* gauge : {&queued, &limit, &busy}) gauge->SetUnknown();
    std::vector<DestinationLoad> loads;
    if (attempt_ != nullptr) loads = current.loads;
    for (const LaneReport& lane : lanes_.reports()) {
      if (lane.load) loads.push_back(*lane.load);
    }
    for (const DestinationLoad& load : loads) {
      if (load.name != destination.name) continue;
      queued.Set(static_cast<double>(load.queued_bytes));
      limit.Set(static_cast<double>(load.queue_bound));
      busy.Set(absl::ToDoubleSeconds(load.busy));
    }
  }
}

void Worker::WriteReport(ControlStore& store) {
  WorkerReport report;
  report.slot = source_options_.slot;
  report.at = clock_->Now();
  AttemptReport current;
  {
    std::lock_guard lock(mutex_);
    current = attempt_ != nullptr ? attempt_->report() : last_report_;
    report.detail = attempt_ != nullptr ? current.detail : waiting_;
    if (const std::string spool = spooler_ == nullptr ? "" : spooler_->trouble(); !spool.empty()) {
      absl::StrAppend(&report.detail, "; ", spool);
    }
    report.changes = changes_before_ + (attempt_ != nullptr ? current.changes : 0);
    ShowLoads(current);
  }
  if (monitor_ == nullptr) {
    auto connected = source_->ConnectMonitor();
    if (connected.ok()) monitor_ = *std::move(connected);
  }
  const Labels labels = {{"slot", source_options_.slot}};
  Gauge& lag = MetricRegistry::Process().GetGauge(kReplicationLag, labels);
  Gauge& retained = MetricRegistry::Process().GetGauge(kSlotRetained, labels);
  Gauge& active = MetricRegistry::Process().GetGauge(kSlotActive, labels);
  for (Gauge* gauge : {&lag, &retained, &active}) gauge->SetUnknown();
  std::optional<SlotInfo> known;
  if (monitor_ != nullptr) {
    auto slot = monitor_->GetSlot();
    if (slot.ok()) known = *slot;
    if (!slot.ok()) {
      monitor_.reset();
    } else if (slot->has_value()) {
      report.slot_active = (*slot)->active;
      report.lag_bytes = (*slot)->behind_bytes;
      // A spool has taken from the slot what the flow has not delivered.
      if (spooler_ != nullptr && current.acknowledged.valid() && current.acknowledged < (*slot)->confirmed_flush) {
        report.lag_bytes += static_cast<int64_t>((*slot)->confirmed_flush.value - current.acknowledged.value);
      }
      lag.Set(static_cast<double>(report.lag_bytes));
      retained.Set(static_cast<double>((*slot)->retained_bytes));
      active.Set((*slot)->active ? 1 : 0);
      // Settled means that nothing that was sent is still on its way.
      if (current.settled) {
        report.lag_seconds = 0;
      } else if (current.reached_micros > 0) {
        report.lag_seconds =
            std::max(0.0, absl::ToDoubleSeconds(report.at - absl::FromUnixMicros(current.reached_micros)));
      }
    }
  }
  if (options_.mode != WorkerMode::kSpool) report.destinations = ReportDestinations(current, known);
  ShowDestinations(report.destinations);
  if (options_.spool) MeasureSpool(FurthestBehind(current.acknowledged));
  report.metrics = EncodeMetrics(MetricRegistry::Process().Collect());
  store.PutReport(options_.flow_id, report).IgnoreError();
}

}  // namespace wallaby
