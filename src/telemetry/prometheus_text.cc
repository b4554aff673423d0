#include "telemetry/prometheus_text.h"

#include <algorithm>
#include <limits>
#include <set>

#include "prometheus/client_metric.h"
#include "prometheus/metric_family.h"
#include "prometheus/text_serializer.h"
#include "telemetry/json_text.h"

namespace wallaby {
namespace {

std::string LabelName(std::string_view name) {
  std::string out(name);
  std::replace(out.begin(), out.end(), '.', '_');
  return out;
}

prometheus::MetricType TypeOf(MetricKind kind) {
  switch (kind) {
    case MetricKind::kCounter:
      return prometheus::MetricType::Counter;
    case MetricKind::kGauge:
      return prometheus::MetricType::Gauge;
    case MetricKind::kHistogram:
      return prometheus::MetricType::Histogram;
  }
  return prometheus::MetricType::Untyped;
}

void FillHistogram(const HistogramValue& value, std::span<const double> bounds, prometheus::ClientMetric* metric) {
  uint64_t below = 0;
  for (size_t i = 0; i < value.counts.size(); ++i) {
    below += static_cast<uint64_t>(value.counts[i]);
    const double bound = i < bounds.size() ? bounds[i] : std::numeric_limits<double>::infinity();
    metric->histogram.bucket.push_back({below, bound});
  }
  metric->histogram.sample_count = below;
  metric->histogram.sample_sum = value.sum;
}

prometheus::ClientMetric ToClientMetric(const MetricSample& sample, const MetricDef& def) {
  prometheus::ClientMetric metric;
  std::set<std::string> names;
  for (const auto& [name, value] : sample.labels) {
    if (names.insert(LabelName(name)).second) metric.label.push_back({LabelName(name), ValidUtf8(value)});
  }
  switch (def.kind) {
    case MetricKind::kCounter:
      metric.counter.value = sample.value;
      break;
    case MetricKind::kGauge:
      metric.gauge.value = sample.value;
      break;
    case MetricKind::kHistogram:
      FillHistogram(sample.histogram, def.bounds, &metric);
      break;
  }
  return metric;
}

}  // namespace

std::string PrometheusName(const MetricDef& def) {
  std::string name = LabelName(def.name);
  if (def.kind == MetricKind::kCounter && !name.ends_with("_total")) name += "_total";
  return name;
}

std::string PrometheusText(const std::vector<MetricFamily>& families) {
  std::vector<prometheus::MetricFamily> out;
  for (const MetricFamily& family : families) {
    prometheus::MetricFamily& one = out.emplace_back();
    one.name = PrometheusName(*family.def);
    one.help = std::string(family.def->help);
    one.type = TypeOf(family.def->kind);
    for (const MetricSample& sample : family.samples) one.metric.push_back(ToClientMetric(sample, *family.def));
  }
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return prometheus::TextSerializer().Serialize(out);
}

}  // namespace wallaby
