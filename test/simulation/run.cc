#include "test/simulation/run.h"

#include "absl/strings/str_cat.h"
#include "destination/registry.h"
#include "test/simulation/actors.h"
#include "test/simulation/interpose.h"
#include "test/simulation/simulated_destination.h"
#include "test/simulation/workload.h"

namespace wallaby::simulation {
namespace {

// With nothing in the way, a flow has caught up by then.
constexpr Nanos kPatience = 400 * kSecond;

void CreateFlow(World& world) {
  const Scheduler::NoYield whole;
  absl::Status status = world.store->CreateFlow(world.flow);
  if (status.ok()) status = world.store->Transition(kFlow, {}, FlowState::kRunning, "");
  if (!status.ok()) world.Violated(absl::StrCat("the flow cannot be made: ", status.message()));
}

std::string State(World& world) {
  const Scheduler::NoYield whole;
  const auto stored = world.store->GetFlow(kFlow);
  if (!stored.ok()) return std::string(stored.status().message());
  return absl::StrCat("the flow is ", FlowStateName(stored->state), " (", stored->reason,
                      "), last error: ", stored->last_error);
}

// The trouble is over: the flow must come to where the source is, by what its errors tell an operator to do.
void WaitUntilCaughtUp(World& world) {
  const Nanos end = world.scheduler.now() + kPatience;
  while (world.scheduler.now() < end) {
    std::string missing = world.oracle.NotThereYet();
    if (missing.empty()) {
      missing = world.oracle.Difference();
      if (!missing.empty()) world.Violated(absl::StrCat("all is acknowledged, and differs: ", missing));
      return world.scheduler.Stop();
    }
    world.scheduler.Sleep(500 * kMillisecond);
    Mend(world);
  }
  world.Violated(absl::StrCat("not caught up: ", world.oracle.NotThereYet(), "; ", State(world)));
}

void Direct(World& world, Workload& workload) {
  CreateFlow(world);
  Scheduler& scheduler = world.scheduler;
  scheduler.Start("source", [&] { workload.Run(); });
  scheduler.Start("supervisor", [&] { Supervise(world); });
  scheduler.Start("people", [&] { Operate(world); });
  scheduler.Start("trouble", [&] { CauseTrouble(world, workload); });
  scheduler.Sleep(world.plan.trouble);
  world.trouble = false;
  world.Say("the trouble is over");
  workload.Touch();
  WaitUntilCaughtUp(world);
}

}  // namespace

Outcome RunSeed(uint64_t seed, bool verbose) {
  RegisterDestination("null", MakeSimulatedDestination);
  World world(seed, verbose);
  Workload workload(world);
  workload.Create(1 + static_cast<int>(world.chance.Below(3)));
  world.scheduler.Start("director", [&] { Direct(world, workload); });
  const std::string stuck = world.scheduler.Run();
  Outcome outcome;
  outcome.violation = world.violation();
  if (outcome.violation.empty() && !stuck.empty()) outcome.violation = absl::StrCat(stuck, "; ", State(world));
  outcome.statistics = world.statistics;
  outcome.statistics.runs = 1;
  outcome.statistics.steps = world.scheduler.steps();
  outcome.statistics.seconds = world.scheduler.now() / kSecond;
  outcome.fingerprint = static_cast<uint64_t>(world.scheduler.now()) * 31 +
                        static_cast<uint64_t>(world.scheduler.steps()) + world.database.current().value * 7;
  return outcome;
}

}  // namespace wallaby::simulation
