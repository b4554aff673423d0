#include <iterator>
#include <optional>

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

// The disk of the source is what it was, and before anybody looks, others have written until the old end is passed.
// False: not now. What a worker has read and not checkpointed, nobody can tell from what comes under its positions.
bool Restore(World& world, Workload& workload, const Database::Image& image) {
  Database& database = world.database;
  if (!database.slot.exists || !world.oracle.IsSettledBefore(image.end)) return false;
  const auto running = world.running;
  for (const auto& [number, worker] : running) world.scheduler.Kill(&world.scheduler.process_at(number));
  if (!world.oracle.IsSettledBefore(image.end)) return false;
  const Lsn reached = database.current();
  database.Restore(image);
  world.oracle.Restored(image.end);
  ++world.statistics.restores;
  world.Say(absl::StrCat("the source is restored to ", image.end.ToString(), " from ", reached.ToString(),
                         ", its slot to ", image.confirmed.ToString()));
  while (database.current() <= reached) {
    workload.Transact();
    if (world.chance.OneIn(2)) database.OtherTraffic(world.chance.Skewed(12));
  }
  return true;
}

}  // namespace

void CauseTrouble(World& world, Workload& workload) {
  const Plan& plan = world.plan;
  bool slot_is_due = plan.loses_slot;
  bool restore_is_due = plan.restores;
  std::optional<Database::Image> image;
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
        if (restore_is_due && image.has_value()) restore_is_due = !Restore(world, workload, *image);
        if (restore_is_due && world.database.slot.exists && (!image.has_value() || world.chance.OneIn(3))) {
          image = world.database.TakeImage();
        }
        if (slot_is_due && world.chance.OneIn(3)) slot_is_due = !LoseSlot(world);
        break;
    }
    world.scheduler.WakeAll(PollQueue());
  }
}

}  // namespace wallaby::simulation
