#include "test/simulation/faulty_store.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace wallaby::simulation {

absl::Status FaultyStore::Transition(const std::string& id, const std::vector<FlowState>& from, FlowState to,
                                     const std::string& reason) {
  return Write(
      "transition", [&](ControlStore& s) { return s.Transition(id, from, to, reason); },
      [&](const absl::Status& done) {
        if (!done.ok()) return;
        World::Now().Say(absl::StrCat("flow is ", FlowStateName(to), reason.empty() ? "" : ": ", reason));
        if (to == FlowState::kFailed) World::Now().oracle.OnFailed(reason);
      });
}

absl::StatusOr<Lease> FaultyStore::AcquireLease(const std::string& flow_id, const std::string& holder,
                                                absl::Duration ttl) {
  return Call(
      "acquire lease", [&](ControlStore& s) { return s.AcquireLease(flow_id, holder, ttl); },
      [&](const absl::StatusOr<Lease>& lease) {
        World& world = World::Now();
        if (!lease.ok()) return;
        world.oracle.LeaseTaken(world.scheduler.process()->number, lease->generation);
        world.Say(absl::StrCat("has the lease, generation ", lease->generation));
      });
}

absl::Status FaultyStore::PutCheckpoint(const std::string& flow_id, const Checkpoint& checkpoint, int64_t generation) {
  return Write(
      "put checkpoint", [&](ControlStore& s) { return s.PutCheckpoint(flow_id, checkpoint, generation); },
      [&](const absl::Status& done) {
        World& world = World::Now();
        if (!done.ok()) return;
        ++world.statistics.checkpoints;
        world.Say(absl::StrCat("checkpoint ", checkpoint.lsn.ToString()));
        world.oracle.OnCheckpoint(checkpoint);
      });
}

absl::Status FaultyStore::BeginLane(const std::string& flow_id, const std::string& destination,
                                    const Checkpoint& checkpoint) {
  return Write(
      "begin lane", [&](ControlStore& s) { return s.BeginLane(flow_id, destination, checkpoint); },
      [&](const absl::Status& done) {
        World& world = World::Now();
        if (!done.ok()) return;
        ++world.statistics.lanes;
        world.Say(absl::StrCat("lane of ", destination, " begins at ", checkpoint.lsn.ToString()));
        world.oracle.OnLaneCheckpoint(destination, checkpoint, /*begins=*/true);
      });
}

absl::Status FaultyStore::PutLaneCheckpoint(const std::string& flow_id, const std::string& destination,
                                            const Checkpoint& checkpoint) {
  return Write(
      "put lane checkpoint", [&](ControlStore& s) { return s.PutLaneCheckpoint(flow_id, destination, checkpoint); },
      [&](const absl::Status& done) {
        World& world = World::Now();
        if (!done.ok()) return;
        ++world.statistics.checkpoints;
        world.Say(absl::StrCat("lane of ", destination, " is at ", checkpoint.lsn.ToString()));
        world.oracle.OnLaneCheckpoint(destination, checkpoint, /*begins=*/false);
      });
}

absl::Status FaultyStore::PutReport(const std::string&, const WorkerReport& report) {
  World& world = World::Now();
  RETURN_IF_ERROR(world.Reach("report"));
  world.lane_needs_backfill |=
      std::any_of(report.destinations.begin(), report.destinations.end(), [](const DestinationReport& destination) {
        return absl::StrContains(destination.error, "the primary has passed without one");
      });
  return absl::OkStatus();
}

absl::Status FaultyStore::PutTableSync(const std::string& flow_id, const TableSync& sync) {
  return Write(
      "put table sync", [&](ControlStore& s) { return s.PutTableSync(flow_id, sync); },
      [&](const absl::Status& done) {
        if (!done.ok()) return;
        World::Now().oracle.SyncsChanged();
        World::Now().Say(absl::StrCat("copy of ", sync.table, " is ", static_cast<int>(sync.state), " ",
                                      sync.parts_done, "/", sync.parts_total, " at ", sync.snapshot_lsn.ToString()));
      });
}

absl::StatusOr<std::vector<ControlStore::RecordedDdl>> FaultyStore::RecordDdl(const std::vector<DdlEvent>& events) {
  return Write(
      "record ddl", [&](ControlStore& s) { return s.RecordDdl(events); },
      [&](const absl::StatusOr<std::vector<RecordedDdl>>& recorded) {
        if (!recorded.ok()) return;
        for (const RecordedDdl& entry : *recorded) {
          if (entry.added && entry.event.gated) ++World::Now().statistics.gates;
          World::Now().Say(absl::StrCat("ddl event ", entry.event.id, " at ", entry.event.lsn.ToString(), " is ",
                                        DdlStatusName(entry.event.status), ": ", entry.event.ddl));
        }
      });
}

absl::StatusOr<DdlEvent> FaultyStore::SettleDdl(int64_t id, const std::vector<DdlStatus>& from,
                                                const DdlSettlement& settlement) {
  return Write(
      "settle ddl", [&](ControlStore& s) { return s.SettleDdl(id, from, settlement); },
      [&](const absl::StatusOr<DdlEvent>& event) {
        if (!event.ok()) return;
        World::Now().oracle.SyncsChanged();
        World::Now().oracle.Settled(*event);
        World::Now().Say(
            absl::StrCat("ddl event ", id, " at ", event->lsn.ToString(), " is ", DdlStatusName(event->status)));
      });
}

}  // namespace wallaby::simulation
