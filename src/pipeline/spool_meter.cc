#include "pipeline/spool_meter.h"

#include <algorithm>

#include "base/status.h"

namespace wallaby {
namespace {

constexpr absl::Duration kWindow = absl::Minutes(1);
// Over less time a rate means nothing.
constexpr absl::Duration kLeast = absl::Seconds(5);

std::optional<absl::Duration> FullIn(int64_t limit, int64_t now, int64_t before, absl::Duration passed) {
  if (limit <= 0 || passed < kLeast) return std::nullopt;
  if (now >= limit) return absl::ZeroDuration();
  if (now <= before) return std::nullopt;
  return passed * (static_cast<double>(limit - now) / static_cast<double>(now - before));
}

}  // namespace

absl::StatusOr<SpoolFigures> SpoolMeter::Measure(const SpoolName& name, Lsn cursor, absl::Duration now) {
  SpoolFigures figures{.limit = options_.limit};
  ASSIGN_OR_RETURN(figures.size, SpoolBytes(options_.root));
  ASSIGN_OR_RETURN(figures.behind, SpoolBytesBehind(options_, name, cursor));
  while (samples_.size() > 1 && now - samples_[1].at >= kWindow) samples_.pop_front();
  samples_.push_back({now, figures.size, figures.behind});
  // What is delivered goes with its segment; that the segment grows until then fills nothing.
  if (figures.behind == 0) return figures;
  const Sample& first = samples_.front();
  for (const auto& full_in : {FullIn(options_.limit, figures.size, first.size, now - first.at),
                              FullIn(own_limit_, figures.behind, first.behind, now - first.at)}) {
    if (full_in && (!figures.full_in || *full_in < *figures.full_in)) figures.full_in = full_in;
  }
  return figures;
}

}  // namespace wallaby
