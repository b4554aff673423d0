// What of a flow may be shown, and how its secrets come back when the shown copy is sent as an update.
#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "flow/dsn.h"
#include "flow/flow.h"
#include "flow/mask.h"
#include "flow/secret_reference.h"

namespace wallaby {
namespace {

// Without its secrets. References are no secrets.
std::string WithoutSecrets(std::string_view dsn, bool keep_references) {
  std::string out;
  size_t done = 0;
  for (const DsnSecret& secret : ScanDsn(dsn).secrets) {
    if (keep_references && IsReference(dsn.substr(secret.begin, secret.end - secret.begin))) continue;
    out.append(dsn, done, secret.begin - done);
    out.append(kSecretMask);
    done = secret.end;
    // A closing quote also parts a value from what follows; the mask has none.
    if (secret.quoted && secret.end < dsn.size() && !absl::ascii_isspace(dsn[secret.end])) out += ' ';
  }
  return out.append(dsn, done);
}

std::string RedactOption(const Endpoint& endpoint, const std::string& option, const std::string& value,
                         EndpointKind kind) {
  if (value.empty()) return value;
  const bool is_dsn = IsDsnOption(option);
  const bool is_secret = IsSecretOption(endpoint, option, kind);
  if ((is_dsn || is_secret) && IsReference(value)) return value;
  if (is_secret) return std::string(kSecretMask);
  // Addresses of other kinds ("url", "endpoint") can carry a password as well.
  if (is_dsn || value.find("://") != std::string::npos) return WithoutSecrets(value, /*keep_references=*/is_dsn);
  return value;
}

void RedactEndpoint(Endpoint* endpoint, EndpointKind kind) {
  for (auto& [option, value] : endpoint->options) value = RedactOption(*endpoint, option, value, kind);
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
  if (stored.type != update->type) return;
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
  return WithoutSecrets(dsn, /*keep_references=*/false);
}

Flow Redacted(const Flow& flow) {
  Flow shown = flow;
  RedactEndpoint(&shown.source, EndpointKind::kSource);
  for (Endpoint& destination : shown.destinations) RedactEndpoint(&destination, EndpointKind::kDestination);
  return shown;
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
