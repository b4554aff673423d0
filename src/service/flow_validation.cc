#include "service/flow_validation.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "destination/destination.h"
#include "destination/mapping_options.h"
#include "destination/options.h"
#include "flow/destination_config.h"
#include "flow/secret_reference.h"
#include "postgres/catalog.h"
#include "service/flow_convert.h"
#include "service/source_access.h"

namespace wallaby {
namespace {

// Looking at all tables of a large publication takes its time.
constexpr absl::Duration kCheckLimit = absl::Seconds(20);
// Who makes a flow waits for this.
constexpr absl::Duration kMappingLimit = absl::Seconds(5);

std::string_view SeverityName(Finding::Severity severity) {
  switch (severity) {
    case Finding::Severity::kError:
      return "error";
    case Finding::Severity::kWarning:
      return "warning";
    case Finding::Severity::kInfo:
      return "info";
  }
  return "";
}

void Add(const Finding& finding, v1::ValidateFlowResponse* response) {
  if (finding.severity == Finding::Severity::kError) response->set_valid(false);
  v1::ValidateFlowResponse::Finding* proto = response->add_findings();
  proto->set_severity(std::string(SeverityName(finding.severity)));
  proto->set_subject(finding.subject);
  proto->set_message(finding.message);
  proto->set_remedy(finding.remedy);
}

void AddError(std::string subject, const absl::Status& status, v1::ValidateFlowResponse* response) {
  Add({Finding::Severity::kError, std::move(subject), std::string(status.message()), ""}, response);
}

// Workers follow references where they run, which may be elsewhere: what is missing here is no error. True when the
// source's can be followed.
bool CheckReferencesNow(const Flow& flow, v1::ValidateFlowResponse* response) {
  const auto check = [&](const Endpoint& endpoint, EndpointKind kind, std::string subject) {
    const absl::Status status = ResolvedOptions(endpoint, kind).status();
    if (status.ok()) return true;
    Add({Finding::Severity::kWarning, std::move(subject), std::string(status.message()),
         kind == EndpointKind::kSource ? "until then the server neither checks the source nor sees its slot" : ""},
        response);
    return false;
  };
  for (const Endpoint& destination : flow.destinations) {
    check(destination, EndpointKind::kDestination, absl::StrCat("destination ", destination.name));
  }
  return check(flow.source, EndpointKind::kSource, "source");
}

bool HasMapping(const Flow& flow, const Endpoint& destination) {
  const DestinationConfig config = UnresolvedConfig(flow, destination);
  const auto options = ParseTableOptions(destination.type, config);
  return options.ok() && HasMapping(config, *options);
}

// The tables that the flow publishes, or would.
absl::StatusOr<std::vector<Relation>> TablesOfSource(PgConnection& sql, const SourceOptions& source) {
  TypeCatalog types(source.resolve_types ? &sql : nullptr);
  ASSIGN_OR_RETURN(const bool exists, PublicationExists(sql, source.publication));
  auto tables = exists ? PublishedTables(sql, source.publication, types) : TablesToPublish(sql, source, types);
  if (!tables.ok()) return tables.status();
  std::vector<Relation> relations;
  for (PublishedTable& table : *tables) {
    if (CarriesTable(source, table.relation.schema, table.relation.name))
      relations.push_back(std::move(table.relation));
  }
  return relations;
}

// By destination.
absl::StatusOr<std::vector<std::pair<std::string, std::string>>> MappingProblems(const Flow& flow, PgConnection& sql,
                                                                                 const SourceOptions& source) {
  std::vector<std::pair<std::string, std::string>> problems;
  std::optional<std::vector<Relation>> tables;
  for (const Endpoint& destination : flow.destinations) {
    if (!HasMapping(flow, destination)) continue;
    if (!tables) {
      ASSIGN_OR_RETURN(tables, TablesOfSource(sql, source));
    }
    for (const absl::Status& problem : CheckMapping(destination.type, UnresolvedConfig(flow, destination), *tables)) {
      problems.emplace_back(absl::StrCat("destination ", destination.name), problem.message());
    }
  }
  return problems;
}

void CheckSourceNow(const Flow& flow, v1::ValidateFlowResponse* response) {
  const auto findings = [&]() -> absl::StatusOr<std::vector<Finding>> {
    ASSIGN_OR_RETURN(const SourceOptions source, OptionsOfSource(flow));
    ASSIGN_OR_RETURN(const auto sql, ConnectToSource(source.dsn, kCheckLimit));
    ASSIGN_OR_RETURN(std::vector<Finding> all, CheckSource(*sql, source));
    // What keeps the tables from being listed is among those.
    const auto problems = MappingProblems(flow, *sql, source);
    if (!problems.ok()) return all;
    for (const auto& [subject, problem] : *problems) {
      all.push_back({Finding::Severity::kError, subject, problem, "", "mapping"});
    }
    return all;
  }();
  if (!findings.ok()) return AddError("source", findings.status(), response);
  for (const Finding& finding : *findings) Add(finding, response);
}

}  // namespace

absl::Status CheckFlow(const Flow& flow) {
  absl::Status status = ValidateFlow(flow);
  // Whether it may go without a DSN, only the server knows.
  for (const Endpoint& endpoint : flow.destinations) {
    if (!status.ok() || endpoint.type != "pgstream") continue;
    status = MakeDestination(endpoint.type, UnresolvedConfig(flow, endpoint)).status();
  }
  if (absl::IsUnimplemented(status)) return absl::InvalidArgumentError(status.message());
  return status;
}

std::vector<std::string> CheckMappingsNow(const Flow& flow) {
  const bool any = std::any_of(flow.destinations.begin(), flow.destinations.end(),
                               [&](const Endpoint& destination) { return HasMapping(flow, destination); });
  if (!any) return {};
  const auto source = OptionsOfSource(flow);
  if (!source.ok()) return {};
  const auto sql = ConnectToSource(source->dsn, kMappingLimit);
  if (!sql.ok()) return {};
  const auto problems = MappingProblems(flow, **sql, *source);
  if (!problems.ok()) return {};
  std::vector<std::string> texts;
  for (const auto& [subject, problem] : *problems) texts.push_back(absl::StrCat(subject, ": ", problem));
  return texts;
}

absl::Status ValidateFlowRequest(const v1::Flow& proto, ControlStore* store, v1::ValidateFlowResponse* response) {
  response->set_valid(true);
  absl::StatusOr<Flow> flow = FlowFromProto(proto);
  if (!flow.ok()) {
    AddError("flow", flow.status(), response);
    return absl::OkStatus();
  }
  if (!flow->id.empty()) {
    const absl::StatusOr<StoredFlow> stored = store->FindFlow(flow->id);
    if (stored.ok()) {
      RestoreSecrets(stored->flow, &*flow);
    } else if (!absl::IsNotFound(stored.status())) {
      return stored.status();
    }
  }
  if (const absl::Status status = CheckFlow(*flow); !status.ok()) {
    AddError("flow", status, response);
    return absl::OkStatus();
  }
  if (CheckReferencesNow(*flow, response)) CheckSourceNow(*flow, response);
  return absl::OkStatus();
}

}  // namespace wallaby
