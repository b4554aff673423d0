// Every check of a flow that needs no connection.
#include <algorithm>
#include <set>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/mask.h"
#include "base/status.h"
#include "destination/mapping_options.h"
#include "destination/options.h"
#include "flow/destination_config.h"
#include "flow/flow.h"
#include "flow/secret_reference.h"
#include "postgres/source_options.h"

namespace wallaby {
namespace {

constexpr size_t kMaxName = 128;
constexpr size_t kMaxDestinations = 16;
constexpr size_t kMaxOptionValue = 64 << 10;
constexpr int kMaxParallelism = 64;

absl::Status Invalid(std::string_view what) {
  return absl::InvalidArgumentError(what);
}

bool IsIdentifier(std::string_view text) {
  const auto allowed = [](char c) { return absl::ascii_isalnum(c) || c == '_' || c == '.' || c == '-'; };
  return !text.empty() && text.size() <= 63 && absl::ascii_isalnum(text[0]) &&
         std::all_of(text.begin(), text.end(), allowed);
}

absl::Status CheckIdentifier(std::string_view field, std::string_view value) {
  if (IsIdentifier(value)) return absl::OkStatus();
  return Invalid(
      absl::StrCat(field, ": got '", absl::CHexEscape(value.substr(0, 80)),
                   "'; allowed: 1 to 63 letters, digits, '_', '.' and '-', beginning with a letter or digit"));
}

absl::Status CheckName(const std::string& name) {
  const bool control = std::any_of(name.begin(), name.end(), absl::ascii_iscntrl);
  if (!name.empty() && name.size() <= kMaxName && !control && name == absl::StripAsciiWhitespace(name)) {
    return absl::OkStatus();
  }
  return Invalid(name.empty() ? "name: is missing; give the flow a name"
                              : "name: allowed: 1 to 128 bytes without control characters or blanks at its ends");
}

absl::Status CheckOptionText(std::string_view what, const Endpoint& endpoint) {
  for (const auto& [option, value] : endpoint.options) {
    const std::string subject = absl::StrCat("option ", absl::CHexEscape(option.substr(0, 80)), " of ", what);
    if (value.size() > kMaxOptionValue) return Invalid(absl::StrCat(subject, ": longer than 64 KiB"));
    if (value.find('\0') != std::string::npos) return Invalid(absl::StrCat(subject, ": holds a zero byte"));
    if (value.find(kSecretMask) != std::string::npos) {
      return Invalid(
          absl::StrCat(subject, ": still shows ", kSecretMask,
                       " in place of its secret; give the secret itself. A stored one comes back only where the update "
                       "names the same server, with the same TLS options"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckSourceEndpoint(const Flow& flow) {
  const Endpoint& source = flow.source;
  if (!source.name.empty()) RETURN_IF_ERROR(CheckIdentifier("source.name", source.name));
  if (source.type != "postgres") {
    return Invalid(absl::StrCat("source.type: got '", source.type, "'; allowed: postgres"));
  }
  RETURN_IF_ERROR(CheckOptionText(absl::StrCat("source '", source.name, "'"), source));
  RETURN_IF_ERROR(CheckReferences(source, EndpointKind::kSource));
  RETURN_IF_ERROR(ParseSourceOptions(source.name, source.options).status());
  const auto flow_id = source.options.find("flow_id");
  if (flow_id != source.options.end() && !flow_id->second.empty() && flow_id->second != flow.id) {
    return Invalid(absl::StrCat("option flow_id of source '", source.name, "': got '", flow_id->second,
                                "'; allowed: the flow's own id, '", flow.id, "'"));
  }
  return absl::OkStatus();
}

absl::Status CheckDestination(const Flow& flow, const Endpoint& destination) {
  RETURN_IF_ERROR(CheckOptionText(absl::StrCat("destination '", destination.name, "'"), destination));
  RETURN_IF_ERROR(CheckReferences(destination, EndpointKind::kDestination));
  const auto specs = DestinationOptions(destination.type);
  if (!specs.ok()) {
    const absl::Status status = Annotate(specs.status(), absl::StrCat("destination '", destination.name, "'"));
    // A type that does not exist is bad input here, not a thing that was looked for.
    if (absl::IsNotFound(status)) return absl::InvalidArgumentError(status.message());
    return status;
  }
  const DestinationConfig config = UnresolvedConfig(flow, destination);
  ASSIGN_OR_RETURN(const TableOptions options, ParseTableOptions(destination.type, config));
  if (!HasMapping(config, options)) return absl::OkStatus();
  return MakeMappingSetup(destination.type, config, options).status();
}

absl::Status CheckDestinations(const Flow& flow) {
  if (flow.destinations.empty()) return Invalid("destinations: is empty; a flow needs at least one");
  if (flow.destinations.size() > kMaxDestinations) {
    return Invalid(absl::StrCat("destinations: got ", flow.destinations.size(), "; allowed: up to ", kMaxDestinations));
  }
  std::set<std::string_view> names;
  for (size_t i = 0; i < flow.destinations.size(); ++i) {
    const Endpoint& destination = flow.destinations[i];
    RETURN_IF_ERROR(CheckIdentifier(absl::StrCat("destinations[", i, "].name"), destination.name));
    if (!names.insert(destination.name).second) {
      return Invalid(absl::StrCat("destinations[", i, "].name: '", destination.name,
                                  "' is used twice; progress is kept by name, so names must differ"));
    }
    RETURN_IF_ERROR(CheckDestination(flow, destination));
  }
  return absl::OkStatus();
}

absl::Status CheckAckPolicy(const Flow& flow) {
  const std::string& primary = flow.config.primary_destination;
  const auto is_primary = [&](const Endpoint& destination) { return destination.name == primary; };
  if (!primary.empty() && std::none_of(flow.destinations.begin(), flow.destinations.end(), is_primary)) {
    return Invalid(absl::StrCat(
        "config.primary_destination: there is no destination '", primary,
        "'; allowed: ", absl::StrJoin(flow.destinations, ", ", [](std::string* out, const Endpoint& destination) {
          out->append(destination.name);
        })));
  }
  if (flow.config.ack_policy != AckPolicy::kPrimary || flow.destinations.size() == 1) return absl::OkStatus();
  if (!primary.empty()) return absl::OkStatus();
  return Invalid("config.primary_destination: is missing; ack_policy primary needs it with several destinations");
}

}  // namespace

absl::Status ValidateFlow(const Flow& flow) {
  if (!flow.id.empty()) RETURN_IF_ERROR(CheckIdentifier("id", flow.id));
  RETURN_IF_ERROR(CheckName(flow.name));
  RETURN_IF_ERROR(CheckSourceEndpoint(flow));
  RETURN_IF_ERROR(CheckDestinations(flow));
  if (flow.parallelism < 0 || flow.parallelism > kMaxParallelism) {
    return Invalid(absl::StrCat("parallelism: got ", flow.parallelism, "; allowed: 0 to ", kMaxParallelism,
                                " (0 is the default)"));
  }
  return CheckAckPolicy(flow);
}

}  // namespace wallaby
