// DeniedLines: how many lines about calls that were denied are written to the log, so that nobody fills the disk with
// them.
#ifndef WALLABY_ACCESS_DENIED_LINES_H_
#define WALLABY_ACCESS_DENIED_LINES_H_

#include <cstdint>
#include <optional>

#include "absl/time/time.h"

namespace wallaby {

// A bucket of kBurst lines that fills again by one each kInterval. For one thread at a time.
class DeniedLines {
 public:
  static constexpr int64_t kBurst = 60;
  static constexpr absl::Duration kInterval = absl::Milliseconds(200);

  // Nothing: the line is to be left out. Else how many were left out since the last that was written.
  std::optional<int64_t> Admit(absl::Time now);
  // What nobody has been told of; 0 from then on.
  int64_t TakeLeftOut();

 private:
  int64_t room_ = kBurst;
  int64_t left_out_ = 0;
  absl::Time filled_ = absl::InfinitePast();  // up to when room_ counts
};

}  // namespace wallaby

#endif  // WALLABY_ACCESS_DENIED_LINES_H_
