#include "telemetry/otlp.h"

#include <dlfcn.h>
#include <unistd.h>

#include <climits>
#include <cstdlib>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status.h"

namespace wallaby {
namespace {

std::string Variable(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value == nullptr ? "" : std::string(absl::StripAsciiWhitespace(value));
}

absl::Status BadValue(const std::string& name, const std::string& value, std::string_view allowed) {
  return absl::InvalidArgumentError(absl::StrCat(name, " is '", value, "'; allowed: ", allowed));
}

// `signal` as in the variables' names: "METRICS".
absl::StatusOr<bool> IsOn(const std::string& signal) {
  const std::string name = absl::StrCat("OTEL_", signal, "_EXPORTER");
  const std::string exporters = Variable(name);
  if (exporters.empty()) {
    return !Variable("OTEL_EXPORTER_OTLP_ENDPOINT").empty() ||
           !Variable(absl::StrCat("OTEL_EXPORTER_OTLP_", signal, "_ENDPOINT")).empty();
  }
  bool on = false;
  for (const std::string& exporter : std::vector<std::string>(absl::StrSplit(exporters, ','))) {
    const std::string one = absl::AsciiStrToLower(absl::StripAsciiWhitespace(exporter));
    // The page has its own setting and does not go through the SDK.
    if (one == "none" || (one == "prometheus" && signal == "METRICS")) continue;
    if (one != "otlp") return BadValue(name, exporters, "otlp, none");
    on = true;
  }
  return on;
}

absl::StatusOr<OtlpPlan::Signal> PlanFor(const std::string& signal) {
  OtlpPlan::Signal plan;
  ASSIGN_OR_RETURN(plan.on, IsOn(signal));
  std::string name = absl::StrCat("OTEL_EXPORTER_OTLP_", signal, "_PROTOCOL");
  if (Variable(name).empty()) name = "OTEL_EXPORTER_OTLP_PROTOCOL";
  const std::string protocol = Variable(name);
  if (protocol == "grpc") {
    plan.protocol = OtlpProtocol::kGrpc;
  } else if (!protocol.empty() && protocol != "http/protobuf" && protocol != "http/json") {
    return BadValue(name, protocol, "grpc, http/protobuf, http/json");
  }
  return plan;
}

std::string ModuleFile() {
  std::string folder = Variable("WALLABY_MODULE_DIR");
  if (folder.empty()) {
    char path[PATH_MAX];
    const ssize_t length = readlink("/proc/self/exe", path, sizeof(path));
    const std::string program(path, length > 0 ? static_cast<size_t>(length) : 0);
    folder = absl::StrCat(program.substr(0, program.rfind('/')), "/../lib/wallaby");
  }
  return folder + "/otlp.so";
}

// The handle is kept for ever: what the SDK has registered may run until the process ends.
absl::StatusOr<StartOtlpFn> LoadModule() {
  const std::string file = ModuleFile();
  constexpr std::string_view kRemedy =
      "; build with -DWALLABY_WITH_OTLP=ON (the default; ./dev setup brings what it needs), set WALLABY_MODULE_DIR, or "
      "unset OTEL_EXPORTER_OTLP_ENDPOINT";
  if (access(file.c_str(), R_OK) != 0) {
    return absl::NotFoundError(
        absl::StrCat("OTEL_* variables ask for OTLP, but its module ", file, " is not there", kRemedy));
  }
  void* const handle = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  void* const symbol = handle == nullptr ? nullptr : dlsym(handle, kOtlpModuleSymbol);
  if (symbol == nullptr) {
    return absl::FailedPreconditionError(
        absl::StrCat("the OTLP module ", file, " cannot be loaded: ", dlerror(), kRemedy));
  }
  return reinterpret_cast<StartOtlpFn>(symbol);
}

}  // namespace

absl::StatusOr<OtlpPlan> OtlpPlanFromEnvironment(absl::Duration metrics_interval) {
  OtlpPlan plan;
  if (absl::AsciiStrToLower(Variable("OTEL_SDK_DISABLED")) == "true") return plan;
  ASSIGN_OR_RETURN(plan.metrics, PlanFor("METRICS"));
  ASSIGN_OR_RETURN(plan.traces, PlanFor("TRACES"));
  ASSIGN_OR_RETURN(plan.logs, PlanFor("LOGS"));
  if (const std::string millis = Variable("OTEL_METRIC_EXPORT_INTERVAL"); !millis.empty()) {
    int64_t value = 0;
    if (!absl::SimpleAtoi(millis, &value) || value < 100) {
      return BadValue("OTEL_METRIC_EXPORT_INTERVAL", millis, "milliseconds, 100 or more");
    }
    plan.metrics_interval = absl::Milliseconds(value);
  }
  if (metrics_interval > absl::ZeroDuration()) plan.metrics_interval = metrics_interval;
  return plan;
}

absl::StatusOr<std::unique_ptr<Otlp>> Otlp::Start(absl::Duration metrics_interval, OtlpOptions options) {
  ASSIGN_OR_RETURN(const OtlpPlan plan, OtlpPlanFromEnvironment(metrics_interval));
  if (!plan.any()) return std::unique_ptr<Otlp>();
  ASSIGN_OR_RETURN(const StartOtlpFn start, LoadModule());
  std::unique_ptr<OtlpExport> started;
  start(plan, options, &started);
  return std::unique_ptr<Otlp>(new Otlp(std::move(started)));
}

Otlp::Otlp(std::unique_ptr<OtlpExport> exporter) : export_(std::move(exporter)) {
  SetTracer(export_->tracer());
  SetLogSink(export_->log_sink());
}

Otlp::~Otlp() {
  SetTracer(nullptr);
  SetLogSink(nullptr);
}

}  // namespace wallaby
