// The pipeline's source over the simulated database: sessions that are cut, a server that restarts, a walsender.
#ifndef WALLABY_TEST_SIMULATION_SIMULATED_SOURCE_H_
#define WALLABY_TEST_SIMULATION_SIMULATED_SOURCE_H_

#include <memory>

#include "pipeline/source.h"

namespace wallaby::simulation {

std::unique_ptr<Source> MakeSimulatedSource();

}  // namespace wallaby::simulation

#endif  // WALLABY_TEST_SIMULATION_SIMULATED_SOURCE_H_
