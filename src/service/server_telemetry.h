// ServerTelemetry: what the server shows about itself and its flows: the Prometheus page and the admin listener.
#ifndef WALLABY_SERVICE_SERVER_TELEMETRY_H_
#define WALLABY_SERVICE_SERVER_TELEMETRY_H_

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "flow/settings.h"
#include "service/admin_http.h"
#include "service/flow_metrics.h"
#include "service/slot_watch.h"
#include "store/control_store.h"
#include "telemetry/metrics.h"

namespace wallaby {

class ServerTelemetry {
 public:
  // Opens the listeners that the settings name (metrics_listen, admin_listen); errors of AdminHttp::Start. Pointers
  // outlive the object. `more` answers other paths of the admin listener.
  static absl::StatusOr<std::unique_ptr<ServerTelemetry>> Start(ControlStore* store, ControlStore* checkpoints,
                                                                Access* access, const Settings& settings,
                                                                const HttpFallback& more = nullptr);

  // The server's own metrics and those of all flows. From any thread.
  std::vector<MetricFamily> Collect(FlowMetrics::Workers workers = FlowMetrics::Workers::kInclude) const;

  // Lives as long as this object.
  const SlotWatch* slots() const { return &slots_; }

  // Of the listeners; 0 for one that is off.
  int metrics_port() const { return metrics_ == nullptr ? 0 : metrics_->port(); }
  int admin_port() const { return admin_ == nullptr ? 0 : admin_->port(); }

 private:
  ServerTelemetry(ControlStore* store, ControlStore* checkpoints);
  HttpRoute MetricsRoute() const;

  SlotWatch slots_;
  const FlowMetrics flows_;
  // Last, so that no request is answered while the rest goes.
  std::unique_ptr<AdminHttp> metrics_;
  std::unique_ptr<AdminHttp> admin_;
};

}  // namespace wallaby

#endif  // WALLABY_SERVICE_SERVER_TELEMETRY_H_
