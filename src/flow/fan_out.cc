#include "flow/fan_out.h"

#include <algorithm>

namespace wallaby {

bool FansOut(const Flow& flow) {
  return flow.config.ack_policy == AckPolicy::kPrimary && flow.destinations.size() > 1;
}

bool IsPrimary(const Flow& flow, std::string_view destination) {
  return flow.config.primary_destination == destination;
}

bool IsSecondary(const Flow& flow, std::string_view destination) {
  return FansOut(flow) && !IsPrimary(flow, destination) &&
         std::any_of(flow.destinations.begin(), flow.destinations.end(),
                     [destination](const Endpoint& endpoint) { return endpoint.name == destination; });
}

absl::Status CheckFanOut(const Flow& flow, const EffectiveDdlPolicy& ddl, bool has_spool) {
  if (!FansOut(flow)) return absl::OkStatus();
  if (!has_spool) {
    return absl::InvalidArgumentError(
        "config.ack_policy: primary with several destinations needs a spool, from which the others catch up; set "
        "WALLABY_SPOOL_DIR, or use ack_policy all");
  }
  if (ddl.holds_tables()) {
    return absl::InvalidArgumentError(
        "config.ddl.scope: with ack_policy primary and several destinations the whole flow waits at the gate; leave "
        "the scope at flow");
  }
  return absl::OkStatus();
}

}  // namespace wallaby
