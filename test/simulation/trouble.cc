#include <iterator>

#include "absl/strings/str_cat.h"
#include "test/simulation/actors.h"
#include "test/simulation/interpose.h"

namespace wallaby::simulation {
namespace {

void Pause(World& world) {
  if (world.running.empty()) return;
  const auto chosen = std::next(world.running.begin(), static_cast<int64_t>(world.chance.Below(world.running.size())));
  Process& process = world.scheduler.process_at(chosen->first);
  process.paused_until = world.scheduler.now() + (world.chance.OneIn(2) ? world.chance.Between(10, 40) * kSecond
                                                                        : world.chance.Skewed(14) * kMillisecond);
  ++world.statistics.pauses;
  if (world.verbose()) {
    world.Say(absl::StrCat("worker ", process.number, " is suspended until ",
                           static_cast<double>(process.paused_until) / 1e9));
  }
}

void Cut(World& world) {
  world.database.slot.active_pid = 0;
  world.Say("the replication connection is cut");
}

void Restart(World& world) {
  Database& database = world.database;
  ++database.sessions_epoch;
  database.down_until = world.scheduler.now() + world.chance.Skewed(14) * kMillisecond;
  database.slot.active_pid = 0;
  if (world.chance.OneIn(2)) database.slot.confirmed = database.slot.persisted;
  world.Say("the source's server restarts");
}

bool LoseSlot(World& world) {
  if (!world.database.slot.exists) return false;
  ++world.statistics.slot_losses;
  if (world.chance.OneIn(2)) {
    world.database.slot.lost = true;
  } else {
    world.database.slot = {};
  }
  world.Say("the slot is lost");
  return true;
}

}  // namespace

void CauseTrouble(World& world) {
  const Plan& plan = world.plan;
  bool slot_is_due = plan.loses_slot;
  while (world.trouble) {
    world.scheduler.Sleep(world.chance.Skewed(14) * kMillisecond);
    switch (world.chance.Below(4)) {
      case 0:
        if (plan.pauses) Pause(world);
        break;
      case 1:
        if (plan.cuts) Cut(world);
        break;
      case 2:
        if (plan.restarts) Restart(world);
        break;
      default:
        if (slot_is_due && world.chance.OneIn(3)) slot_is_due = !LoseSlot(world);
        break;
    }
    world.scheduler.WakeAll(PollQueue());
  }
}

}  // namespace wallaby::simulation
