// Who else is there in a run: what keeps a worker running, people who decide and meddle, and what goes wrong by itself.
#ifndef WALLABY_TEST_SIMULATION_ACTORS_H_
#define WALLABY_TEST_SIMULATION_ACTORS_H_

#include <functional>

#include "pipeline/attempt.h"
#include "test/simulation/workload.h"
#include "test/simulation/world.h"

namespace wallaby::simulation {

// ---- supervisor.cc ----
// Starts a worker when the flow is running and has none. A fiber; never ends.
void Supervise(World& world);
Process* StartWorker(World& world, WorkerOptions options);
// Runs something of the control plane in a process of its own, which may be killed, and waits for its end.
void RunAside(World& world, const char* name, std::function<void(ControlStore&)> body);

// ---- operator.cc ----
// Pauses, stops, resumes and decides on schema changes, until the trouble is over. A fiber.
void Operate(World& world);
// One round of what brings a flow back: decisions, applies, a backfill, a start.
void Mend(World& world);

// ---- trouble.cc ----
// Suspends processes, cuts connections, restarts the server, loses the slot, restores the source. A fiber.
void CauseTrouble(World& world, Workload& workload);

}  // namespace wallaby::simulation

#endif  // WALLABY_TEST_SIMULATION_ACTORS_H_
