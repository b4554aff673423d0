#include "service/flow_doctor.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "destination/destination.h"
#include "flow/ddl_event.h"
#include "flow/destination_config.h"
#include "postgres/doctor.h"
#include "service/doctor_convert.h"
#include "service/flow_convert.h"
#include "service/flow_validation.h"
#include "service/slot_sharing.h"
#include "service/source_access.h"

namespace wallaby {
namespace {

// Looking at all tables of a large publication takes its time.
constexpr absl::Duration kSourceLimit = absl::Seconds(20);
constexpr absl::Duration kDestinationLimit = absl::Seconds(5);

std::vector<Diagnosis> DiagnoseSource(const Flow& flow, const FlowDoctorOptions& how) {
  auto source = OptionsOfSource(flow);
  if (!source.ok()) return DiagnoseNoConnection(source.status());
  DoctorOptions options;
  options.source = *std::move(source);
  options.slot_may_be_read = how.has_worker;
  options.wants_capture = options.source.capture_ddl.value_or(ResolveDdlPolicy(flow.config.ddl, how.settings).gate);
  options.only_postgres = std::all_of(flow.destinations.begin(), flow.destinations.end(),
                                      [](const Endpoint& endpoint) { return endpoint.type == "postgres"; });
  if (how.long_transaction > absl::ZeroDuration()) options.long_transaction = how.long_transaction;
  const auto sql = ConnectToSource(options.source.dsn, kSourceLimit);
  if (!sql.ok()) return DiagnoseNoConnection(sql.status());
  auto report = ExamineSource(**sql, options);
  return report.ok() ? *std::move(report) : DiagnoseNoConnection(report.status());
}

// A destination that is a server is connected to; what is a file is opened by its worker alone.
absl::StatusOr<std::string> ReachDestination(const Flow& flow, const Endpoint& endpoint) {
  ASSIGN_OR_RETURN(DestinationConfig config, ResolvedConfig(flow, endpoint));
  RETURN_IF_ERROR(MakeDestination(endpoint.type, config).status());
  if (endpoint.type != "postgres") return "its options and its module are in order; its worker opens it";
  ASSIGN_OR_RETURN(const auto sql, ConnectToSource(config.options["dsn"], kDestinationLimit));
  ASSIGN_OR_RETURN(const PgRows rows, sql->Query("SELECT pg_catalog.pg_is_in_recovery()"));
  if (rows.Bool(0, 0)) return absl::FailedPreconditionError("it is a standby, which takes no rows");
  return absl::StrCat("it can be reached: PostgreSQL ", sql->server_major());
}

Diagnosis DiagnoseDestination(const Flow& flow, const Endpoint& endpoint) {
  Diagnosis diagnosis{"destination", "destination " + endpoint.name, Health::kOk, "", "", ""};
  const auto reached = ReachDestination(flow, endpoint);
  if (reached.ok()) {
    diagnosis.sentence = *reached;
  } else {
    diagnosis.health = Health::kProblem;
    diagnosis.sentence = reached.status().message();
  }
  return diagnosis;
}

}  // namespace

bool HasWorker(FlowState state) {
  return state == FlowState::kRunning || state == FlowState::kStopping || state == FlowState::kPaused;
}

void DiagnoseFlowNow(const Flow& flow, const FlowDoctorOptions& options, v1::DoctorReport* report) {
  AddToReport(DiagnoseSource(flow, options), report);
  for (const Endpoint& endpoint : flow.destinations) AddToReport({DiagnoseDestination(flow, endpoint)}, report);
  for (const std::string& problem : CheckMappingsNow(flow)) {
    AddToReport({{"mapping", "mapping", Health::kProblem, problem, "", ""}}, report);
  }
}

absl::Status DiagnoseDefinitionNow(const v1::Flow& proto, FlowDoctorOptions options, ControlStore* store,
                                   v1::DoctorReport* report) {
  ASSIGN_OR_RETURN(Flow flow, FlowFromProto(proto));
  if (!flow.id.empty()) {
    const absl::StatusOr<StoredFlow> stored = store->FindFlow(flow.id);
    if (stored.ok()) {
      RestoreSecrets(stored->flow, &flow);
      options.has_worker = HasWorker(stored->state);
    } else if (!absl::IsNotFound(stored.status())) {
      return stored.status();
    }
  }
  RETURN_IF_ERROR(CheckFlow(flow));
  ASSIGN_OR_RETURN(const std::vector<StoredFlow> readers, FlowsOnSlotOf(flow, *store));
  options.has_worker |= !readers.empty();
  DiagnoseFlowNow(flow, options, report);
  return absl::OkStatus();
}

}  // namespace wallaby
