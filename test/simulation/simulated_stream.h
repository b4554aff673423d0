// The walsender of the simulated database, and its client's end of the connection.
#ifndef WALLABY_TEST_SIMULATION_SIMULATED_STREAM_H_
#define WALLABY_TEST_SIMULATION_SIMULATED_STREAM_H_

#include <memory>

#include "absl/status/statusor.h"
#include "postgres/replication_stream.h"

namespace wallaby::simulation {

absl::StatusOr<std::unique_ptr<ReplicationStream>> StartSimulatedStream(const StreamOptions& options);

// The client of the slot's walsender is gone, if it was this process; the walsender notices after a while.
void LeaveSlot(int process);

}  // namespace wallaby::simulation

#endif  // WALLABY_TEST_SIMULATION_SIMULATED_STREAM_H_
