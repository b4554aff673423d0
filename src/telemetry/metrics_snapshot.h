// A worker's metrics as one line of text, which goes with its report through the control store to the server.
#ifndef WALLABY_TELEMETRY_METRICS_SNAPSHOT_H_
#define WALLABY_TELEMETRY_METRICS_SNAPSHOT_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "telemetry/metrics.h"

namespace wallaby {

// JSON, some kilobytes. Only names, labels and values: what is fixed about a metric is in the table of both programs.
std::string EncodeMetrics(const std::vector<MetricFamily>& families);

// Metrics that this program's table does not know, or has with other buckets, are left out: worker and server may be of
// different versions. INVALID_ARGUMENT for text that is no snapshot. "" has no metrics.
absl::StatusOr<std::vector<MetricFamily>> DecodeMetrics(std::string_view snapshot);

}  // namespace wallaby

#endif  // WALLABY_TELEMETRY_METRICS_SNAPSHOT_H_
