#include "flow/destination_config.h"

#include "base/status.h"
#include "flow/secret_reference.h"
#include "postgres/connection.h"

namespace wallaby {

DestinationConfig UnresolvedConfig(const Flow& flow, const Endpoint& endpoint) {
  DestinationConfig config;
  config.flow_id = flow.id;
  config.name = endpoint.name;
  config.options = endpoint.options;
  config.wire_format = flow.wire_format;
  if (const auto dsn = flow.source.options.find("dsn"); dsn != flow.source.options.end()) {
    config.database = DatabaseOfDsn(dsn->second);
  }
  return config;
}

absl::StatusOr<DestinationConfig> ResolvedConfig(const Flow& flow, const Endpoint& endpoint) {
  DestinationConfig config = UnresolvedConfig(flow, endpoint);
  ASSIGN_OR_RETURN(config.options, ResolvedOptions(endpoint, EndpointKind::kDestination));
  ASSIGN_OR_RETURN(const Options source, ResolvedOptions(flow.source, EndpointKind::kSource));
  if (const auto dsn = source.find("dsn"); dsn != source.end()) config.database = DatabaseOfDsn(dsn->second);
  return config;
}

}  // namespace wallaby
