#include "test/simulation/world.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "store/migrations.h"
#include "store/sql_store.h"
#include "test/simulation/interpose.h"
#include "test/simulation/simulated_destination.h"

namespace wallaby::simulation {
namespace {

World* now = nullptr;

std::unique_ptr<ControlStore> OpenStore() {
  auto database = OpenMemoryDatabase();
  const absl::Status status = database.ok() ? Migrate(**database) : database.status();
  if (!status.ok()) {
    std::fprintf(stderr, "simulation: no store in memory: %s\n", std::string(status.message()).c_str());
    std::exit(2);
  }
  return std::make_unique<SqlStore>(*std::move(database), SqlStore::Options{});
}

class StepClock final : public Clock {
 public:
  absl::Time Now() override { return absl::Now(); }
  absl::Duration Monotonic() override {
    Scheduler* const scheduler = Scheduler::Active();
    if (scheduler != nullptr) scheduler->Step();
    return absl::Nanoseconds(Scheduler::Running()->now());
  }
};

std::string Bool(bool value) {
  return value ? "true" : "false";
}

Flow MakeFlow(const Plan& plan, Random random) {
  Flow flow;
  flow.id = kFlow;
  flow.name = kFlow;
  flow.source = {"source", "postgres", {}};
  flow.source.options = {{"dsn", "postgres://simulated/db"},
                         {"slot", kSlot},
                         {"publication", kPublication},
                         {"batch_size", absl::StrCat(random.Skewed(7))},
                         {"batch_timeout", absl::StrCat(random.Skewed(10), "ms")},
                         {"status_interval", absl::StrCat(1 + random.Below(10), "s")},
                         {"snapshot_workers", absl::StrCat(1 + random.Below(3))},
                         {"binary", Bool(random.OneIn(2))}};
  if (plan.capture_ddl.has_value()) flow.source.options["capture_ddl"] = Bool(*plan.capture_ddl);
  const char* const names[] = {"exact", "linger", "atleast"};
  for (int i = 0; i < 3; ++i) {
    if ((plan.destinations & (1 << i)) != 0) flow.destinations.push_back({names[i], "null", {}});
  }
  flow.config.ddl.gate = plan.gate;
  if (plan.fans_out) {
    flow.config.ack_policy = AckPolicy::kPrimary;
    flow.config.primary_destination = flow.destinations[random.Below(flow.destinations.size())].name;
  }
  return flow;
}

}  // namespace

Plan::Plan(Random random) {
  const uint64_t switches[] = {1, 5, 20, 60};
  switch_percent = switches[random.Below(4)];
  trouble = random.Between(4, 30) * kSecond;
  const uint64_t rates[] = {0, 0, 2, 10, 40};
  error_permille = rates[random.Below(5)];
  slow_permille = rates[random.Below(5)];
  slow_bits = static_cast<int>(random.Between(4, 14));
  kill_percent = random.OneIn(3) ? 0 : random.Between(30, 100);
  kill_bits = static_cast<int>(random.Between(6, 13));
  pauses = random.OneIn(3);
  cuts = random.OneIn(3);
  restarts = random.OneIn(4);
  loses_slot = random.OneIn(20);
  second_workers = random.OneIn(4);
  operators = random.OneIn(3);
  ddl = random.OneIn(2);
  gate = random.OneIn(2);
  if (random.OneIn(3)) capture_ddl = random.OneIn(2);
  wide = random.OneIn(40);
  empty_transactions = random.OneIn(2);
  full_identity = random.OneIn(3);
  const int kinds[] = {1, 1, 2, 4, 3, 5, 6, 7};
  destinations = kinds[random.Below(8)];
  quiet = random.Between(100, 4000) * kMillisecond;
  // Of a slot or a schema that changed since the image, other rules tell.
  restores = random.OneIn(6) && !loses_slot && !ddl;
  // What a spool makes of lost slots and restored sources, tests with real servers show.
  spool = random.OneIn(2) && !loses_slot && !restores;
  const bool several = (destinations & (destinations - 1)) != 0;
  fans_out = several && spool && !random.OneIn(4);
}

void Statistics::Add(const Statistics& other) {
  runs += other.runs;
  workers += other.workers;
  kills += other.kills;
  pauses += other.pauses;
  fenced += other.fenced;
  transactions += other.transactions;
  changes += other.changes;
  ddl += other.ddl;
  gates += other.gates;
  commits += other.commits;
  lost_answers += other.lost_answers;
  errors += other.errors;
  copies += other.copies;
  slot_losses += other.slot_losses;
  restores += other.restores;
  checkpoints += other.checkpoints;
  lanes += other.lanes;
  steps += other.steps;
  seconds += other.seconds;
}

World::World(uint64_t run_seed, bool verbose)
    : seed(run_seed),
      chance(run_seed, /*stream=*/2),
      plan(Random(run_seed, /*stream=*/3)),
      scheduler(run_seed, {.switch_percent = plan.switch_percent}),
      store(OpenStore()),
      oracle(this),
      flow(MakeFlow(plan, Random(run_seed, /*stream=*/4))),
      verbose_(verbose) {
  now = this;
  SetRandomDevice(&chance);
  for (const Endpoint& endpoint : flow.destinations) {
    disks[endpoint.name] = {.name = endpoint.name, .capabilities = SimulatedCapabilities(endpoint.name)};
  }
}

World::~World() {
  SetRandomDevice(nullptr);
  now = nullptr;
}

World& World::Now() {
  return *now;
}

void World::Violated(const std::string& what) {
  if (violation_.empty()) violation_ = what;
  Say(absl::StrCat("VIOLATED: ", what));
  scheduler.Stop();
}

void World::Say(std::string_view what) {
  if (!verbose_) return;
  const Process* process = Scheduler::Running() == nullptr ? nullptr : scheduler.process();
  const std::string who = process == nullptr ? "" : absl::StrCat(process->name, " ", process->number);
  std::printf("%12.6f %-12s %s\n", static_cast<double>(scheduler.now()) / 1e9, who.c_str(), std::string(what).c_str());
}

absl::Status World::Reach(std::string_view what) {
  scheduler.Step();
  if (Chance(plan.slow_permille)) scheduler.Sleep(chance.Skewed(plan.slow_bits) * kMillisecond);
  if (!Chance(plan.error_permille)) return absl::OkStatus();
  ++statistics.errors;
  if (verbose_) Say(absl::StrCat("fails: ", what));
  return absl::UnavailableError(absl::StrCat("simulated: ", what, " failed"));
}

absl::Status World::Answer(std::string_view what) {
  scheduler.Step();
  if (!Chance(plan.error_permille)) return absl::OkStatus();
  ++statistics.lost_answers;
  if (verbose_) Say(absl::StrCat("answer is lost: ", what));
  return absl::UnavailableError(absl::StrCat("simulated: the answer was lost: ", what));
}

int64_t World::NowMicros() const {
  return absl::GetCurrentTimeNanos() / 1000;
}

Clock* SimulatedClock() {
  static StepClock clock;
  return &clock;
}

}  // namespace wallaby::simulation
