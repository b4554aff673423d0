#include "service/flow_validation.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "destination/destination.h"
#include "destination/mapping_options.h"
#include "destination/named_columns.h"
#include "destination/option_reader.h"
#include "destination/options.h"
#include "flow/destination_config.h"
#include "flow/secret_reference.h"
#include "postgres/catalog.h"
#include "service/flow_convert.h"
#include "service/flow_doctor.h"
#include "service/slot_sharing.h"
#include "service/source_access.h"
#include "service/transactional_ids.h"

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

// Whether the destination's options speak of tables, columns and types.
bool NamesTables(const Flow& flow, const Endpoint& destination) {
  const DestinationConfig config = UnresolvedConfig(flow, destination);
  const auto options = ParseTableOptions(destination.type, config);
  return options.ok() && (HasMapping(config, *options) || NamesColumns(destination.type, config));
}

// Of the types' names, those that the source does not have.
absl::StatusOr<std::vector<std::string>> MissingTypes(PgConnection& sql, const std::vector<std::string>& names) {
  std::vector<std::string> missing;
  for (const std::string& name : names) {
    // Also one that is not in the search path; without the length or precision behind it.
    std::string_view bare = std::string_view(name).substr(0, name.find('('));
    bare.remove_prefix(bare.rfind('.') + 1);
    while (bare.ends_with("[]")) bare.remove_suffix(2);
    ASSIGN_OR_RETURN(const PgRows rows, sql.Query("SELECT 1 FROM pg_catalog.pg_type WHERE typname = $1::text OR "
                                                  "pg_catalog.format_type(oid, NULL) = $1::text LIMIT 1",
                                                  {std::string(absl::StripAsciiWhitespace(bare))}));
    if (rows.size() == 0) missing.push_back(name);
  }
  return missing;
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
    if (!NamesTables(flow, destination)) continue;
    if (!tables) {
      ASSIGN_OR_RETURN(tables, TablesOfSource(sql, source));
    }
    const DestinationConfig config = UnresolvedConfig(flow, destination);
    const std::string subject = absl::StrCat("destination ", destination.name);
    std::vector<absl::Status> found = CheckMapping(destination.type, config, *tables);
    for (absl::Status& problem : CheckNamedColumns(destination.type, config, *tables)) {
      found.push_back(std::move(problem));
    }
    for (const absl::Status& problem : found) problems.emplace_back(subject, problem.message());
    ASSIGN_OR_RETURN(const auto missing, MissingTypes(sql, NamedTypes(destination.type, config, *tables)));
    for (const std::string& name : missing) {
      problems.emplace_back(subject, absl::StrCat("option type_mappings: the source has no type ", name,
                                                  "; write a type of the source, or schema.table.column"));
    }
  }
  return problems;
}

// `slot_may_be_read`: by the flow's own worker, or that of another flow on the slot.
void CheckSourceNow(const Flow& flow, bool slot_may_be_read, v1::ValidateFlowResponse* response) {
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
  for (const Finding& finding : *findings) {
    if (!slot_may_be_read || finding.check != "slot_in_use") Add(finding, response);
  }
}

// What only Kafka's library knows. Where the module is not installed, the workers that have it tell.
absl::Status CheckClientProperties(const Flow& flow, const Endpoint& destination) {
  DestinationConfig config = UnresolvedConfig(flow, destination);
  const auto properties = config.options.find("client_config");
  if (properties == config.options.end() || IsReferenceText(properties->second)) return absl::OkStatus();
  // Others may be references, which the library would take for what they stand for.
  config.options = {{"brokers", config.options["brokers"]}, {"client_config", properties->second}};
  config.wire_format = WireFormat::kJson;
  const absl::Status status = MakeDestination(destination.type, config).status();
  if (!absl::IsInvalidArgument(status)) return absl::OkStatus();
  return Annotate(status, absl::StrCat("option client_config of destination '", destination.name, "'"));
}

}  // namespace

absl::Status CheckFlow(const Flow& flow) {
  absl::Status status = ValidateFlow(flow);
  for (const Endpoint& endpoint : flow.destinations) {
    if (!status.ok() || (endpoint.type != "kafka" && endpoint.type != "bufstream")) continue;
    status = CheckClientProperties(flow, endpoint);
  }
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
                               [&](const Endpoint& destination) { return NamesTables(flow, destination); });
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
  bool has_worker = false;
  if (!flow->id.empty()) {
    const absl::StatusOr<StoredFlow> stored = store->FindFlow(flow->id);
    if (stored.ok()) {
      has_worker = HasWorker(stored->state);
      RestoreSecrets(stored->flow, &*flow);
    } else if (!absl::IsNotFound(stored.status())) {
      return stored.status();
    }
  }
  if (const absl::Status status = CheckFlow(*flow); !status.ok()) {
    AddError("flow", status, response);
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(const std::vector<StoredFlow> readers, FlowsOnSlotOf(*flow, *store));
  if (const absl::Status status = CheckSharedPublication(*flow, *store); !status.ok()) {
    if (!absl::IsInvalidArgument(status)) return status;
    AddError("slot", status, response);
  }
  if (const absl::Status status = CheckTransactionalIds(*flow, *store); absl::IsInvalidArgument(status)) {
    AddError("flow", status, response);
  } else if (!status.ok()) {
    return status;
  }
  if (CheckReferencesNow(*flow, response)) CheckSourceNow(*flow, has_worker || !readers.empty(), response);
  return absl::OkStatus();
}

}  // namespace wallaby
