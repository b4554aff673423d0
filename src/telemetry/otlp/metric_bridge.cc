#include "telemetry/otlp/metric_bridge.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include "opentelemetry/exporters/otlp/otlp_grpc_metric_exporter_factory.h"
#include "opentelemetry/exporters/otlp/otlp_grpc_metric_exporter_options.h"
#include "opentelemetry/exporters/otlp/otlp_http_metric_exporter_factory.h"
#include "opentelemetry/exporters/otlp/otlp_http_metric_exporter_options.h"
#include "opentelemetry/sdk/instrumentationscope/instrumentation_scope.h"
#include "opentelemetry/sdk/metrics/export/metric_producer.h"
#include "opentelemetry/sdk/metrics/export/periodic_exporting_metric_reader.h"
#include "opentelemetry/sdk/metrics/push_metric_exporter.h"
#include "telemetry/json_text.h"

namespace wallaby {
namespace {

namespace metrics = opentelemetry::sdk::metrics;
namespace otlp = opentelemetry::exporter::otlp;
using opentelemetry::sdk::instrumentationscope::InstrumentationScope;

metrics::InstrumentDescriptor Describe(const MetricDef& def) {
  metrics::InstrumentDescriptor out;
  out.name_ = std::string(def.name);
  out.description_ = std::string(def.help);
  out.unit_ = std::string(def.unit);
  switch (def.kind) {
    case MetricKind::kCounter:
      out.type_ = metrics::InstrumentType::kObservableCounter;
      out.value_type_ = metrics::InstrumentValueType::kLong;
      break;
    case MetricKind::kGauge:
      out.type_ = metrics::InstrumentType::kObservableGauge;
      out.value_type_ = metrics::InstrumentValueType::kDouble;
      break;
    case MetricKind::kHistogram:
      out.type_ = metrics::InstrumentType::kHistogram;
      out.value_type_ = metrics::InstrumentValueType::kDouble;
      break;
  }
  return out;
}

metrics::PointType Point(const MetricSample& sample, const MetricDef& def, opentelemetry::common::SystemTimestamp now) {
  if (def.kind == MetricKind::kCounter) {
    metrics::SumPointData sum;
    sum.value_ = static_cast<int64_t>(sample.value);
    return sum;
  }
  if (def.kind == MetricKind::kGauge) {
    metrics::LastValuePointData last;
    last.value_ = sample.value;
    last.is_lastvalue_valid_ = true;
    last.sample_ts_ = now;
    return last;
  }
  metrics::HistogramPointData histogram;
  histogram.boundaries_.assign(def.bounds.begin(), def.bounds.end());
  histogram.counts_.assign(sample.histogram.counts.begin(), sample.histogram.counts.end());
  histogram.sum_ = sample.histogram.sum;
  histogram.count_ = static_cast<uint64_t>(sample.histogram.total());
  histogram.record_min_max_ = false;
  return histogram;
}

class Producer final : public metrics::MetricProducer {
 public:
  Producer(const opentelemetry::sdk::resource::Resource& resource, std::function<std::vector<MetricFamily>()> collect)
      : resource_(resource), scope_(InstrumentationScope::Create("wallaby")), collect_(std::move(collect)) {}

  Result Produce() noexcept override {
    const opentelemetry::common::SystemTimestamp now(std::chrono::system_clock::now());
    std::vector<metrics::MetricData> data;
    for (const MetricFamily& family : collect_()) {
      metrics::MetricData& one = data.emplace_back();
      one.instrument_descriptor = Describe(*family.def);
      one.aggregation_temporality = metrics::AggregationTemporality::kCumulative;
      one.start_ts = start_;
      one.end_ts = now;
      for (const MetricSample& sample : family.samples) {
        metrics::PointDataAttributes point;
        for (const auto& [name, value] : sample.labels) point.attributes.SetAttribute(name, ValidUtf8(value).c_str());
        point.point_data = Point(sample, *family.def, now);
        one.point_data_attr_.push_back(std::move(point));
      }
    }
    metrics::ScopeMetrics scope(scope_.get(), std::move(data));
    return {metrics::ResourceMetrics(&resource_, std::vector<metrics::ScopeMetrics>{std::move(scope)}),
            Status::kSuccess};
  }

 private:
  const opentelemetry::sdk::resource::Resource resource_;
  const std::unique_ptr<InstrumentationScope> scope_;
  const std::function<std::vector<MetricFamily>()> collect_;
  const opentelemetry::common::SystemTimestamp start_{std::chrono::system_clock::now()};
};

class PeriodicExport final : public MetricExport {
 public:
  PeriodicExport(const OtlpPlan& plan, const opentelemetry::sdk::resource::Resource& resource,
                 std::function<std::vector<MetricFamily>()> collect)
      : producer_(resource, std::move(collect)) {
    std::unique_ptr<metrics::PushMetricExporter> exporter;
    if (plan.metrics.protocol == OtlpProtocol::kGrpc) {
      exporter = otlp::OtlpGrpcMetricExporterFactory::Create(otlp::OtlpGrpcMetricExporterOptions());
    } else {
      exporter = otlp::OtlpHttpMetricExporterFactory::Create(otlp::OtlpHttpMetricExporterOptions());
    }
    metrics::PeriodicExportingMetricReaderOptions options;
    options.export_interval_millis = std::chrono::milliseconds(absl::ToInt64Milliseconds(plan.metrics_interval));
    // The SDK takes its own defaults for both when an export may last longer than the interval.
    options.export_timeout_millis =
        std::min<std::chrono::milliseconds>(std::chrono::seconds(30), options.export_interval_millis / 2);
    reader_ = std::make_unique<metrics::PeriodicExportingMetricReader>(std::move(exporter), options);
    reader_->SetMetricProducer(&producer_);
  }
  ~PeriodicExport() override { reader_->Shutdown(std::chrono::seconds(2)); }

 private:
  Producer producer_;
  std::unique_ptr<metrics::PeriodicExportingMetricReader> reader_;
};

}  // namespace

std::unique_ptr<MetricExport> StartMetricExport(const OtlpPlan& plan,
                                                const opentelemetry::sdk::resource::Resource& resource,
                                                std::function<std::vector<MetricFamily>()> collect) {
  return std::make_unique<PeriodicExport>(plan, resource, std::move(collect));
}

}  // namespace wallaby
