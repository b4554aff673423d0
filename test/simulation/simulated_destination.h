// A destination in memory, of three kinds by its name in the flow:
//   exact   commits at once, keeps its progress with the rows, can give up parts of a snapshot
//   linger  the same, but lets changes gather and starts snapshots over
//   atleast has no transactions and keeps no progress: each change is in as it is written, and may come again; by its
//           position it is known
#ifndef WALLABY_TEST_SIMULATION_SIMULATED_DESTINATION_H_
#define WALLABY_TEST_SIMULATION_SIMULATED_DESTINATION_H_

#include <memory>

#include "destination/destination.h"

namespace wallaby::simulation {

absl::Status MakeSimulatedDestination(const DestinationConfig& config, std::unique_ptr<Destination>* out);

Capabilities SimulatedCapabilities(const std::string& name);

}  // namespace wallaby::simulation

#endif  // WALLABY_TEST_SIMULATION_SIMULATED_DESTINATION_H_
