#include "service/flow_view.h"

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "base/status.h"
#include "flow/fan_out.h"
#include "pipeline/checkpointer.h"
#include "pipeline/ddl_apply.h"
#include "service/flow_convert.h"
#include "service/lag_explanation.h"
#include "service/source_access.h"
#include "telemetry/metric_table.h"
#include "telemetry/metrics_snapshot.h"

namespace wallaby {
namespace {

// A stream may have a thousand groups.
constexpr int kMostReaders = 20;
// A person waits for this answer.
constexpr absl::Duration kSourceLimit = absl::Seconds(3);
// Workers report every few seconds; what is older says nothing about now.
constexpr absl::Duration kFresh = absl::Seconds(20);

bool IsFresh(const std::optional<WorkerReport>& report) {
  return report && absl::Now() - report->at < kFresh;
}

// WAL that the slot has given to a spool and the flow has not delivered.
int64_t SpooledBytes(const v1::Flow& proto) {
  const auto confirmed = Lsn::Parse(proto.slot().confirmed_flush_lsn());
  const auto delivered = Lsn::Parse(proto.checkpoint().lsn());
  if (!confirmed.ok() || !delivered.ok() || *confirmed <= *delivered) return 0;
  return static_cast<int64_t>(confirmed->value - delivered->value);
}

// False: the worker has no spool.
bool FillSpool(const WorkerReport& report, v1::Flow* proto) {
  const auto families = DecodeMetrics(report.metrics);
  if (!families.ok()) return false;
  const auto told = [&](const MetricDef& def) {
    for (const MetricFamily& family : *families) {
      if (family.def == &def && !family.samples.empty()) return family.samples.front().value;
    }
    return -1.0;
  };
  if (told(kSpoolSize) < 0) return false;
  v1::SpoolStatus& spool = *proto->mutable_spool();
  spool.set_behind_bytes(static_cast<int64_t>(told(kSpoolBehind)));
  spool.set_size_bytes(static_cast<int64_t>(told(kSpoolSize)));
  spool.set_limit_bytes(static_cast<int64_t>(told(kSpoolLimit)));
  spool.set_full_in_seconds(told(kSpoolFullIn));
  return true;
}

}  // namespace

std::string_view TableSyncStateName(TableSyncState state) {
  switch (state) {
    case TableSyncState::kPending:
      return "pending";
    case TableSyncState::kCopying:
      return "copying";
    case TableSyncState::kDone:
      return "done";
  }
  return "";
}

v1::Checkpoint CheckpointToProto(const Checkpoint& checkpoint) {
  v1::Checkpoint proto;
  proto.set_lsn(checkpoint.lsn.ToString());
  proto.set_timestamp_unix_millis(absl::ToUnixMillis(checkpoint.at));
  for (const auto& [key, value] : checkpoint.metadata) (*proto.mutable_metadata())[key] = value;
  return proto;
}

absl::Status FlowView::Fill(const StoredFlow& stored, FlowDetail detail, v1::Flow* proto) const {
  const std::string& id = stored.flow.id;
  RETURN_IF_ERROR(FlowToProto(Redacted(stored.flow), proto));
  proto->set_state(FlowStateToProto(stored.state));
  proto->set_reason(stored.reason);
  proto->set_error(stored.last_error);
  RETURN_IF_ERROR(FillCheckpoint(id, proto));
  RETURN_IF_ERROR(FillDdl(id, proto));
  ASSIGN_OR_RETURN(const int64_t dead_letters, store_->CountDeadLetters(id));
  proto->set_dead_letters(dead_letters);
  ASSIGN_OR_RETURN(const std::optional<WorkerReport> report, store_->GetReport(id));
  const bool fresh = FillWorker(stored, report, proto);
  RETURN_IF_ERROR(FillDestinations(stored.flow, fresh ? &*report : nullptr, proto));
  if (detail == FlowDetail::kBrief) return absl::OkStatus();
  int64_t behind = -1;
  *proto->mutable_slot() = LookAtSlot(stored.flow, kSourceLimit, &behind);
  if (slots_ != nullptr) slots_->AddGrowth(id, proto->mutable_slot());
  if (behind >= 0) proto->mutable_lag()->set_bytes(behind + SpooledBytes(*proto));
  FillStreamReaders(id, proto);
  return FillTables(id, proto);
}

absl::Status FlowView::Explain(const StoredFlow& stored, v1::LagExplanation* proto) const {
  const std::string& id = stored.flow.id;
  v1::Flow flow;
  RETURN_IF_ERROR(Fill(stored, FlowDetail::kFull, &flow));
  LagFacts facts{.flow = flow};
  ASSIGN_OR_RETURN(const std::optional<WorkerReport> report, store_->GetReport(id));
  facts.worker_reports = IsFresh(report) && (dispatcher_->IsActive(id) || stored.state == FlowState::kRunning);
  if (facts.worker_reports) RETURN_IF_ERROR(ReadLoads(report->metrics, &facts));
  ASSIGN_OR_RETURN(facts.ddl, store_->ListDdl(id, {DdlStatus::kPending, DdlStatus::kApproved, DdlStatus::kApplying,
                                                   DdlStatus::kFailed, DdlStatus::kRejected}));
  std::erase_if(facts.ddl, [](const DdlEvent& event) { return IsSettled(event); });
  *proto = ExplainLag(facts);
  return absl::OkStatus();
}

absl::Status FlowView::FillCheckpoint(const std::string& flow_id, v1::Flow* proto) const {
  ASSIGN_OR_RETURN(const std::optional<Checkpoint> checkpoint, checkpoints_->GetCheckpoint(flow_id));
  if (checkpoint) *proto->mutable_checkpoint() = CheckpointToProto(*checkpoint);
  return absl::OkStatus();
}

absl::Status FlowView::FillDdl(const std::string& flow_id, v1::Flow* proto) const {
  ASSIGN_OR_RETURN(const std::vector<DdlEvent> events,
                   store_->ListDdl(flow_id, {DdlStatus::kPending, DdlStatus::kApproved, DdlStatus::kApplying,
                                             DdlStatus::kFailed, DdlStatus::kRejected}));
  const auto held =
      std::count_if(events.begin(), events.end(), [](const DdlEvent& event) { return !IsSettled(event); });
  proto->set_pending_ddl(static_cast<int32_t>(held));
  ASSIGN_OR_RETURN(const std::vector<TableHold> holds, store_->TableHolds(flow_id));
  for (const TableHold& hold : holds) {
    v1::HeldTable* table = proto->add_held_tables();
    table->set_table(hold.table);
    table->set_lsn(hold.from.ToString());
  }
  return absl::OkStatus();
}

bool FlowView::FillWorker(const StoredFlow& stored, const std::optional<WorkerReport>& report, v1::Flow* proto) const {
  const bool active = dispatcher_->IsActive(stored.flow.id);
  // Of a flow that does not run, only one tells that fills its spool.
  const bool spools = IsFresh(report) && FillSpool(*report, proto);
  const bool fresh = IsFresh(report) && (active || spools || stored.state == FlowState::kRunning);
  proto->mutable_lag()->set_bytes(fresh ? report->lag_bytes : -1);
  proto->mutable_lag()->set_seconds(fresh ? report->lag_seconds : -1);
  if (report) {
    proto->mutable_slot()->set_name(report->slot);
    proto->mutable_slot()->set_active(fresh && report->slot_active);
    proto->mutable_slot()->set_exists(fresh);
    if (!fresh) proto->mutable_slot()->set_error("no worker has told about it lately");
  }
  // What the dispatcher sees of a worker is newer than what that worker said last.
  if (const std::string trouble = dispatcher_->Trouble(stored.flow.id); !trouble.empty()) {
    proto->set_activity(trouble);
  } else if (fresh) {
    proto->set_activity(report->detail);
  } else if (stored.state == FlowState::kRunning) {
    proto->set_activity(active ? "starting" : "waiting for its worker");
  }
  return fresh;
}

absl::Status FlowView::FillDestinations(const Flow& flow, const WorkerReport* told, v1::Flow* proto) const {
  ASSIGN_OR_RETURN(const auto lanes, store_->Lanes(flow.id));
  for (const Endpoint& destination : flow.destinations) {
    v1::DestinationStatus& status = *proto->add_destination_status();
    status.set_name(destination.name);
    if (FansOut(flow)) status.set_role(IsPrimary(flow, destination.name) ? "primary" : "secondary");
    status.mutable_lag()->set_bytes(-1);
    status.mutable_lag()->set_seconds(-1);
    Lsn position = Lsn::Parse(proto->checkpoint().lsn()).value_or(Lsn{});
    // One that was added since has no place yet.
    const auto& known = proto->checkpoint().metadata();
    if (IsSecondary(flow, destination.name) || !known.contains(DestinationKey(destination.name))) position = {};
    if (const auto lane = lanes.find(destination.name); lane != lanes.end()) position = lane->second.lsn;
    for (const DestinationReport& one : told == nullptr ? std::vector<DestinationReport>() : told->destinations) {
      if (one.name != destination.name) continue;
      status.set_state(one.state);
      status.mutable_lag()->set_bytes(one.lag_bytes);
      status.mutable_lag()->set_seconds(one.lag_seconds);
      status.set_error(one.error);
      if (one.since > absl::UnixEpoch()) status.mutable_failing_since()->set_seconds(absl::ToUnixSeconds(one.since));
      position = std::max(position, one.position);
    }
    if (position.valid()) status.set_lsn(position.ToString());
  }
  return absl::OkStatus();
}

absl::Status FlowView::FillTables(const std::string& flow_id, v1::Flow* proto) const {
  ASSIGN_OR_RETURN(const std::vector<TableSync> syncs, store_->TableSyncs(flow_id));
  for (const TableSync& sync : syncs) {
    v1::TableProgress* table = proto->add_tables();
    table->set_table(sync.table);
    table->set_state(std::string(TableSyncStateName(sync.state)));
    table->set_parts_total(sync.parts_total);
    table->set_parts_done(sync.parts_done);
    table->set_rows_copied(sync.rows_copied);
    table->set_rows_estimated(sync.rows_estimated);
  }
  return absl::OkStatus();
}

void FlowView::FillStreamReaders(const std::string& flow_id, v1::Flow* proto) const {
  if (stream_lag_ == nullptr) return;
  for (const StreamReader& reader : stream_lag_->ReadersOf(flow_id)) {
    if (proto->stream_readers_size() == kMostReaders) return;
    v1::StreamReader& out = *proto->add_stream_readers();
    out.set_destination(reader.destination);
    out.set_stream(reader.stream);
    out.set_consumer_group(reader.group.name);
    out.set_lag_messages(reader.group.lag_messages);
    out.set_lag_seconds(absl::ToDoubleSeconds(reader.group.lag));
    out.set_in_flight(reader.group.in_flight);
  }
}

}  // namespace wallaby
