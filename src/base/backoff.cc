#include "base/backoff.h"

#include <algorithm>

namespace wallaby {

absl::Duration Backoff::Next() {
  const int shift = std::min(tries_++, 30);
  const absl::Duration whole = std::min(cap_, base_ * (int64_t{1} << shift));
  return whole * std::uniform_real_distribution<double>(0.5, 1.0)(random_);
}

}  // namespace wallaby
