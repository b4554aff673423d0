#include "service/flow_metrics.h"

#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <utility>

#include "absl/time/clock.h"
#include "base/status.h"
#include "store/for_each_flow.h"
#include "telemetry/log.h"
#include "telemetry/metric_table.h"
#include "telemetry/metrics_snapshot.h"

namespace wallaby {
namespace {

constexpr std::array<FlowState, 6> kStates = {FlowState::kCreated,  FlowState::kRunning, FlowState::kPaused,
                                              FlowState::kStopping, FlowState::kFailed,  FlowState::kStopped};

using StatePair = std::pair<FlowState, FlowState>;
// The ordinary ways between states: there at 0 before the first, so that increase() sees it.
constexpr std::array<StatePair, 11> kOrdinaryChanges = {{{FlowState::kCreated, FlowState::kRunning},
                                                         {FlowState::kRunning, FlowState::kPaused},
                                                         {FlowState::kRunning, FlowState::kStopping},
                                                         {FlowState::kRunning, FlowState::kFailed},
                                                         {FlowState::kPaused, FlowState::kRunning},
                                                         {FlowState::kPaused, FlowState::kStopping},
                                                         {FlowState::kStopping, FlowState::kStopped},
                                                         {FlowState::kStopped, FlowState::kRunning},
                                                         {FlowState::kFailed, FlowState::kRunning},
                                                         {FlowState::kFailed, FlowState::kStopped},
                                                         {FlowState::kCreated, FlowState::kStopped}}};

void Add(const MetricDef& def, Labels labels, double value, std::vector<MetricFamily>* families) {
  AddSamples(def, {{std::move(labels), value, {}}}, families);
}

void AddStateChanges(const std::vector<StateChangeTotal>& totals, std::vector<MetricFamily>* families) {
  std::map<StatePair, int64_t> changes;
  for (const StatePair& pair : kOrdinaryChanges) changes[pair] = 0;
  int64_t created = 0;
  for (const StateChangeTotal& one : totals) {
    if (one.from == FlowState::kUnspecified) {
      created += one.total;
    } else {
      changes[{one.from, one.to}] = one.total;
    }
  }
  Add(kFlowsCreated, {}, static_cast<double>(created), families);
  for (const auto& [pair, total] : changes) {
    Add(kFlowStateTransitions,
        {{"from_state", std::string(FlowStateName(pair.first))}, {"to_state", std::string(FlowStateName(pair.second))}},
        static_cast<double>(total), families);
  }
}

// `told`: the flow's worker tells the newest of what it measures itself.
void AddSlot(const std::string& flow_id, const SlotSighting& sighting, bool told, std::vector<MetricFamily>* families) {
  const v1::SlotStatus& slot = sighting.slot;
  const Labels labels = {{"slot", slot.name()}, {"flow_id", flow_id}};
  if (!told) {
    Add(kReplicationLag, labels, static_cast<double>(sighting.behind_bytes), families);
    Add(kSlotRetained, labels, static_cast<double>(slot.retained_bytes()), families);
    Add(kSlotActive, labels, slot.active() ? 1 : 0, families);
  }
  const bool lost = slot.wal_status() == "lost" || !slot.invalidation_reason().empty();
  Add(kSlotLost, labels, lost ? 1 : 0, families);
  if (slot.has_growth()) Add(kSlotGrowth, labels, slot.growth(), families);
  if (slot.safe_wal_bytes() >= 0) Add(kSlotSafeWal, labels, static_cast<double>(slot.safe_wal_bytes()), families);
  if (slot.seconds_to_limit() >= 0) Add(kSlotTimeToLimit, labels, slot.seconds_to_limit(), families);
  double oldest = 0;
  for (const v1::SlotHolder& holder : slot.holders()) oldest = std::max(oldest, holder.age_seconds());
  Add(kSlotHolderAge, labels, oldest, families);
}

// What the flow's worker counted. The server knows for sure which flow it was.
void AddReport(const std::string& flow_id, const WorkerReport& report, bool fresh,
               std::vector<MetricFamily>* families) {
  absl::StatusOr<std::vector<MetricFamily>> told = DecodeMetrics(report.metrics);
  if (!told.ok()) return Log(LogLevel::kWarn, std::string(told.status().message()), {{"flow_id", flow_id}});
  for (MetricFamily& family : *told) {
    if (family.def->kind == MetricKind::kGauge && !fresh) continue;
    for (MetricSample& sample : family.samples) {
      std::erase_if(sample.labels, [](const auto& label) { return label.first == "flow_id"; });
      sample.labels.emplace_back("flow_id", flow_id);
    }
    AddSamples(*family.def, std::move(family.samples), families);
  }
}

}  // namespace

absl::StatusOr<std::vector<StoredFlow>> AllFlows(ControlStore& store) {
  std::vector<StoredFlow> all;
  RETURN_IF_ERROR(ForEachFlow(store, [&](const StoredFlow& flow) {
    all.push_back(flow);
    return absl::OkStatus();
  }));
  return all;
}

void FlowMetrics::Collect(Workers workers, std::vector<MetricFamily>* families) const {
  std::vector<MetricFamily> collected;
  const absl::Status status = CollectFromStore(workers, &collected);
  Add(kStoreUp, {}, status.ok() ? 1 : 0, families);
  if (!status.ok()) return;
  for (MetricFamily& family : collected) AddSamples(*family.def, std::move(family.samples), families);
}

absl::Status FlowMetrics::CollectFromStore(Workers workers, std::vector<MetricFamily>* families) const {
  ASSIGN_OR_RETURN(const std::vector<StoredFlow> flows, AllFlows(*store_));
  ASSIGN_OR_RETURN(const auto gated, store_->GatedDdlCounts());
  ASSIGN_OR_RETURN(const auto reports, store_->ListReports());
  ASSIGN_OR_RETURN(const auto totals, store_->StateChangeTotals());
  ASSIGN_OR_RETURN(const auto checkpoints, checkpoints_->ListCheckpoints());
  const absl::Time now = absl::Now();
  AddStateChanges(totals, families);
  Add(kFlowsActive, {},
      std::count_if(flows.begin(), flows.end(),
                    [](const StoredFlow& flow) { return flow.state == FlowState::kRunning; }),
      families);
  std::map<std::string, SlotSighting> sightings;
  if (slots_ != nullptr) sightings = slots_->Sightings();
  for (const StoredFlow& stored : flows) {
    const std::string& id = stored.flow.id;
    const auto count = gated.find(id);
    Add(kDdlGated, {{"flow.id", id}, {"ddl.status", "pending"}},
        count == gated.end() ? 0 : static_cast<double>(count->second), families);
    for (const FlowState state : kStates) {
      Add(kFlowState, {{"flow_id", id}, {"state", std::string(FlowStateName(state))}}, stored.state == state ? 1 : 0,
          families);
    }
    const auto report = reports.find(id);
    const bool fresh = report != reports.end() && now - report->second.at < kReportIsFresh;
    if (report != reports.end()) {
      Add(kWorkerReportAge, {{"flow_id", id}}, absl::ToDoubleSeconds(now - report->second.at), families);
      if (workers == Workers::kInclude) AddReport(id, report->second, fresh, families);
    }
    if (const auto seen = sightings.find(id); seen != sightings.end()) AddSlot(id, seen->second, fresh, families);
  }
  for (const auto& [id, checkpoint] : checkpoints) {
    Add(kCheckpointAge, {{"flow_id", id}}, absl::ToDoubleSeconds(now - checkpoint.at), families);
  }
  return absl::OkStatus();
}

}  // namespace wallaby
