// World: all that one run consists of beside the code under test: what is durable, what goes wrong, who looks on.
#ifndef WALLABY_TEST_SIMULATION_WORLD_H_
#define WALLABY_TEST_SIMULATION_WORLD_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "base/clock.h"
#include "flow/flow.h"
#include "store/control_store.h"
#include "test/simulation/database.h"
#include "test/simulation/disk.h"
#include "test/simulation/oracle.h"
#include "test/simulation/random.h"
#include "test/simulation/scheduler.h"
#include "test/simulation/spool_disk.h"

namespace wallaby {
class Worker;
}

namespace wallaby::simulation {

inline constexpr char kFlow[] = "flow";

// What kind of run it is; follows from the seed.
struct Plan {
  explicit Plan(Random random);

  uint64_t switch_percent;
  Nanos trouble;            // how long things go wrong
  uint64_t error_permille;  // of exchanges with the outside that fail
  uint64_t slow_permille;
  int slow_bits;          // milliseconds, skewed
  uint64_t kill_percent;  // of processes that are killed some time
  int kill_bits;          // after so many steps, skewed
  bool pauses;            // processes are suspended, clocks go on
  bool cuts;              // connections are cut
  bool restarts;          // of the source's server
  bool loses_slot;
  bool restores;        // the source, from an image of its disk
  bool second_workers;  // somebody starts a worker although one is there
  bool operators;       // pause, stop, resume in between
  bool ddl;
  bool gate;
  std::optional<bool> capture_ddl;
  bool wide;                // transactions that outgrow a batch
  bool empty_transactions;  // as PostgreSQL 14 sends them
  bool full_identity;       // of one of the tables
  int destinations;         // bits: exactly once, that lingers, at least once
  bool spool;               // between the slot and the flow
  bool fans_out;            // one destination is the primary, the others have lanes
  Nanos quiet;              // longest time between transactions of the source
};

struct Statistics {
  int64_t runs = 0;
  int64_t workers = 0;
  int64_t kills = 0;
  int64_t pauses = 0;
  int64_t fenced = 0;
  int64_t transactions = 0;
  int64_t changes = 0;  // of the source
  int64_t ddl = 0;
  int64_t gates = 0;    // events that waited for somebody
  int64_t commits = 0;  // at destinations
  int64_t lost_answers = 0;
  int64_t errors = 0;  // injected, others
  int64_t copies = 0;  // parts of snapshots
  int64_t slot_losses = 0;
  int64_t restores = 0;
  int64_t checkpoints = 0;
  int64_t lanes = 0;  // begun
  int64_t steps = 0;
  int64_t seconds = 0;  // simulated

  void Add(const Statistics& other);
};

class World {
 public:
  World(uint64_t seed, bool verbose);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;
  // The run that goes on.
  static World& Now();

  // The first thing that is wrong ends the run.
  void Violated(const std::string& what);
  const std::string& violation() const { return violation_; }
  bool verbose() const { return verbose_; }
  // A line of the trace.
  void Say(std::string_view what);

  // ---- trouble ----
  bool Chance(uint64_t permille) { return trouble && chance.Below(1000) < permille; }
  // An exchange with something outside of the process: takes time, and may fail before it gets there.
  absl::Status Reach(std::string_view what);
  // The exchange was made; its answer may be lost.
  absl::Status Answer(std::string_view what);

  int64_t NowMicros() const;

  const uint64_t seed;
  Random chance;
  const Plan plan;
  Scheduler scheduler;
  Database database;
  std::map<std::string, Disk> disks;
  SpoolDisk spool;
  std::unique_ptr<ControlStore> store;  // as it is on its disk
  Oracle oracle;
  Flow flow;
  Statistics statistics;
  bool trouble = true;
  std::map<std::string, Lsn> read_parts;  // of snapshots, with the snapshot each was read under last
  std::map<int, Worker*> running;         // by the number of their process
  bool lane_needs_backfill = false;       // as a report has told
  bool backfilled = false;                // the backfill that a failure asked for was made

 private:
  const bool verbose_;
  std::string violation_;
};

// The clock of simulated processes; looking at it is a step.
Clock* SimulatedClock();

}  // namespace wallaby::simulation

#endif  // WALLABY_TEST_SIMULATION_WORLD_H_
