// OTLP: metrics, spans and log lines to an OpenTelemetry collector, as the standard OTEL_* variables say
// (docs/metrics.md lists those that count). Nothing is sent unless they name an endpoint or an exporter.
//
// OpenTelemetry's SDK is in a module, lib/wallaby/otlp.so, which is loaded only then. What it does never fails the
// program: a collector that is away shows as warnings in the log.
#ifndef WALLABY_TELEMETRY_OTLP_H_
#define WALLABY_TELEMETRY_OTLP_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "telemetry/log.h"
#include "telemetry/metrics.h"
#include "telemetry/trace.h"

namespace wallaby {

enum class OtlpProtocol { kGrpc, kHttp };

// What the environment asks for. The rest of OTEL_EXPORTER_OTLP_* is read by the SDK itself.
struct OtlpPlan {
  struct Signal {
    bool on = false;
    OtlpProtocol protocol = OtlpProtocol::kHttp;
  };
  Signal metrics;
  Signal traces;
  Signal logs;
  absl::Duration metrics_interval = absl::Seconds(60);
  bool any() const { return metrics.on || traces.on || logs.on; }
};

// INVALID_ARGUMENT naming the variable. `metrics_interval` is WALLABY_OTEL_METRICS_INTERVAL; 0: not set.
absl::StatusOr<OtlpPlan> OtlpPlanFromEnvironment(absl::Duration metrics_interval);

struct OtlpOptions {
  std::string program;  // "wallaby-worker"
  std::string version;
  // Called on a thread of the exporter.
  std::function<std::vector<MetricFamily>()> collect;
};

// Sends until it goes; then what is left, for at most two seconds. The tracer and the log sink are null when off.
class OtlpExport {
 public:
  virtual ~OtlpExport() = default;
  virtual Tracer* tracer() = 0;
  virtual LogSink* log_sink() = 0;
};

// What the module exports under this name.
inline constexpr char kOtlpModuleSymbol[] = "wallaby_start_otlp";
using StartOtlpFn = void (*)(const OtlpPlan& plan, const OtlpOptions& options, std::unique_ptr<OtlpExport>* out);

// Export for as long as the object lives; it must outlive all spans. What is left is sent at the end.
class Otlp {
 public:
  // Null when nothing is asked for. NOT_FOUND when the module is missing. Call it from main(), after signals were
  // blocked and before other threads start.
  static absl::StatusOr<std::unique_ptr<Otlp>> Start(absl::Duration metrics_interval, OtlpOptions options);
  ~Otlp();

 private:
  explicit Otlp(std::unique_ptr<OtlpExport> exporter);
  const std::unique_ptr<OtlpExport> export_;
};

}  // namespace wallaby

#endif  // WALLABY_TELEMETRY_OTLP_H_
