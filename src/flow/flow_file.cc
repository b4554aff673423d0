// The flow file: JSON or YAML text to a Flow and back.
#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/document.h"
#include "base/status.h"
#include "base/units.h"
#include "flow/enum_names.h"
#include "flow/flow.h"
#include "nlohmann/json.hpp"

namespace wallaby {
namespace {

using Json = nlohmann::json;

// ---- tree to Flow ----

template <typename Enum>
absl::Status ReadEnum(const Document& document, const Json& map, const std::string& path, const char* key,
                      std::span<const EnumName<Enum>> names, Enum* out) {
  std::string text;
  RETURN_IF_ERROR(document.ReadText(map, path, key, &text));
  if (text.empty()) return absl::OkStatus();
  const std::string lower = absl::AsciiStrToLower(text);
  for (const EnumName<Enum>& entry : names) {
    if (entry.name == lower) {
      *out = entry.value;
      return absl::OkStatus();
    }
  }
  return document.Error(JoinPath(path, key), absl::StrCat("got '", text, "'; allowed: ", AllowedNames(names)));
}

absl::Status ReadFlag(const Document& document, const Json& map, const std::string& path, const char* key,
                      std::optional<bool>* out) {
  if (!map.contains(key)) return absl::OkStatus();
  std::string text;
  RETURN_IF_ERROR(document.ReadText(map, path, key, &text));
  const absl::StatusOr<bool> value = ParseBool(text);
  if (!value.ok()) return document.Error(JoinPath(path, key), value.status().message());
  *out = *value;
  return absl::OkStatus();
}

absl::Status ReadEndpoint(const Document& document, const Json& map, const std::string& path,
                          const std::vector<std::string_view>& known, Endpoint* out) {
  RETURN_IF_ERROR(document.CheckKeys(map, path, known));
  RETURN_IF_ERROR(document.ReadText(map, path, "name", &out->name));
  if (map.contains("type") && map["type"].is_null()) {
    out->type = "null";  // YAML's word for nothing, and a destination's name
  } else {
    RETURN_IF_ERROR(document.ReadText(map, path, "type", &out->type));
  }
  out->type = absl::AsciiStrToLower(out->type);
  if (!map.contains("options") || map["options"].is_null()) return absl::OkStatus();
  const std::string options = JoinPath(path, "options");
  if (!map["options"].is_object()) return document.Error(options, "must be a map of option names and values");
  for (const auto& [key, value] : map["options"].items()) {
    ASSIGN_OR_RETURN(out->options[key], document.Text(value, JoinPath(options, key)));
  }
  return absl::OkStatus();
}

absl::Status ReadConfig(const Document& document, const Json& map, FlowConfig* out) {
  const std::string path = "config";
  RETURN_IF_ERROR(
      document.CheckKeys(map, path, {"ack_policy", "primary_destination", "failure_mode", "give_up_policy", "ddl"}));
  RETURN_IF_ERROR(ReadEnum(document, map, path, "ack_policy", AckPolicyNames(), &out->ack_policy));
  RETURN_IF_ERROR(document.ReadText(map, path, "primary_destination", &out->primary_destination));
  RETURN_IF_ERROR(ReadEnum(document, map, path, "failure_mode", FailureModeNames(), &out->failure_mode));
  RETURN_IF_ERROR(ReadEnum(document, map, path, "give_up_policy", GiveUpPolicyNames(), &out->give_up_policy));
  if (!map.contains("ddl") || map["ddl"].is_null()) return absl::OkStatus();
  const Json& ddl = map["ddl"];
  RETURN_IF_ERROR(document.CheckKeys(ddl, "config.ddl", {"gate", "auto_approve", "auto_apply", "scope"}));
  RETURN_IF_ERROR(ReadFlag(document, ddl, "config.ddl", "gate", &out->ddl.gate));
  RETURN_IF_ERROR(ReadFlag(document, ddl, "config.ddl", "auto_approve", &out->ddl.auto_approve));
  RETURN_IF_ERROR(ReadFlag(document, ddl, "config.ddl", "auto_apply", &out->ddl.auto_apply));
  return ReadEnum(document, ddl, "config.ddl", "scope", DdlScopeNames(), &out->ddl.scope);
}

// `mapping` stands beside the options, as it is a tree of its own; it is kept as the option of that name.
absl::Status ReadDestination(const Document& document, const Json& map, const std::string& path, Endpoint* out) {
  RETURN_IF_ERROR(ReadEndpoint(document, map, path, {"name", "type", "options", "mapping"}, out));
  if (!map.contains("mapping") || map["mapping"].is_null()) return absl::OkStatus();
  const std::string below = JoinPath(path, "mapping");
  if (!map["mapping"].is_object()) return document.Error(below, "must be a map");
  if (out->options.contains("mapping") || out->options.contains("mapping_file")) {
    return document.Error(below, "the options have a mapping too; give one of them");
  }
  out->options["mapping"] = map["mapping"].dump();
  return absl::OkStatus();
}

absl::Status ReadDestinations(const Document& document, const Json& list, std::vector<Endpoint>* out) {
  if (!list.is_array()) return document.Error("destinations", "must be a list of destinations");
  for (size_t i = 0; i < list.size(); ++i) {
    RETURN_IF_ERROR(ReadDestination(document, list[i], absl::StrCat("destinations[", i, "]"), &out->emplace_back()));
  }
  return absl::OkStatus();
}

absl::Status ReadParallelism(const Document& document, const Json& root, int32_t* out) {
  std::string text;
  RETURN_IF_ERROR(document.ReadText(root, "", "parallelism", &text));
  if (text.empty() || absl::SimpleAtoi(text, out)) return absl::OkStatus();
  return document.Error("parallelism", absl::StrCat("got '", text, "'; allowed: a whole number from 0 to 64"));
}

// ---- Flow to JSON ----

using OrderedJson = nlohmann::ordered_json;

OrderedJson EndpointToJson(const Endpoint& endpoint) {
  OrderedJson out;
  out["name"] = endpoint.name;
  out["type"] = endpoint.type;
  out["options"] = endpoint.options;
  return out;
}

template <typename Enum>
void WriteEnum(OrderedJson* out, const char* key, std::span<const EnumName<Enum>> names, Enum value) {
  if (const std::string_view name = NameOf(names, value); !name.empty()) (*out)[key] = name;
}

OrderedJson ConfigToJson(const FlowConfig& config) {
  OrderedJson out = OrderedJson::object();
  WriteEnum(&out, "ack_policy", AckPolicyNames(), config.ack_policy);
  if (!config.primary_destination.empty()) out["primary_destination"] = config.primary_destination;
  WriteEnum(&out, "failure_mode", FailureModeNames(), config.failure_mode);
  WriteEnum(&out, "give_up_policy", GiveUpPolicyNames(), config.give_up_policy);
  OrderedJson ddl = OrderedJson::object();
  if (config.ddl.gate) ddl["gate"] = *config.ddl.gate;
  if (config.ddl.auto_approve) ddl["auto_approve"] = *config.ddl.auto_approve;
  if (config.ddl.auto_apply) ddl["auto_apply"] = *config.ddl.auto_apply;
  WriteEnum(&ddl, "scope", DdlScopeNames(), config.ddl.scope);
  if (!ddl.empty()) out["ddl"] = std::move(ddl);
  return out;
}

}  // namespace

absl::StatusOr<Flow> ParseFlow(std::string_view text) {
  ASSIGN_OR_RETURN(const Document document, ReadDocument(text, "flow file"));
  const Json& root = document.root;
  RETURN_IF_ERROR(
      document.CheckKeys(root, "", {"id", "name", "source", "destinations", "wire_format", "parallelism", "config"}));
  Flow flow;
  RETURN_IF_ERROR(document.ReadText(root, "", "id", &flow.id));
  RETURN_IF_ERROR(document.ReadText(root, "", "name", &flow.name));
  if (!root.contains("source")) return document.Error("source", "is missing");
  RETURN_IF_ERROR(ReadEndpoint(document, root["source"], "source", {"name", "type", "options"}, &flow.source));
  if (!root.contains("destinations")) return document.Error("destinations", "is missing");
  RETURN_IF_ERROR(ReadDestinations(document, root["destinations"], &flow.destinations));
  RETURN_IF_ERROR(ReadEnum(document, root, "", "wire_format", WireFormatNames(), &flow.wire_format));
  RETURN_IF_ERROR(ReadParallelism(document, root, &flow.parallelism));
  if (root.contains("config") && !root["config"].is_null()) {
    RETURN_IF_ERROR(ReadConfig(document, root["config"], &flow.config));
  }
  return flow;
}

std::string FlowToJson(const Flow& flow) {
  OrderedJson out;
  if (!flow.id.empty()) out["id"] = flow.id;
  out["name"] = flow.name;
  out["source"] = EndpointToJson(flow.source);
  out["destinations"] = OrderedJson::array();
  for (const Endpoint& destination : flow.destinations) {
    out["destinations"].push_back(EndpointToJson(destination));
  }
  WriteEnum(&out, "wire_format", WireFormatNames(), flow.wire_format);
  if (flow.parallelism != 0) out["parallelism"] = flow.parallelism;
  if (OrderedJson config = ConfigToJson(flow.config); !config.empty()) out["config"] = std::move(config);
  return out.dump(-1, ' ', false, OrderedJson::error_handler_t::replace);
}

}  // namespace wallaby
