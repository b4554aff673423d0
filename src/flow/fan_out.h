// Fan-out: a flow whose source is acknowledged by one destination, the primary, while the others, the secondaries, go
// at their own pace (docs/fan-out.md).
#ifndef WALLABY_FLOW_FAN_OUT_H_
#define WALLABY_FLOW_FAN_OUT_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "flow/ddl_event.h"
#include "flow/flow.h"

namespace wallaby {

// Several destinations, and ack_policy primary.
bool FansOut(const Flow& flow);
// Of a flow that fans out.
bool IsPrimary(const Flow& flow, std::string_view destination);
// The same for one that need not: false also where the flow does not fan out.
bool IsSecondary(const Flow& flow, std::string_view destination);

// INVALID_ARGUMENT when what it needs is not there: a spool, from which the secondaries catch up.
absl::Status CheckFanOut(const Flow& flow, const EffectiveDdlPolicy& ddl, bool has_spool);

}  // namespace wallaby

#endif  // WALLABY_FLOW_FAN_OUT_H_
