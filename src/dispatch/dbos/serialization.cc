#include "dispatch/dbos/serialization.h"

#include <optional>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "nlohmann/json.hpp"

namespace wallaby {
namespace {

using nlohmann::json;

// Positional and named arguments, whatever they were written in.
struct Arguments {
  json positional = json::array();
  json named = json::object();
};

std::string Dump(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::optional<json> ParseJson(std::string_view text) {
  json value = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (value.is_discarded()) return std::nullopt;
  return value;
}

std::optional<json> ParseBase64Json(std::string_view text) {
  std::string plain;
  if (!absl::Base64Unescape(absl::string_view(text.data(), text.size()), &plain)) return std::nullopt;
  return ParseJson(plain);
}

json Member(const json& object, const char* name, const json& fallback) {
  const auto found = object.find(name);
  return found == object.end() || found->is_null() ? fallback : *found;
}

// One value stands for itself, a list for the arguments in their order.
Arguments FromValue(const json& value) {
  Arguments arguments;
  if (value.is_array()) {
    arguments.positional = value;
  } else if (!value.is_null()) {
    arguments.positional.push_back(value);
  }
  return arguments;
}

Arguments FromMembers(const json& value, const char* positional, const char* named) {
  return {Member(value, positional, json::array()), Member(value, named, json::object())};
}

absl::StatusOr<Arguments> ReadArguments(std::string_view serialization, std::string_view text) {
  const bool unnamed = serialization.empty();
  std::optional<json> value;
  if (serialization == kPortableJson || serialization == "js_superjson" || unnamed) {
    value = ParseJson(text);
  }
  if (!value && (serialization == "DBOS_JSON" || unnamed)) {
    if (text.empty() || text == "__DBOS_NIL") return Arguments();
    value = ParseBase64Json(text);
  }
  if (!value) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the workflow's input cannot be read: it is ", unnamed ? "neither JSON nor base64 of JSON" : "in the format ",
        serialization,
        "; enqueue it with portable JSON (Python: serialization_type=WorkflowSerializationFormat.PORTABLE)"));
  }
  if (!value->is_object()) return FromValue(*value);
  if (value->contains("positionalArgs") || value->contains("namedArgs")) {
    return FromMembers(*value, "positionalArgs", "namedArgs");
  }
  if (unnamed && value->contains("args") && value->contains("kwargs")) return FromMembers(*value, "args", "kwargs");
  if (value->contains("__dbos_serializer") || serialization == "js_superjson") {
    return FromValue(Member(*value, "json", nullptr));
  }
  return FromValue(*value);
}

absl::Status ReadNumber(const json& value, const char* name, int64_t* out) {
  if (value.is_number_integer()) {
    *out = value.get<int64_t>();
    if (*out >= 0) return absl::OkStatus();
  }
  if (value.is_null()) return absl::OkStatus();
  if (value.is_string() && absl::SimpleAtoi(value.get<std::string>(), out) && *out >= 0) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("the workflow's input: ", name, " is ", Dump(value), "; allowed: a whole number of 0 or more"));
}

absl::Status ReadField(const std::string& name, const json& value, RunFlowInput* input) {
  if (name == "generation") return ReadNumber(value, "generation", &input->generation);
  if (name == "max_empty_reads") return ReadNumber(value, "max_empty_reads", &input->max_empty_reads);
  if (name != "flow_id") return absl::OkStatus();  // of a later version
  if (!value.is_string()) {
    return absl::InvalidArgumentError(absl::StrCat("the workflow's input: flow_id is ", Dump(value), ", not a text"));
  }
  input->flow_id = value.get<std::string>();
  return absl::OkStatus();
}

absl::Status ReadObject(const json& object, RunFlowInput* input) {
  for (const auto& [name, value] : object.items()) RETURN_IF_ERROR(ReadField(name, value, input));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<RunFlowInput> ParseRunFlowInput(std::string_view serialization, std::string_view text) {
  ASSIGN_OR_RETURN(const Arguments arguments, ReadArguments(serialization, text));
  RunFlowInput input;
  constexpr const char* kOrder[] = {"flow_id", "generation", "max_empty_reads"};
  if (arguments.positional.is_array()) {
    for (size_t i = 0; i < arguments.positional.size() && i < std::size(kOrder); ++i) {
      const json& value = arguments.positional[i];
      RETURN_IF_ERROR(value.is_object() ? ReadObject(value, &input) : ReadField(kOrder[i], value, &input));
    }
  }
  if (arguments.named.is_object()) RETURN_IF_ERROR(ReadObject(arguments.named, &input));
  if (!input.flow_id.empty()) return input;
  return absl::InvalidArgumentError(
      "the workflow's input names no flow: give {\"flow_id\": \"...\"}, or the id as the first argument");
}

std::string PortableInput(const RunFlowInput& input) {
  json object = {{"flow_id", input.flow_id}, {"generation", input.generation}};
  if (input.max_empty_reads > 0) object["max_empty_reads"] = input.max_empty_reads;
  return Dump({{"positionalArgs", json::array({object})}, {"namedArgs", json::object()}});
}

std::string PortableTickInput(std::string_view time) {
  return Dump({{"positionalArgs", json::array({std::string(time), nullptr})}, {"namedArgs", json::object()}});
}

std::string PortableError(std::string_view name, std::string_view message) {
  return Dump({{"name", std::string(name)}, {"message", std::string(message)}});
}

std::string PortableText(std::string_view text) {
  return Dump(json(std::string(text)));
}

}  // namespace wallaby
