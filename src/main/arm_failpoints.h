// WALLABY_FAILPOINTS for the programs: read from the environment only, since no file of settings should ever arm one.
#ifndef WALLABY_MAIN_ARM_FAILPOINTS_H_
#define WALLABY_MAIN_ARM_FAILPOINTS_H_

#include "absl/status/status.h"

namespace wallaby {

// Warns in the log when there are any, and logs each that acts as `failpoint fired`. Before other threads run.
absl::Status ArmFailpointsFromEnvironment();

}  // namespace wallaby

#endif  // WALLABY_MAIN_ARM_FAILPOINTS_H_
