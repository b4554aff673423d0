// The flow file: JSON or YAML text to a Flow and back. Both are read into one tree, in which a YAML scalar is always
// a string, so that `batch_size: 500` and `batch_size: "500"` mean the same.
#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status.h"
#include "base/units.h"
#include "flow/enum_names.h"
#include "flow/flow.h"
#include "nlohmann/json.hpp"
#include "yaml-cpp/eventhandler.h"
#include "yaml-cpp/yaml.h"

namespace wallaby {
namespace {

using Json = nlohmann::json;

// A flow file is a page; what is far larger is no flow file, and YAML aliases could make a small one grow.
constexpr size_t kMaxText = 1 << 20;
constexpr int kMaxDepth = 16;
constexpr int kMaxNodes = 20000;

struct Document {
  Json root;
  std::map<std::string, int> lines;  // by path ("source.options.dsn"); YAML only

  // "line 4: source.type: " for the start of a message.
  std::string At(const std::string& path) const {
    const auto found = lines.find(path);
    return absl::StrCat(found == lines.end() ? "" : absl::StrCat("line ", found->second, ": "),
                        path.empty() ? "" : absl::StrCat(path, ": "));
  }
  absl::Status Error(const std::string& path, std::string_view what) const {
    return absl::InvalidArgumentError(absl::StrCat("flow file: ", At(path), what));
  }
};

std::string Join(const std::string& path, std::string_view key) {
  return path.empty() ? std::string(key) : absl::StrCat(path, ".", key);
}

// ---- JSON ----

absl::StatusOr<Document> ReadJson(std::string_view text) {
  std::vector<std::set<std::string>> open;  // keys of the objects that are open
  std::string problem;
  const auto watch = [&](int depth, Json::parse_event_t event, Json& parsed) {
    if (depth > kMaxDepth && problem.empty()) problem = "it is nested too deeply for a flow file";
    if (event == Json::parse_event_t::object_start) open.emplace_back();
    if (event == Json::parse_event_t::object_end && !open.empty()) open.pop_back();
    if (event == Json::parse_event_t::key && !open.empty()) {
      const std::string key = parsed.get<std::string>();
      if (!open.back().insert(key).second && problem.empty()) {
        problem = absl::StrCat("key '", key, "' stands twice in one object");
      }
    }
    return true;
  };
  Document document;
  try {
    document.root = Json::parse(text.begin(), text.end(), watch);
  } catch (const Json::parse_error& error) {
    const size_t end = std::min(error.byte == 0 ? 0 : error.byte - 1, text.size());
    const std::string_view before = text.substr(0, end);
    const size_t line_start = before.rfind('\n') == before.npos ? 0 : before.rfind('\n') + 1;
    // The parser's own text quotes the input, which may hold a password.
    return absl::InvalidArgumentError(absl::StrCat(
        "flow file: not valid JSON at line ", std::count(before.begin(), before.end(), '\n') + 1, ", column ",
        end - line_start + 1, ": a quote, comma, colon or bracket is missing or too much there or just before"));
  } catch (const Json::exception&) {
    return absl::InvalidArgumentError("flow file: not valid JSON");
  }
  if (!problem.empty()) return absl::InvalidArgumentError(absl::StrCat("flow file: ", problem));
  return document;
}

// ---- YAML ----

class YamlReader {
 public:
  explicit YamlReader(Document* out) : out_(out) {}

  absl::StatusOr<Json> Convert(const YAML::Node& node, const std::string& path, int depth) {
    if (depth > kMaxDepth) return out_->Error(path, "nested too deeply for a flow file");
    if (++nodes_ > kMaxNodes) return out_->Error(path, "too many values for a flow file");
    if (node.Mark().line >= 0) out_->lines.emplace(path, node.Mark().line + 1);
    switch (node.Type()) {
      case YAML::NodeType::Scalar:
        return Json(node.Scalar());
      case YAML::NodeType::Sequence:
        return Sequence(node, path, depth);
      case YAML::NodeType::Map:
        return Map(node, path, depth);
      default:
        return Json(nullptr);
    }
  }

 private:
  absl::StatusOr<Json> Sequence(const YAML::Node& node, const std::string& path, int depth) {
    Json list = Json::array();
    for (size_t i = 0; i < node.size(); ++i) {
      ASSIGN_OR_RETURN(Json item, Convert(node[i], absl::StrCat(path, "[", i, "]"), depth + 1));
      list.push_back(std::move(item));
    }
    return list;
  }

  absl::StatusOr<Json> Map(const YAML::Node& node, const std::string& path, int depth) {
    Json map = Json::object();
    for (const auto& entry : node) {
      if (!entry.first.IsScalar()) return out_->Error(path, "a key must be plain text");
      const std::string& key = entry.first.Scalar();
      const std::string below = Join(path, key);
      if (entry.first.Mark().line >= 0) out_->lines[below] = entry.first.Mark().line + 1;
      if (map.contains(key)) return out_->Error(below, "the key stands twice");
      ASSIGN_OR_RETURN(map[key], Convert(entry.second, below, depth + 1));
    }
    return map;
  }

  Document* out_;
  int nodes_ = 0;
};

class IgnoreEvents final : public YAML::EventHandler {
 public:
  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t, const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {}
  void OnMapEnd() override {}
};

// Load() reads the first document and leaves what follows unseen; LoadAll() never ends on some damaged texts.
bool HasSecondDocument(const std::string& text) {
  std::istringstream in(text);
  YAML::Parser parser(in);
  IgnoreEvents ignore;
  return parser.HandleNextDocument(ignore) && parser.HandleNextDocument(ignore);
}

// YAML's parser takes any bytes as text; the store and the wire take UTF-8, and would change the rest in silence.
bool IsUtf8(const Json& tree) {
  try {
    (void)tree.dump();
    return true;
  } catch (const Json::type_error&) {
    return false;
  }
}

absl::StatusOr<Document> ReadYaml(const std::string& text) {
  Document document;
  try {
    if (HasSecondDocument(text)) {
      return absl::InvalidArgumentError(
          "flow file: something follows the first YAML document; a flow file holds one flow");
    }
    ASSIGN_OR_RETURN(document.root, YamlReader(&document).Convert(YAML::Load(text), "", 0));
  } catch (const YAML::Exception& error) {
    const std::string at =
        error.mark.is_null() ? "" : absl::StrCat(" at line ", error.mark.line + 1, ", column ", error.mark.column + 1);
    return absl::InvalidArgumentError(absl::StrCat("flow file: not valid YAML", at, ": ", error.msg));
  }
  if (!IsUtf8(document.root)) return absl::InvalidArgumentError("flow file: it is not UTF-8; save it in that encoding");
  return document;
}

// ---- tree to Flow ----

absl::Status CheckKeys(const Document& document, const Json& map, const std::string& path,
                       const std::vector<std::string_view>& known) {
  if (!map.is_object()) return document.Error(path, "must be a map of keys and values");
  for (const auto& [key, unused] : map.items()) {
    if (std::find(known.begin(), known.end(), key) == known.end()) {
      return document.Error(Join(path, key),
                            absl::StrCat("unknown key '", key, "'; known here: ", absl::StrJoin(known, ", ")));
    }
  }
  return absl::OkStatus();
}

// The text of a scalar; numbers and truth values as JSON writes them.
absl::StatusOr<std::string> Text(const Document& document, const Json& value, const std::string& path) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_boolean() || value.is_number()) return value.dump();
  if (value.is_null()) return document.Error(path, "has no value; write \"\" for an empty one or leave the key out");
  return document.Error(path, "must be a single value, not a list or a map");
}

absl::Status ReadText(const Document& document, const Json& map, const std::string& path, const char* key,
                      std::string* out) {
  if (!map.contains(key)) return absl::OkStatus();
  ASSIGN_OR_RETURN(*out, Text(document, map[key], Join(path, key)));
  return absl::OkStatus();
}

template <typename Enum>
absl::Status ReadEnum(const Document& document, const Json& map, const std::string& path, const char* key,
                      std::span<const EnumName<Enum>> names, Enum* out) {
  std::string text;
  RETURN_IF_ERROR(ReadText(document, map, path, key, &text));
  if (text.empty()) return absl::OkStatus();
  const std::string lower = absl::AsciiStrToLower(text);
  for (const EnumName<Enum>& entry : names) {
    if (entry.name == lower) {
      *out = entry.value;
      return absl::OkStatus();
    }
  }
  return document.Error(Join(path, key), absl::StrCat("got '", text, "'; allowed: ", AllowedNames(names)));
}

absl::Status ReadFlag(const Document& document, const Json& map, const std::string& path, const char* key,
                      std::optional<bool>* out) {
  if (!map.contains(key)) return absl::OkStatus();
  std::string text;
  RETURN_IF_ERROR(ReadText(document, map, path, key, &text));
  const absl::StatusOr<bool> value = ParseBool(text);
  if (!value.ok()) return document.Error(Join(path, key), value.status().message());
  *out = *value;
  return absl::OkStatus();
}

absl::Status ReadEndpoint(const Document& document, const Json& map, const std::string& path, Endpoint* out) {
  RETURN_IF_ERROR(CheckKeys(document, map, path, {"name", "type", "options"}));
  RETURN_IF_ERROR(ReadText(document, map, path, "name", &out->name));
  if (map.contains("type") && map["type"].is_null()) {
    out->type = "null";  // YAML's word for nothing, and a destination's name
  } else {
    RETURN_IF_ERROR(ReadText(document, map, path, "type", &out->type));
  }
  out->type = absl::AsciiStrToLower(out->type);
  if (!map.contains("options") || map["options"].is_null()) return absl::OkStatus();
  const std::string options = Join(path, "options");
  if (!map["options"].is_object()) return document.Error(options, "must be a map of option names and values");
  for (const auto& [key, value] : map["options"].items()) {
    ASSIGN_OR_RETURN(out->options[key], Text(document, value, Join(options, key)));
  }
  return absl::OkStatus();
}

absl::Status ReadConfig(const Document& document, const Json& map, FlowConfig* out) {
  const std::string path = "config";
  RETURN_IF_ERROR(
      CheckKeys(document, map, path, {"ack_policy", "primary_destination", "failure_mode", "give_up_policy", "ddl"}));
  RETURN_IF_ERROR(ReadEnum(document, map, path, "ack_policy", AckPolicyNames(), &out->ack_policy));
  RETURN_IF_ERROR(ReadText(document, map, path, "primary_destination", &out->primary_destination));
  RETURN_IF_ERROR(ReadEnum(document, map, path, "failure_mode", FailureModeNames(), &out->failure_mode));
  RETURN_IF_ERROR(ReadEnum(document, map, path, "give_up_policy", GiveUpPolicyNames(), &out->give_up_policy));
  if (!map.contains("ddl") || map["ddl"].is_null()) return absl::OkStatus();
  const Json& ddl = map["ddl"];
  RETURN_IF_ERROR(CheckKeys(document, ddl, "config.ddl", {"gate", "auto_approve", "auto_apply", "scope"}));
  RETURN_IF_ERROR(ReadFlag(document, ddl, "config.ddl", "gate", &out->ddl.gate));
  RETURN_IF_ERROR(ReadFlag(document, ddl, "config.ddl", "auto_approve", &out->ddl.auto_approve));
  RETURN_IF_ERROR(ReadFlag(document, ddl, "config.ddl", "auto_apply", &out->ddl.auto_apply));
  return ReadEnum(document, ddl, "config.ddl", "scope", DdlScopeNames(), &out->ddl.scope);
}

absl::Status ReadDestinations(const Document& document, const Json& list, std::vector<Endpoint>* out) {
  if (!list.is_array()) return document.Error("destinations", "must be a list of destinations");
  for (size_t i = 0; i < list.size(); ++i) {
    RETURN_IF_ERROR(ReadEndpoint(document, list[i], absl::StrCat("destinations[", i, "]"), &out->emplace_back()));
  }
  return absl::OkStatus();
}

absl::Status ReadParallelism(const Document& document, const Json& root, int32_t* out) {
  std::string text;
  RETURN_IF_ERROR(ReadText(document, root, "", "parallelism", &text));
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
  if (text.size() > kMaxText) return absl::InvalidArgumentError("flow file: larger than 1 MiB");
  if (text.substr(0, 3) == "\xEF\xBB\xBF") text.remove_prefix(3);
  const std::string_view start = absl::StripLeadingAsciiWhitespace(text);
  if (start.empty()) return absl::InvalidArgumentError("flow file: it is empty");
  // YAML's flow style begins with a brace too, but what begins so is nearly always meant as JSON.
  ASSIGN_OR_RETURN(const Document document, start[0] == '{' ? ReadJson(text) : ReadYaml(std::string(text)));
  const Json& root = document.root;
  RETURN_IF_ERROR(
      CheckKeys(document, root, "", {"id", "name", "source", "destinations", "wire_format", "parallelism", "config"}));
  Flow flow;
  RETURN_IF_ERROR(ReadText(document, root, "", "id", &flow.id));
  RETURN_IF_ERROR(ReadText(document, root, "", "name", &flow.name));
  if (!root.contains("source")) return document.Error("source", "is missing");
  RETURN_IF_ERROR(ReadEndpoint(document, root["source"], "source", &flow.source));
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
