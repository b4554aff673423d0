// SpoolMeter: how full a flow's spool is, and when it will be.
#ifndef WALLABY_PIPELINE_SPOOL_METER_H_
#define WALLABY_PIPELINE_SPOOL_METER_H_

#include <cstdint>
#include <deque>
#include <optional>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/lsn.h"
#include "spool/spool.h"

namespace wallaby {

struct SpoolFigures {
  int64_t size = 0;    // of all spools in the folder
  int64_t limit = 0;   // of all spools in the folder; 0: none
  int64_t behind = 0;  // what the flow holds of its own
  // Until one of the two limits is reached, at the rate of the last minute; unset while it is not in sight, or the flow
  // holds nothing.
  std::optional<absl::Duration> full_in;
};

// One thread.
class SpoolMeter {
 public:
  // `own_limit`: of the flow; 0: none.
  SpoolMeter(SpoolOptions options, int64_t own_limit) : options_(std::move(options)), own_limit_(own_limit) {}

  // `now` is monotonic.
  absl::StatusOr<SpoolFigures> Measure(const SpoolName& name, Lsn cursor, absl::Duration now);

 private:
  struct Sample {
    absl::Duration at;
    int64_t size;
    int64_t behind;
  };

  const SpoolOptions options_;
  const int64_t own_limit_;
  std::deque<Sample> samples_;  // of the last minute
};

}  // namespace wallaby

#endif  // WALLABY_PIPELINE_SPOOL_METER_H_
