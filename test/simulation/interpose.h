// What the simulator's executable puts in the place of libc's functions (interpose.cc).
#ifndef WALLABY_TEST_SIMULATION_INTERPOSE_H_
#define WALLABY_TEST_SIMULATION_INTERPOSE_H_

#include <string>

#include "test/simulation/random.h"

namespace wallaby::simulation {

// Unlocks on behalf of a thread that is no more.
void ReleaseMutex(void* mutex);
// What fibers wait for in poll(2): all look again when it is woken.
const void* PollQueue();
// Where std::random_device takes its numbers from; null: the machine.
void SetRandomDevice(Random* random);
// What simulated processes write to stderr (their log) goes there; null: nowhere.
void SetLogText(void (*take)(const std::string& line));

}  // namespace wallaby::simulation

#endif  // WALLABY_TEST_SIMULATION_INTERPOSE_H_
