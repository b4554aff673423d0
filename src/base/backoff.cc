#include "base/backoff.h"

#include <algorithm>
#include <cmath>

namespace wallaby {

absl::Duration Backoff::Next() {
  const absl::Duration whole = std::min(cap_, base_ * std::pow(factor_, std::min(tries_++, 30)));
  return whole * std::uniform_real_distribution<double>(0.5, 1.0)(random_);
}

}  // namespace wallaby
