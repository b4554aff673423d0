#include "cli/command_line.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "google/protobuf/util/json_util.h"
#include "google/protobuf/util/type_resolver_util.h"

namespace wallaby {
namespace {

std::string FromEnvironment(const char* name, std::string otherwise) {
  const char* value = std::getenv(name);
  return value == nullptr || *value == '\0' ? std::move(otherwise) : value;
}

// By way of the wire format, the only one whose maps protobuf sorts: equal answers are to give equal documents.
std::string SortedBytes(const google::protobuf::Message& message) {
  std::string bytes;
  google::protobuf::io::StringOutputStream stream(&bytes);
  google::protobuf::io::CodedOutputStream out(&stream);
  out.SetSerializationDeterministic(true);
  message.SerializePartialToCodedStream(&out);
  out.Trim();
  return bytes;
}

absl::StatusOr<std::string> Json(const google::protobuf::Message& message, bool pretty) {
  namespace json = google::protobuf::util;
  json::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  options.always_print_primitive_fields = true;
  options.add_whitespace = pretty;
  const std::string prefix = "type.googleapis.com";
  const std::unique_ptr<json::TypeResolver> types(
      json::NewTypeResolverForDescriptorPool(prefix, message.GetDescriptor()->file()->pool()));
  std::string document;
  const auto status = json::BinaryToJsonString(types.get(), prefix + "/" + message.GetDescriptor()->full_name(),
                                               SortedBytes(message), &document, options);
  if (!status.ok()) return absl::InternalError(absl::StrCat("the answer cannot be shown as JSON: ", status.ToString()));
  if (!document.ends_with('\n')) document += '\n';
  return document;
}

}  // namespace

CommandLine::CommandLine(const Invocation& invocation)
    : invocation_(invocation), flags_(invocation.program, invocation.summary) {}

void CommandLine::FlowId(std::string* flow_id, bool required) {
  flags_.String("flow-id", flow_id, "ID", "the flow");
  if (required) flags_.Require("flow-id");
}

std::optional<int> CommandLine::Parse() {
  server_.endpoint = FromEnvironment("WALLABY_ENDPOINT", "localhost:8080");
  flags_.Section("Common flags");
  flags_.String("endpoint", &server_.endpoint, "HOST:PORT", "the server; WALLABY_ENDPOINT");
  flags_.Bool("insecure", &server_.insecure,
              "no TLS; false with -tls-ca. A token goes to other machines in clear only when this is given; "
              "WALLABY_ADMIN_INSECURE");
  flags_.String("tls-ca", &server_.tls.ca, "FILE",
                "certificates (PEM) that vouch for the server; turns TLS on; WALLABY_ADMIN_TLS_CA");
  flags_.String("tls-cert", &server_.tls.certificate, "FILE",
                "the client's own certificate (PEM), with -tls-key; WALLABY_ADMIN_TLS_CERT");
  flags_.String("tls-key", &server_.tls.key, "FILE", "its private key (PEM); WALLABY_ADMIN_TLS_KEY");
  flags_.String("tls-server-name", &server_.tls.server_name, "NAME",
                "the name in the server's certificate, where it is not the endpoint's; WALLABY_ADMIN_TLS_SERVER_NAME");
  flags_.String("token", &server_.token, "TOKEN", "sent as `authorization: Bearer TOKEN`; WALLABY_TOKEN");
  flags_.Bool("json", &json_, "print one JSON document, for scripts");
  flags_.Bool("pretty", &pretty_, "the same, indented");
  if (const auto status = flags_.Parse(invocation_.args)) return status;
  return CheckCommon();
}

std::optional<int> CommandLine::CheckCommon() {
  // Not the flags' defaults, which the help would show.
  const bool says_insecure = flags_.Given("insecure") && server_.insecure;
  for (const auto& [flag, name, value] :
       {std::tuple{"tls-ca", "WALLABY_ADMIN_TLS_CA", &server_.tls.ca},
        {"tls-cert", "WALLABY_ADMIN_TLS_CERT", &server_.tls.certificate},
        {"tls-key", "WALLABY_ADMIN_TLS_KEY", &server_.tls.key},
        {"tls-server-name", "WALLABY_ADMIN_TLS_SERVER_NAME", &server_.tls.server_name}}) {
    if (flags_.Given(flag)) {
      if (says_insecure) return flags_.UsageError(absl::StrCat("-insecure and -", flag, " exclude each other"));
    } else {
      *value = says_insecure ? "" : FromEnvironment(name, "");
    }
  }
  if (server_.tls.certificate.empty() != server_.tls.key.empty()) {
    return flags_.UsageError("-tls-cert and -tls-key belong together");
  }
  if (!server_.tls.ca.empty() || !server_.tls.certificate.empty()) server_.insecure = false;
  if (!flags_.Given("token")) server_.token = FromEnvironment("WALLABY_TOKEN", "");
  const bool printable =
      std::all_of(server_.token.begin(), server_.token.end(), [](char c) { return c > 0x20 && c < 0x7f; });
  if (!printable) return flags_.UsageError("the token holds a character that a token cannot hold");
  const auto endpoint = NormalEndpoint(server_.endpoint);
  if (!endpoint.ok()) return flags_.UsageError(endpoint.status().message());
  const bool clear = says_insecure || FromEnvironment("WALLABY_ADMIN_INSECURE", "") == "true";
  if (server_.insecure && !clear && !server_.token.empty() && !IsThisMachine(*endpoint)) {
    return flags_.UsageError(absl::StrCat(
        "the token would go to ", *endpoint, " in clear, for everybody on the way to read; give -tls-ca or ",
        "-insecure=false for TLS, or say -insecure (WALLABY_ADMIN_INSECURE=true) where the network keeps others out"));
  }
  return std::nullopt;
}

absl::StatusOr<Client*> CommandLine::Connect() {
  ASSIGN_OR_RETURN(client_, Client::Connect(server_));
  return client_.get();
}

absl::Status CommandLine::Print(const google::protobuf::Message& message, const std::string& text) const {
  if (!json()) {
    std::fputs(text.c_str(), stdout);
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(const std::string document, Document(message));
  std::fputs(document.c_str(), stdout);
  return absl::OkStatus();
}

absl::StatusOr<std::string> CommandLine::Document(const google::protobuf::Message& message) const {
  return Json(message, pretty_);
}

int CommandLine::Finish(const absl::Status& status) const {
  if (status.ok()) return kExitDone;
  std::string line(status.message());
  std::replace(line.begin(), line.end(), '\n', ' ');
  std::fputs(absl::StrCat(invocation_.program, ": ", line, "\n").c_str(), stderr);
  return kExitFailed;
}

absl::StatusOr<std::optional<std::string>> FlowIdByName(Client& client, const std::string& name) {
  ASSIGN_OR_RETURN(const v1::ListFlowsResponse flows, client.AllFlows());
  for (const v1::Flow& flow : flows.flows()) {
    if (flow.name() == name) return flow.id();
  }
  return std::nullopt;
}

}  // namespace wallaby
