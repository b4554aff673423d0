#include "access/denied_lines.h"

#include <algorithm>
#include <utility>

namespace wallaby {

std::optional<int64_t> DeniedLines::Admit(absl::Time now) {
  // A clock that goes back fills nothing until it is where it was, unless that would take longer than filling up.
  if (now < filled_ - kInterval * kBurst || now > filled_ + kInterval * kBurst) {
    filled_ = now;
    room_ = kBurst;
  }
  const int64_t more = std::max<int64_t>(0, absl::Floor(now - filled_, kInterval) / kInterval);
  room_ = std::min(kBurst, room_ + more);
  filled_ += kInterval * more;
  if (room_ == 0) {
    ++left_out_;
    return std::nullopt;
  }
  --room_;
  return TakeLeftOut();
}

int64_t DeniedLines::TakeLeftOut() {
  return std::exchange(left_out_, 0);
}

}  // namespace wallaby
