// Metrics in the text format that Prometheus scrapes.
#ifndef WALLABY_TELEMETRY_PROMETHEUS_TEXT_H_
#define WALLABY_TELEMETRY_PROMETHEUS_TEXT_H_

#include <string>
#include <string_view>
#include <vector>

#include "telemetry/metrics.h"

namespace wallaby {

inline constexpr char kPrometheusContentType[] = "text/plain; version=0.0.4; charset=utf-8";

// "wallaby_records_processed_total" for "wallaby.records.processed": dots become underscores, and a counter ends in
// _total, once. Units are not added.
std::string PrometheusName(const MetricDef& def);

// Labels of which one sample has two of a name keep the first. Bytes that are not UTF-8 become "?".
std::string PrometheusText(const std::vector<MetricFamily>& families);

}  // namespace wallaby

#endif  // WALLABY_TELEMETRY_PROMETHEUS_TEXT_H_
