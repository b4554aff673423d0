// Clock: the only way in which the pipeline learns the time, so that the simulator can own it.
#ifndef WALLABY_BASE_CLOCK_H_
#define WALLABY_BASE_CLOCK_H_

#include "absl/time/time.h"

namespace wallaby {

class Clock {
 public:
  virtual ~Clock() = default;
  // Wall time; may jump. For what people read.
  virtual absl::Time Now() = 0;
  // Never goes back; only differences mean anything. For deadlines.
  virtual absl::Duration Monotonic() = 0;
  // The machine's clock. Lives as long as the process; safe from any thread.
  static Clock* Real();
};

}  // namespace wallaby

#endif  // WALLABY_BASE_CLOCK_H_
