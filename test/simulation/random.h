// Random: numbers that follow from a seed, on every machine alike (the distributions of <random> do not promise that).
#ifndef WALLABY_TEST_SIMULATION_RANDOM_H_
#define WALLABY_TEST_SIMULATION_RANDOM_H_

#include <cstddef>
#include <cstdint>

namespace wallaby::simulation {

class Random {
 public:
  // Streams of one seed are independent of each other.
  Random(uint64_t seed, uint64_t stream) : state_(Mix(seed) ^ Mix(stream * 0x9E3779B97F4A7C15u + 1)) {}

  // splitmix64
  uint64_t Next() {
    state_ += 0x9E3779B97F4A7C15u;
    return Mix(state_);
  }
  // 0 <= result < bound
  uint64_t Below(uint64_t bound) { return Next() % bound; }
  int64_t Between(int64_t least, int64_t most) {
    return least + static_cast<int64_t>(Below(static_cast<uint64_t>(most - least + 1)));
  }
  bool OneIn(uint64_t n) { return Below(n) == 0; }
  bool Percent(uint64_t p) { return Below(100) < p; }
  // Small numbers are as likely as large ones: 1 <= result < 2^bits.
  int64_t Skewed(int bits) { return 1 + static_cast<int64_t>(Next() & ((uint64_t{1} << Below(bits)) - 1)); }

 private:
  static uint64_t Mix(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }
  uint64_t state_;
};

}  // namespace wallaby::simulation

#endif  // WALLABY_TEST_SIMULATION_RANDOM_H_
