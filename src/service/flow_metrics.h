// FlowMetrics: the metrics of all flows, as the control store tells them: states, gates, checkpoints, and what workers
// reported. They survive a restart of the server and of workers.
#ifndef WALLABY_SERVICE_FLOW_METRICS_H_
#define WALLABY_SERVICE_FLOW_METRICS_H_

#include <memory>
#include <vector>

#include "service/slot_watch.h"
#include "store/control_store.h"
#include "telemetry/metrics.h"

namespace wallaby {

// A report that is older says nothing about now: its gauges are left out, its counters stay.
inline constexpr absl::Duration kReportIsFresh = absl::Seconds(20);

class FlowMetrics {
 public:
  // Pointers outlive the object. `slots` tells about flows without a worker; may be null.
  FlowMetrics(ControlStore* store, ControlStore* checkpoints, const SlotWatch* slots)
      : store_(store), checkpoints_(checkpoints), slots_(slots) {}

  enum class Workers { kInclude, kLeaveOut };
  // Adds to `families`, with or without what workers measured themselves. While the store does not answer, only
  // wallaby.control_store.up is added, as 0. From any thread; some queries each time.
  void Collect(Workers workers, std::vector<MetricFamily>* families) const;

 private:
  absl::Status CollectFromStore(Workers workers, std::vector<MetricFamily>* families) const;

  ControlStore* const store_;
  ControlStore* const checkpoints_;
  const SlotWatch* const slots_;
};

// All flows of the store, in order of id.
absl::StatusOr<std::vector<StoredFlow>> AllFlows(ControlStore& store);

}  // namespace wallaby

#endif  // WALLABY_SERVICE_FLOW_METRICS_H_
