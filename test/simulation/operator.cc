#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "pipeline/ddl_apply.h"
#include "pipeline/worker.h"
#include "service/held_lease.h"
#include "test/simulation/actors.h"

namespace wallaby::simulation {
namespace {

// As the control plane's services do it: the state that the request leads to, and the checks before.
absl::Status Request(World& world, ControlStore& store, FlowRequest request) {
  ASSIGN_OR_RETURN(const StoredFlow stored, store.GetFlow(kFlow));
  ASSIGN_OR_RETURN(const FlowState next, NextState(stored.state, request));
  const bool runs = request == FlowRequest::kStart || request == FlowRequest::kResume;
  if (runs && stored.state != FlowState::kRunning) RETURN_IF_ERROR(CheckDdlSettled(store, kFlow));
  if (stored.state != next) {
    RETURN_IF_ERROR(store.Transition(kFlow, {stored.state}, next, request == FlowRequest::kPause ? "operator" : ""));
  }
  if (runs || world.chance.OneIn(2)) return absl::OkStatus();  // else the worker sees it by itself
  for (auto& [process, worker] : world.running) worker->Stop();
  return absl::OkStatus();
}

// A stop is complete when no worker is left; whoever sees it first writes it down.
absl::Status FinishStop(World& world, ControlStore& store) {
  if (!world.running.empty()) return absl::OkStatus();
  return store.Transition(kFlow, {FlowState::kStopping}, FlowState::kStopped, "");
}

absl::Status Decide(World& world, ControlStore& store, bool always_yes) {
  ASSIGN_OR_RETURN(const std::vector<DdlEvent> events, store.ListDdl(kFlow, {}));
  for (const DdlEvent& event : events) {
    if (event.status == DdlStatus::kPending) {
      const bool reject = world.chance.OneIn(always_yes ? 8 : 3) && (!always_yes || OnlyAddsColumns(event));
      RETURN_IF_ERROR((reject ? RejectDdlEvent(store, event.id) : ApproveDdlEvent(store, event.id)).status());
    } else if (event.status == DdlStatus::kRejected && !IsSettled(event)) {
      RETURN_IF_ERROR(ApproveDdlEvent(store, event.id).status());
    }
  }
  return absl::OkStatus();
}

absl::Status Apply(ControlStore& store) {
  ASSIGN_OR_RETURN(const std::vector<DdlEvent> events,
                   store.ListDdl(kFlow, {DdlStatus::kApproved, DdlStatus::kApplying, DdlStatus::kFailed}));
  for (const DdlEvent& event : events) {
    ASSIGN_OR_RETURN(StoredFlow stored, store.GetFlow(kFlow));
    if (stored.state == FlowState::kRunning || stored.state == FlowState::kStopping) return absl::OkStatus();
    ASSIGN_OR_RETURN(const auto lease,
                     HeldLease::Take(&store, kFlow, "ddl apply", absl::Seconds(10), [] { return false; }));
    ASSIGN_OR_RETURN(stored, store.GetFlow(kFlow));
    if (stored.state == FlowState::kRunning || stored.state == FlowState::kStopping) return absl::OkStatus();
    RETURN_IF_ERROR(ApplyDdlEvent(lease->store(), stored.flow, event.id, {.generation = lease->generation()}).status());
  }
  return absl::OkStatus();
}

// The tables that a failure's remedy names; none: all.
std::vector<std::string> TablesOfRemedy(const std::string& reason) {
  constexpr std::string_view kOption = " -tables ";
  const size_t at = reason.find(kOption);
  if (at == std::string::npos) return {};
  return {reason.substr(at + kOption.size())};
}

void Backfill(World& world, const std::string& reason) {
  WorkerOptions options;
  options.mode = WorkerMode::kBackfill;
  options.tables = TablesOfRemedy(reason);
  world.Say(absl::StrCat("backfill of ", options.tables.empty() ? "everything" : options.tables[0]));
  Process* process = StartWorker(world, options);
  while (process->alive) world.scheduler.Sleep(100 * kMillisecond);
}

void Heal(World& world, bool always_yes) {
  const auto stored = [&] {
    const Scheduler::NoYield whole;
    return world.store->GetFlow(kFlow);
  }();
  if (!stored.ok()) return;
  if (stored->state == FlowState::kRunning && world.lane_needs_backfill && always_yes) {
    RunAside(world, "operator", [&](ControlStore& store) { Request(world, store, FlowRequest::kStop).IgnoreError(); });
    return;
  }
  if (stored->state == FlowState::kStopped && world.lane_needs_backfill) {
    Backfill(world, "");
    world.lane_needs_backfill = !world.backfilled;
    return;
  }
  if (stored->state == FlowState::kRunning) return;
  RunAside(world, "operator", [&](ControlStore& store) {
    Decide(world, store, always_yes).IgnoreError();
    Apply(store).IgnoreError();
    if (stored->state == FlowState::kStopping) FinishStop(world, store).IgnoreError();
  });
  if (stored->state == FlowState::kFailed && absl::StrContains(stored->reason, "-mode backfill") && !world.backfilled) {
    return Backfill(world, stored->reason);
  }
  RunAside(world, "operator", [&](ControlStore& store) {
    const bool resume = stored->state == FlowState::kPaused;
    const absl::Status status = Request(world, store, resume ? FlowRequest::kResume : FlowRequest::kStart);
    if (status.ok()) world.backfilled = false;
  });
}

}  // namespace

void Operate(World& world) {
  while (world.trouble) {
    world.scheduler.Sleep(world.chance.Between(300, 4000) * kMillisecond);
    if (!world.plan.operators || world.chance.OneIn(2)) {
      Heal(world, /*always_yes=*/false);
      continue;
    }
    RunAside(world, "operator", [&world](ControlStore& store) {
      const FlowRequest requests[] = {FlowRequest::kPause, FlowRequest::kStop, FlowRequest::kResume,
                                      FlowRequest::kStart};
      Request(world, store, requests[world.chance.Below(4)]).IgnoreError();
    });
  }
}

void Mend(World& world) {
  Heal(world, /*always_yes=*/true);
}

}  // namespace wallaby::simulation
