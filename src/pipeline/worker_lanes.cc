// What a worker does about destinations that go at their own pace.
#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "flow/fan_out.h"
#include "pipeline/ddl_apply.h"
#include "pipeline/worker.h"
#include "telemetry/metric_table.h"

namespace wallaby {
namespace {

// One that is less behind is live.
constexpr double kLiveSeconds = 10;

std::string_view StateName(LaneReport::State state) {
  switch (state) {
    case LaneReport::State::kStarting:
      return "starting";
    case LaneReport::State::kWaiting:
      return "waiting";
    case LaneReport::State::kFailing:
      return "failing";
    case LaneReport::State::kFailed:
      return "failed";
    case LaneReport::State::kStreaming:
    case LaneReport::State::kDrained:
      break;
  }
  return "live";
}

}  // namespace

bool Worker::LanesAreLevel() {
  if (!lanes_.AllWell()) return false;
  const auto lanes = store_->Lanes(options_.flow_id);
  return lanes.ok() && std::all_of(lanes->begin(), lanes->end(), [this](const auto& lane) {
           return CheckLanePassedDdl(*store_, options_.flow_id, lane.first, lane.second.lsn).ok();
         });
}

void Worker::LookAtCopies() {
  std::shared_ptr<Attempt> attempt;
  {
    std::lock_guard lock(mutex_);
    attempt = attempt_;
  }
  if (ending_ || attempt == nullptr || !attempt->copy_waits() || !LanesAreLevel()) return;
  copy_now_ = true;
  look_again_ = true;
  attempt->Stop();
}

absl::StatusOr<bool> Worker::LanesDrained() {
  RETURN_IF_ERROR(lanes_.AwaitDrained(stop_event_));
  bool copy_waits;
  {
    std::lock_guard lock(mutex_);
    copy_waits = copy_waited_;
  }
  if (!copy_waits || !LanesAreLevel()) return true;
  copy_now_ = true;
  return false;
}

std::vector<DestinationReport> Worker::ReportDestinations(const AttemptReport& current,
                                                          const std::optional<SlotInfo>& slot) {
  std::string trouble;  // why no attempt runs
  bool active;
  std::optional<absl::Time> failing_since;
  {
    std::lock_guard lock(mutex_);
    active = attempt_ != nullptr;
    trouble = waiting_;
    failing_since = failing_since_;
  }
  const std::vector<LaneReport> lanes = lanes_.reports();
  std::vector<DestinationReport> reports;
  for (const Endpoint& destination : stored_.flow.destinations) {
    DestinationReport& report = reports.emplace_back();
    report.name = destination.name;
    report.state = "starting";
    bool settled = false;
    int64_t reached_micros = 0;
    const auto lane =
        std::find_if(lanes.begin(), lanes.end(), [&](const LaneReport& one) { return one.name == destination.name; });
    const auto load = std::find_if(current.loads.begin(), current.loads.end(),
                                   [&](const DestinationLoad& one) { return one.name == destination.name; });
    if (lane != lanes.end()) {
      report.state = StateName(lane->state);
      report.position = lane->position;
      report.error = lane->error;
      if (lane->failing_since) report.since = *lane->failing_since;
      settled = lane->settled;
      reached_micros = lane->reached_micros;
    } else if (!IsSecondary(stored_.flow, destination.name)) {
      if (load != current.loads.end()) {
        report.position = load->position;
        settled = active && load->settled;
        reached_micros = load->reached_micros;
      }
      if (active && current.streaming) report.state = "live";
      // An attempt's error names the destination that it is of.
      if (!active && absl::StrContains(trouble, absl::StrCat("destination ", destination.name))) {
        report.state = "failing";
        report.error = trouble;
        if (failing_since) report.since = *failing_since;
      }
    }
    if (slot && report.position.valid()) {
      const auto confirmed = static_cast<int64_t>(slot->confirmed_flush.value);
      const auto position = static_cast<int64_t>(report.position.value);
      report.lag_bytes = std::max<int64_t>(slot->behind_bytes + confirmed - position, 0);
    }
    if (settled) {
      report.lag_seconds = 0;
    } else if (reached_micros > 0) {
      report.lag_seconds = std::max(0.0, absl::ToDoubleSeconds(clock_->Now() - absl::FromUnixMicros(reached_micros)));
    }
    if (report.state == "live" && report.lag_seconds > kLiveSeconds) report.state = "catching up";
  }
  return reports;
}

Lsn Worker::FurthestBehind(Lsn own) const {
  for (const LaneReport& lane : lanes_.reports()) {
    if (lane.position.valid()) own = std::min(own, lane.position);
  }
  return own;
}

void Worker::ShowDestinations(const std::vector<DestinationReport>& destinations) {
  MetricRegistry& registry = MetricRegistry::Process();
  for (const DestinationReport& report : destinations) {
    const Labels labels = {{"destination", report.name}};
    Gauge& bytes = registry.GetGauge(kDestinationLag, labels);
    Gauge& seconds = registry.GetGauge(kDestinationLagTime, labels);
    Gauge& failing = registry.GetGauge(kDestinationFailing, labels);
    Gauge& failed = registry.GetGauge(kDestinationFailed, labels);
    bytes.SetUnknown();
    seconds.SetUnknown();
    if (report.lag_bytes >= 0) bytes.Set(static_cast<double>(report.lag_bytes));
    if (report.lag_seconds >= 0) seconds.Set(report.lag_seconds);
    failing.Set(report.since > absl::UnixEpoch() ? absl::ToDoubleSeconds(clock_->Now() - report.since) : 0);
    failed.Set(report.state == "failed" ? 1 : 0);
  }
}

}  // namespace wallaby
