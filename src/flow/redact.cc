// What of a flow may be shown, and how its secrets come back when the shown copy is sent as an update.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "base/dsn.h"
#include "base/mask.h"
#include "flow/flow.h"
#include "flow/secret_reference.h"

namespace wallaby {
namespace {

// References are no secrets.
std::string ShownDsn(std::string_view dsn) {
  std::vector<DsnSecret> secrets = ScanDsn(dsn).secrets;
  std::erase_if(secrets, [&](const DsnSecret& s) { return IsReference(dsn.substr(s.begin, s.end - s.begin)); });
  return Masked(dsn, secrets);
}

std::string RedactOption(const Endpoint& endpoint, const std::string& option, const std::string& value,
                         EndpointKind kind) {
  if (value.empty()) return value;
  if (MayBeReference(endpoint, option, kind) && IsReference(value)) return value;
  if (IsSecretOption(endpoint, option, kind)) return std::string(kSecretMask);
  if (IsDsnOption(option)) return ShownDsn(value);
  // Addresses of other kinds ("url", "endpoint") can carry a password as well.
  return value.find("://") == std::string::npos ? value : WithoutSecrets(value);
}

void RedactEndpoint(Endpoint* endpoint, EndpointKind kind) {
  for (auto& [option, value] : endpoint->options) value = RedactOption(*endpoint, option, value, kind);
}

bool HoldsSecret(const Endpoint& endpoint, EndpointKind kind) {
  return std::any_of(endpoint.options.begin(), endpoint.options.end(), [&](const auto& entry) {
    const auto& [option, value] = entry;
    if (RedactOption(endpoint, option, value, kind) == value) return false;
    if (IsSecretOption(endpoint, option, kind)) return true;
    const std::vector<DsnSecret> secrets = ScanDsn(value).secrets;
    return std::any_of(secrets.begin(), secrets.end(), [&](const DsnSecret& secret) {
      const std::string_view text = std::string_view(value).substr(secret.begin, secret.end - secret.begin);
      return !secret.perhaps && !(IsDsnOption(option) && IsReference(text));
    });
  });
}

// Whether the update sends the secrets of its endpoint where the stored one does. A value that shows a mask is compared
// as it is shown.
bool NamesSameServer(const Endpoint& stored, const Endpoint& update, EndpointKind kind) {
  const auto value = [](const Endpoint& endpoint, const std::string& option) {
    const auto found = endpoint.options.find(option);
    return found == endpoint.options.end() ? std::string() : found->second;
  };
  const auto differs = [&](const auto& entry) {
    const std::string& option = entry.first;
    if (!DecidesServer(stored, option, kind)) return false;
    const std::string before = value(stored, option), after = value(update, option);
    return after != before && after != RedactOption(stored, option, before, kind);
  };
  return std::none_of(stored.options.begin(), stored.options.end(), differs) &&
         std::none_of(update.options.begin(), update.options.end(), differs);
}

// `update` with each masked secret replaced by the stored one of the same name; as it is when it names another server.
std::string RestoreDsn(const std::string& stored, const std::string& update) {
  const DsnScan old_scan = ScanDsn(stored);
  const DsnScan new_scan = ScanDsn(update);
  if (old_scan.server != new_scan.server) return update;
  std::string out;
  size_t done = 0;
  for (const DsnSecret& secret : new_scan.secrets) {
    if (std::string_view(update).substr(secret.begin, secret.end - secret.begin) != kSecretMask) continue;
    const auto old = std::find_if(old_scan.secrets.begin(), old_scan.secrets.end(),
                                  [&](const DsnSecret& s) { return s.name == secret.name; });
    if (old == old_scan.secrets.end()) continue;
    out.append(update, done, secret.begin - done);
    out.append(stored, old->begin, old->end - old->begin);
    done = secret.end;
  }
  return out.append(update, done);
}

void RestoreEndpoint(const Endpoint& stored, Endpoint* update, EndpointKind kind) {
  if (stored.type != update->type || !NamesSameServer(stored, *update, kind)) return;
  for (auto& [option, value] : update->options) {
    if (value.find(kSecretMask) == std::string::npos) continue;
    const auto old = stored.options.find(option);
    if (old == stored.options.end()) continue;
    if (value == RedactOption(stored, option, old->second, kind)) {
      value = old->second;
    } else if (!IsSecretOption(stored, option, kind)) {
      value = RestoreDsn(old->second, value);
    }
  }
}

}  // namespace

std::string RedactDsn(std::string_view dsn) {
  return WithoutSecrets(dsn);
}

Flow Redacted(const Flow& flow) {
  Flow shown = flow;
  RedactEndpoint(&shown.source, EndpointKind::kSource);
  for (Endpoint& destination : shown.destinations) RedactEndpoint(&destination, EndpointKind::kDestination);
  return shown;
}

bool HoldsSecret(const Flow& flow) {
  return HoldsSecret(flow.source, EndpointKind::kSource) ||
         std::any_of(flow.destinations.begin(), flow.destinations.end(),
                     [](const Endpoint& one) { return HoldsSecret(one, EndpointKind::kDestination); });
}

void RestoreSecrets(const Flow& stored, Flow* update) {
  RestoreEndpoint(stored.source, &update->source, EndpointKind::kSource);
  for (Endpoint& destination : update->destinations) {
    for (const Endpoint& old : stored.destinations) {
      if (old.name == destination.name) RestoreEndpoint(old, &destination, EndpointKind::kDestination);
    }
  }
}

}  // namespace wallaby
