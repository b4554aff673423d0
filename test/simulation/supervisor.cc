#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "pipeline/worker.h"
#include "test/simulation/actors.h"
#include "test/simulation/faulty_store.h"
#include "test/simulation/simulated_source.h"
#include "test/simulation/simulated_stream.h"

namespace wallaby::simulation {
namespace {

constexpr int64_t kMemory = 4 << 20;

void MayBeKilled(World& world, Process* process) {
  if (world.trouble && world.chance.Percent(world.plan.kill_percent)) {
    process->steps_to_live = world.chance.Skewed(world.plan.kill_bits);
  }
}

void RunWorker(World& world, const WorkerOptions& options) {
  FaultyStore store;
  Worker worker(&store, &store, SimulatedClock(), kMemory, {}, options,
                [](const SourceOptions&) { return MakeSimulatedSource(); });
  const int number = world.scheduler.process()->number;
  world.running[number] = &worker;
  const absl::Status status = worker.Run();
  world.running.erase(number);
  if (options.mode == WorkerMode::kBackfill) world.backfilled = status.ok();
  if (absl::StrContains(status.message(), "fenced")) ++world.statistics.fenced;
  world.Say(absl::StrCat("worker ends: ", status.ok() ? "OK" : std::string(status.message())));
}

}  // namespace

Process* StartWorker(World& world, WorkerOptions options) {
  options.flow_id = kFlow;
  if (world.plan.spool) options.spool = SpoolOptions{.root = "spool"};
  ++world.statistics.workers;
  Process* process =
      world.scheduler.Start("worker", [&world, options = std::move(options)] { RunWorker(world, options); });
  const int number = process->number;
  process->on_kill = [&world, number] {
    world.running.erase(number);
    ++world.statistics.kills;
    LeaveSlot(number);
    if (world.verbose()) world.Say(absl::StrCat("worker ", number, " is killed"));
  };
  MayBeKilled(world, process);
  return process;
}

void RunAside(World& world, const char* name, std::function<void(ControlStore&)> body) {
  Process* process = world.scheduler.Start(name, [body = std::move(body)] {
    FaultyStore store;
    body(store);
  });
  process->on_kill = [&world] { ++world.statistics.kills; };
  MayBeKilled(world, process);
  while (process->alive) world.scheduler.Sleep(20 * kMillisecond);
}

void Supervise(World& world) {
  Process* worker = nullptr;
  while (true) {
    world.scheduler.Sleep(world.chance.Between(100, 700) * kMillisecond);
    // Of a machine that is suspended nobody knows whether it comes back.
    const bool alone = worker == nullptr || !worker->alive || worker->paused_until > world.scheduler.now();
    if (!alone && !(world.trouble && world.plan.second_workers && world.chance.OneIn(12))) continue;
    const auto flow = [&] {
      const Scheduler::NoYield whole;
      return world.store->GetFlow(kFlow);
    }();
    if (!flow.ok() || flow->state != FlowState::kRunning) continue;
    Process* const started = StartWorker(world, {});
    if (alone) worker = started;
  }
}

}  // namespace wallaby::simulation
