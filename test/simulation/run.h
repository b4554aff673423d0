// One run of the simulation, start to end.
#ifndef WALLABY_TEST_SIMULATION_RUN_H_
#define WALLABY_TEST_SIMULATION_RUN_H_

#include <cstdint>
#include <string>

#include "test/simulation/world.h"

namespace wallaby::simulation {

struct Outcome {
  std::string violation;  // "": everything that must hold did
  // Of all that happened; the same for each run of a seed.
  uint64_t fingerprint = 0;
  Statistics statistics;
};

// `verbose`: tells on stdout what happens.
Outcome RunSeed(uint64_t seed, bool verbose);

}  // namespace wallaby::simulation

#endif  // WALLABY_TEST_SIMULATION_RUN_H_
