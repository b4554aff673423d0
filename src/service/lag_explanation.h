// Where a flow's lag is: one answer out of what the control store, the worker and the source say. No I/O.
#ifndef WALLABY_SERVICE_LAG_EXPLANATION_H_
#define WALLABY_SERVICE_LAG_EXPLANATION_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "flow/ddl_event.h"
#include "wallaby/v1/services.pb.h"
#include "wallaby/v1/types.pb.h"

namespace wallaby {

struct DestinationWait {
  std::string name;
  int64_t queued_bytes = 0;
  int64_t queue_limit_bytes = 0;
  absl::Duration busy;  // at one write or commit
};

struct LagFacts {
  const v1::Flow& flow;         // as flow get shows it, with the slot as it is now
  bool worker_reports = false;  // it has told about itself lately
  std::vector<DestinationWait> destinations;
  absl::Duration failing;     // its attempts fail since; zero: they do not
  std::vector<DdlEvent> ddl;  // that hold the flow
};

// Fills `destinations` and `failing` from a worker's metrics (WorkerReport::metrics).
absl::Status ReadLoads(const std::string& metrics, LagFacts* facts);

// The first of these that holds: the slot is lost or missing; a schema change waits for a decision; the flow is paused;
// no worker runs; the source, or a destination, cannot be reached; tables are copied; a destination is slower than what
// arrives; some tables wait for a schema change; the spool is full; the source is still decoding; the network; the
// worker; an open transaction holds WAL though nothing lags; nothing lags.
v1::LagExplanation ExplainLag(const LagFacts& facts);

}  // namespace wallaby

#endif  // WALLABY_SERVICE_LAG_EXPLANATION_H_
