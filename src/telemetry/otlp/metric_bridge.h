// Our metrics through OpenTelemetry's periodic reader and its OTLP exporters. Only the OTLP module includes this.
#ifndef WALLABY_TELEMETRY_OTLP_METRIC_BRIDGE_H_
#define WALLABY_TELEMETRY_OTLP_METRIC_BRIDGE_H_

#include <functional>
#include <memory>
#include <vector>

#include "opentelemetry/sdk/resource/resource.h"
#include "telemetry/metrics.h"
#include "telemetry/otlp.h"

namespace wallaby {

// Exports until it goes, once more at the end.
class MetricExport {
 public:
  virtual ~MetricExport() = default;
};

std::unique_ptr<MetricExport> StartMetricExport(const OtlpPlan& plan,
                                                const opentelemetry::sdk::resource::Resource& resource,
                                                std::function<std::vector<MetricFamily>()> collect);

}  // namespace wallaby

#endif  // WALLABY_TELEMETRY_OTLP_METRIC_BRIDGE_H_
