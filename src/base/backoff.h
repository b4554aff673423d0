// Backoff: how long to wait before the next try. Exponential with full jitter and a cap.
#ifndef WALLABY_BASE_BACKOFF_H_
#define WALLABY_BASE_BACKOFF_H_

#include <cstdint>
#include <random>

#include "absl/time/time.h"

namespace wallaby {

// Not safe from several threads.
class Backoff {
 public:
  Backoff(absl::Duration base, absl::Duration cap, uint64_t seed = std::random_device{}(), double factor = 2)
      : base_(base), cap_(cap), factor_(factor), random_(seed) {}

  // The next wait: between half of and the whole of min(cap, base * factor^tries).
  absl::Duration Next();
  // After a success.
  void Reset() { tries_ = 0; }
  int tries() const { return tries_; }

 private:
  absl::Duration base_;
  absl::Duration cap_;
  double factor_;
  int tries_ = 0;
  std::mt19937_64 random_;
};

}  // namespace wallaby

#endif  // WALLABY_BASE_BACKOFF_H_
