#include "service/server_telemetry.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "telemetry/log.h"
#include "telemetry/prometheus_text.h"

namespace wallaby {
namespace {

constexpr absl::Duration kSlotInterval = absl::Seconds(15);
constexpr char kPlain[] = "text/plain; charset=utf-8";

HttpRoute HealthRoute() {
  return {HttpRoute::Method::kGet, "/healthz", [](const std::string&) {
            return HttpAnswer{200, kPlain, "the process is alive\n"};
          }};
}

HttpRoute ReadyRoute(ControlStore* store) {
  return {HttpRoute::Method::kGet, "/readyz", [store](const std::string&) {
            const absl::Status status = store->Ping();
            if (status.ok()) return HttpAnswer{200, kPlain, "the control store answers\n"};
            return HttpAnswer{503, kPlain, absl::StrCat("the control store does not answer: ", status.message(), "\n")};
          }};
}

HttpRoute RecoveryRoute() {
  return {HttpRoute::Method::kPost, "/dbos-workflow-recovery", [](const std::string&) {
            return HttpError(503, "DBOS is not enabled on this server; set WALLABY_DBOS_ENABLED=true");
          }};
}

}  // namespace

ServerTelemetry::ServerTelemetry(ControlStore* store, ControlStore* checkpoints)
    : slots_(store, kSlotInterval), flows_(store, checkpoints, &slots_) {}

std::vector<MetricFamily> ServerTelemetry::Collect(FlowMetrics::Workers workers) const {
  std::vector<MetricFamily> families = MetricRegistry::Process().Collect();
  flows_.Collect(workers, &families);
  UniteSamples(&families);
  return families;
}

HttpRoute ServerTelemetry::MetricsRoute() const {
  return {HttpRoute::Method::kGet, "/metrics", [this](const std::string&) {
            return HttpAnswer{200, kPrometheusContentType, PrometheusText(Collect())};
          }};
}

absl::StatusOr<std::unique_ptr<ServerTelemetry>> ServerTelemetry::Start(ControlStore* store, ControlStore* checkpoints,
                                                                        Access* access, const Settings& settings,
                                                                        const HttpFallback& more) {
  std::unique_ptr<ServerTelemetry> telemetry(new ServerTelemetry(store, checkpoints));
  if (!settings.metrics_listen.empty()) {
    ASSIGN_OR_RETURN(
        telemetry->metrics_,
        AdminHttp::Start({"WALLABY_METRICS_LISTEN", ListenAddress(settings.metrics_listen), ListenerKind::kMetrics},
                         access, settings.access, {telemetry->MetricsRoute()}));
    Log(LogLevel::kInfo, "metrics page",
        {{"listen", settings.metrics_listen}, {"port", absl::StrCat(telemetry->metrics_port())}});
  }
  if (!settings.admin_listen.empty()) {
    std::vector<HttpRoute> routes = {HealthRoute(), ReadyRoute(store), telemetry->MetricsRoute()};
    if (!settings.dbos_enabled) routes.push_back(RecoveryRoute());
    ASSIGN_OR_RETURN(telemetry->admin_, AdminHttp::Start({"WALLABY_ADMIN_LISTEN", ListenAddress(settings.admin_listen)},
                                                         access, settings.access, std::move(routes), more));
    Log(LogLevel::kInfo, "admin listener",
        {{"listen", settings.admin_listen}, {"port", absl::StrCat(telemetry->admin_port())}});
  }
  return telemetry;
}

}  // namespace wallaby
