#include "service/flow_convert.h"

#include <array>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace wallaby {
namespace {

struct TypeName {
  v1::EndpointType type;
  std::string_view name;
};

constexpr std::array<TypeName, 18> kTypeNames{{
    {v1::ENDPOINT_TYPE_POSTGRES, "postgres"},
    {v1::ENDPOINT_TYPE_SNOWFLAKE, "snowflake"},
    {v1::ENDPOINT_TYPE_S3, "s3"},
    {v1::ENDPOINT_TYPE_KAFKA, "kafka"},
    {v1::ENDPOINT_TYPE_HTTP, "http"},
    {v1::ENDPOINT_TYPE_GRPC, "grpc"},
    {v1::ENDPOINT_TYPE_PROTO, "proto"},
    {v1::ENDPOINT_TYPE_PGSTREAM, "pgstream"},
    {v1::ENDPOINT_TYPE_SNOWPIPE, "snowpipe"},
    {v1::ENDPOINT_TYPE_PARQUET, "parquet"},
    {v1::ENDPOINT_TYPE_DUCKDB, "duckdb"},
    {v1::ENDPOINT_TYPE_BUFSTREAM, "bufstream"},
    {v1::ENDPOINT_TYPE_CLICKHOUSE, "clickhouse"},
    {v1::ENDPOINT_TYPE_DUCKLAKE, "ducklake"},
    {v1::ENDPOINT_TYPE_ICEBERG, "iceberg"},
    {v1::ENDPOINT_TYPE_NULL, "null"},
    {v1::ENDPOINT_TYPE_AZURE, "azure"},
    {v1::ENDPOINT_TYPE_GCS, "gcs"},
}};

// Enums of proto3 are open: any number may come over the wire.
template <typename To, typename From>
absl::Status EnumFromProto(std::string_view field, From value, bool known, To* out) {
  if (!known) {
    return absl::InvalidArgumentError(absl::StrCat(field, ": ", static_cast<int>(value), " is none of its values"));
  }
  *out = static_cast<To>(value);
  return absl::OkStatus();
}

absl::StatusOr<Endpoint> EndpointFromProto(std::string_view field, const v1::Endpoint& proto) {
  Endpoint endpoint;
  endpoint.name = proto.name();
  endpoint.type = EndpointTypeName(proto.type());
  if (endpoint.type.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(field, ".type: ",
                     proto.type() == v1::ENDPOINT_TYPE_UNSPECIFIED
                         ? std::string("is missing")
                         : absl::StrCat(static_cast<int>(proto.type()), " is none of its values")));
  }
  for (const auto& [option, value] : proto.options()) endpoint.options[option] = value;
  return endpoint;
}

absl::Status EndpointToProto(std::string_view field, const Endpoint& endpoint, v1::Endpoint* proto) {
  proto->set_name(endpoint.name);
  proto->set_type(EndpointTypeFromName(endpoint.type));
  if (proto->type() == v1::ENDPOINT_TYPE_UNSPECIFIED) {
    std::string allowed;
    for (const TypeName& entry : kTypeNames) absl::StrAppend(&allowed, allowed.empty() ? "" : ", ", entry.name);
    return absl::InvalidArgumentError(absl::StrCat(field, ".type: got '", endpoint.type, "'; allowed: ", allowed));
  }
  for (const auto& [option, value] : endpoint.options) (*proto->mutable_options())[option] = value;
  return absl::OkStatus();
}

absl::Status ConfigFromProto(const v1::FlowConfig& proto, FlowConfig* config) {
  RETURN_IF_ERROR(EnumFromProto("config.ack_policy", proto.ack_policy(), v1::AckPolicy_IsValid(proto.ack_policy()),
                                &config->ack_policy));
  RETURN_IF_ERROR(EnumFromProto("config.failure_mode", proto.failure_mode(),
                                v1::FailureMode_IsValid(proto.failure_mode()), &config->failure_mode));
  RETURN_IF_ERROR(EnumFromProto("config.give_up_policy", proto.give_up_policy(),
                                v1::GiveUpPolicy_IsValid(proto.give_up_policy()), &config->give_up_policy));
  config->primary_destination = proto.primary_destination();
  const v1::DDLPolicy& ddl = proto.ddl();
  if (ddl.has_gate()) config->ddl.gate = ddl.gate();
  if (ddl.has_auto_approve()) config->ddl.auto_approve = ddl.auto_approve();
  if (ddl.has_auto_apply()) config->ddl.auto_apply = ddl.auto_apply();
  return EnumFromProto("config.ddl.scope", ddl.scope(), v1::DDLScope_IsValid(ddl.scope()), &config->ddl.scope);
}

void ConfigToProto(const FlowConfig& config, v1::FlowConfig* proto) {
  proto->set_ack_policy(static_cast<v1::AckPolicy>(config.ack_policy));
  proto->set_primary_destination(config.primary_destination);
  proto->set_failure_mode(static_cast<v1::FailureMode>(config.failure_mode));
  proto->set_give_up_policy(static_cast<v1::GiveUpPolicy>(config.give_up_policy));
  if (config.ddl == DdlPolicy()) return;
  v1::DDLPolicy* ddl = proto->mutable_ddl();
  if (config.ddl.gate) ddl->set_gate(*config.ddl.gate);
  if (config.ddl.auto_approve) ddl->set_auto_approve(*config.ddl.auto_approve);
  if (config.ddl.auto_apply) ddl->set_auto_apply(*config.ddl.auto_apply);
  ddl->set_scope(static_cast<v1::DDLScope>(config.ddl.scope));
}

}  // namespace

std::string_view EndpointTypeName(v1::EndpointType type) {
  for (const TypeName& entry : kTypeNames) {
    if (entry.type == type) return entry.name;
  }
  return "";
}

v1::EndpointType EndpointTypeFromName(std::string_view name) {
  for (const TypeName& entry : kTypeNames) {
    if (entry.name == name) return entry.type;
  }
  return v1::ENDPOINT_TYPE_UNSPECIFIED;
}

absl::StatusOr<Flow> FlowFromProto(const v1::Flow& proto) {
  Flow flow;
  flow.id = proto.id();
  flow.name = proto.name();
  ASSIGN_OR_RETURN(flow.source, EndpointFromProto("source", proto.source()));
  for (int i = 0; i < proto.destinations_size(); ++i) {
    ASSIGN_OR_RETURN(flow.destinations.emplace_back(),
                     EndpointFromProto(absl::StrCat("destinations[", i, "]"), proto.destinations(i)));
  }
  RETURN_IF_ERROR(EnumFromProto("wire_format", proto.wire_format(), v1::WireFormat_IsValid(proto.wire_format()),
                                &flow.wire_format));
  flow.parallelism = proto.parallelism();
  RETURN_IF_ERROR(ConfigFromProto(proto.config(), &flow.config));
  return flow;
}

absl::Status FlowToProto(const Flow& flow, v1::Flow* proto) {
  proto->set_id(flow.id);
  proto->set_name(flow.name);
  RETURN_IF_ERROR(EndpointToProto("source", flow.source, proto->mutable_source()));
  for (size_t i = 0; i < flow.destinations.size(); ++i) {
    RETURN_IF_ERROR(
        EndpointToProto(absl::StrCat("destinations[", i, "]"), flow.destinations[i], proto->add_destinations()));
  }
  proto->set_wire_format(static_cast<v1::WireFormat>(flow.wire_format));
  proto->set_parallelism(flow.parallelism);
  ConfigToProto(flow.config, proto->mutable_config());
  return absl::OkStatus();
}

}  // namespace wallaby
