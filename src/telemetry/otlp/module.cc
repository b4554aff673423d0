// The OTLP module: OpenTelemetry's SDK behind telemetry/otlp.h. Metrics are ours, handed to the SDK's reader as they
// are when it asks; spans and log records are made by the SDK.
//
// The module has a copy of its own of the rooms beneath: Log() here writes to stderr only, so that what the SDK has to
// say about a failed export is not exported.
#include <unistd.h>

#include <chrono>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/process_name.h"
#include "opentelemetry/exporters/otlp/otlp_grpc_exporter_factory.h"
#include "opentelemetry/exporters/otlp/otlp_grpc_exporter_options.h"
#include "opentelemetry/exporters/otlp/otlp_grpc_log_record_exporter_factory.h"
#include "opentelemetry/exporters/otlp/otlp_grpc_log_record_exporter_options.h"
#include "opentelemetry/exporters/otlp/otlp_http_exporter_factory.h"
#include "opentelemetry/exporters/otlp/otlp_http_exporter_options.h"
#include "opentelemetry/exporters/otlp/otlp_http_log_record_exporter_factory.h"
#include "opentelemetry/exporters/otlp/otlp_http_log_record_exporter_options.h"
#include "opentelemetry/logs/logger.h"
#include "opentelemetry/sdk/common/global_log_handler.h"
#include "opentelemetry/sdk/logs/batch_log_record_processor_factory.h"
#include "opentelemetry/sdk/logs/batch_log_record_processor_options.h"
#include "opentelemetry/sdk/logs/logger_provider.h"
#include "opentelemetry/sdk/logs/logger_provider_factory.h"
#include "opentelemetry/sdk/resource/resource.h"
#include "opentelemetry/sdk/resource/resource_detector.h"
#include "opentelemetry/sdk/trace/batch_span_processor_factory.h"
#include "opentelemetry/sdk/trace/batch_span_processor_options.h"
#include "opentelemetry/sdk/trace/tracer_provider.h"
#include "opentelemetry/sdk/trace/tracer_provider_factory.h"
#include "opentelemetry/trace/tracer.h"
#include "telemetry/otlp.h"
#include "telemetry/otlp/metric_bridge.h"

namespace wallaby {
namespace {

namespace otlp = opentelemetry::exporter::otlp;
namespace sdk = opentelemetry::sdk;
namespace api = opentelemetry::trace;
using opentelemetry::nostd::shared_ptr;
using opentelemetry::nostd::string_view;

constexpr std::chrono::microseconds kEndLimit = std::chrono::seconds(2);
constexpr char kScope[] = "wallaby";

string_view View(std::string_view text) {
  return {text.data(), text.size()};
}

// The SDK's own messages, in our form. They name addresses and errors, never headers.
class SdkMessages final : public sdk::common::internal_log::LogHandler {
 public:
  void Handle(sdk::common::internal_log::LogLevel level, const char*, int, const char* msg,
              const sdk::common::AttributeMap&) noexcept override {
    const bool bad =
        level == sdk::common::internal_log::LogLevel::Error || level == sdk::common::internal_log::LogLevel::Warning;
    Log(bad ? LogLevel::kWarn : LogLevel::kDebug, msg == nullptr ? "" : msg, {{"from", "otlp"}});
  }
};

sdk::resource::Resource MakeResource(const OtlpOptions& options) {
  sdk::resource::ResourceAttributes attributes;
  attributes["service.version"] = options.version;
  attributes["service.instance.id"] = ProcessName(getpid());
  attributes["host.name"] = HostName();
  attributes["process.pid"] = static_cast<int64_t>(getpid());
  attributes["process.executable.name"] = options.program;
  attributes["service.name"] = std::string("wallaby");
  // What the environment says wins: OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES.
  const sdk::resource::Resource asked = sdk::resource::OTELResourceDetector().Detect();
  for (const auto& [key, value] : asked.GetAttributes()) attributes[key] = value;
  return sdk::resource::Resource::Create(attributes);
}

class OtelSpan final : public LiveSpan {
 public:
  explicit OtelSpan(shared_ptr<api::Span> span) : span_(std::move(span)) {}
  ~OtelSpan() override { span_->End(); }
  void Set(std::string_view key, int64_t value) override { span_->SetAttribute(View(key), value); }
  void Set(std::string_view key, std::string_view value) override { span_->SetAttribute(View(key), View(value)); }
  void AddEvent(std::string_view name, SpanAttributes attributes) override {
    std::vector<std::pair<string_view, opentelemetry::common::AttributeValue>> values;
    for (const auto& [key, value] : attributes) values.emplace_back(View(key), View(value));
    span_->AddEvent(View(name), values);
  }
  void SetError(std::string_view message) override { span_->SetStatus(api::StatusCode::kError, View(message)); }
  api::SpanContext context() const { return span_->GetContext(); }

 private:
  const shared_ptr<api::Span> span_;
};

class OtelTracer final : public Tracer {
 public:
  OtelTracer(const OtlpPlan& plan, const sdk::resource::Resource& resource) {
    auto exporter = plan.traces.protocol == OtlpProtocol::kGrpc
                        ? otlp::OtlpGrpcExporterFactory::Create(otlp::OtlpGrpcExporterOptions())
                        : otlp::OtlpHttpExporterFactory::Create(otlp::OtlpHttpExporterOptions());
    auto processor =
        sdk::trace::BatchSpanProcessorFactory::Create(std::move(exporter), sdk::trace::BatchSpanProcessorOptions());
    provider_ = sdk::trace::TracerProviderFactory::Create(std::move(processor), resource);
    tracer_ = provider_->GetTracer(kScope);
  }
  ~OtelTracer() override { provider_->Shutdown(kEndLimit); }

  std::unique_ptr<LiveSpan> Start(std::string_view name, const LiveSpan* parent, absl::Time began) override {
    api::StartSpanOptions options;
    options.start_system_time = opentelemetry::common::SystemTimestamp(absl::ToChronoTime(began));
    // The end is measured by the steady clock.
    options.start_steady_time = opentelemetry::common::SteadyTimestamp(std::chrono::steady_clock::now() -
                                                                       absl::ToChronoNanoseconds(absl::Now() - began));
    if (parent != nullptr) options.parent = static_cast<const OtelSpan*>(parent)->context();
    return std::make_unique<OtelSpan>(tracer_->StartSpan(View(name), {}, options));
  }

 private:
  std::unique_ptr<sdk::trace::TracerProvider> provider_;
  shared_ptr<api::Tracer> tracer_;
};

class OtelLogs final : public LogSink {
 public:
  OtelLogs(const OtlpPlan& plan, const sdk::resource::Resource& resource) {
    auto exporter = plan.logs.protocol == OtlpProtocol::kGrpc
                        ? otlp::OtlpGrpcLogRecordExporterFactory::Create(otlp::OtlpGrpcLogRecordExporterOptions())
                        : otlp::OtlpHttpLogRecordExporterFactory::Create(otlp::OtlpHttpLogRecordExporterOptions());
    auto processor = sdk::logs::BatchLogRecordProcessorFactory::Create(std::move(exporter),
                                                                       sdk::logs::BatchLogRecordProcessorOptions());
    provider_ = sdk::logs::LoggerProviderFactory::Create(std::move(processor), resource);
    logger_ = provider_->GetLogger(kScope, kScope);
  }
  ~OtelLogs() override { provider_->Shutdown(kEndLimit); }

  void Write(LogLevel level, std::string_view flow_id, std::string_view msg, LogFields fields) override {
    auto record = logger_->CreateLogRecord();
    if (record == nullptr) return;
    record->SetTimestamp(std::chrono::system_clock::now());
    record->SetSeverity(Severity(level));
    record->SetBody(View(msg));
    record->SetAttribute("app", "wallaby");
    if (!flow_id.empty()) record->SetAttribute("flow_id", View(flow_id));
    for (const auto& [key, value] : fields) record->SetAttribute(View(key), View(value));
    logger_->EmitLogRecord(std::move(record));
  }

 private:
  static opentelemetry::logs::Severity Severity(LogLevel level) {
    switch (level) {
      case LogLevel::kDebug:
        return opentelemetry::logs::Severity::kDebug;
      case LogLevel::kInfo:
        return opentelemetry::logs::Severity::kInfo;
      case LogLevel::kWarn:
        return opentelemetry::logs::Severity::kWarn;
      case LogLevel::kError:
        return opentelemetry::logs::Severity::kError;
    }
    return opentelemetry::logs::Severity::kInfo;
  }

  std::unique_ptr<sdk::logs::LoggerProvider> provider_;
  shared_ptr<opentelemetry::logs::Logger> logger_;
};

class SdkExport final : public OtlpExport {
 public:
  SdkExport(const OtlpPlan& plan, const OtlpOptions& options) {
    sdk::common::internal_log::GlobalLogHandler::SetLogHandler(
        shared_ptr<sdk::common::internal_log::LogHandler>(std::make_unique<SdkMessages>().release()));
    const sdk::resource::Resource resource = MakeResource(options);
    if (plan.metrics.on) metrics_ = StartMetricExport(plan, resource, options.collect);
    if (plan.traces.on) tracer_ = std::make_unique<OtelTracer>(plan, resource);
    if (plan.logs.on) logs_ = std::make_unique<OtelLogs>(plan, resource);
  }
  Tracer* tracer() override { return tracer_.get(); }
  LogSink* log_sink() override { return logs_.get(); }

 private:
  std::unique_ptr<MetricExport> metrics_;
  std::unique_ptr<OtelTracer> tracer_;
  std::unique_ptr<OtelLogs> logs_;
};

}  // namespace
}  // namespace wallaby

extern "C" __attribute__((visibility("default"))) void wallaby_start_otlp(const wallaby::OtlpPlan& plan,
                                                                          const wallaby::OtlpOptions& options,
                                                                          std::unique_ptr<wallaby::OtlpExport>* out) {
  *out = std::make_unique<wallaby::SdkExport>(plan, options);
}
