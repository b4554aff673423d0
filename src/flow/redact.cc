// What of a flow may be shown, and how its secrets come back when the shown copy is sent as an update.
#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "destination/options.h"
#include "flow/dsn.h"
#include "flow/flow.h"
#include "flow/mask.h"
#include "postgres/source_options.h"

namespace wallaby {
namespace {

bool IsDsnName(std::string_view name) {
  return name == "dsn" || name.ends_with("_dsn");
}

template <typename Specs>
bool MarkedSecret(const Specs& specs, std::string_view option) {
  return std::any_of(specs.begin(), specs.end(), [&](const auto& spec) { return spec.name == option && spec.secret; });
}

// Whether nothing of the value may be shown. Both what the option's owner says and what its name tells count, so that
// types which this build cannot write to are covered as well.
bool WhollySecret(const Endpoint& endpoint, std::string_view option, bool is_source) {
  if (IsDsnName(option)) return false;
  if (IsSecretName(option)) return true;
  if (is_source) return MarkedSecret(SourceOptionSpecs(), option);
  const auto specs = DestinationOptions(endpoint.type);
  return specs.ok() && MarkedSecret(*specs, option);
}

std::string RedactOption(const Endpoint& endpoint, const std::string& option, const std::string& value,
                         bool is_source) {
  if (value.empty()) return value;
  if (WhollySecret(endpoint, option, is_source)) return std::string(kSecretMask);
  // Addresses of other kinds ("url", "endpoint") can carry a password as well.
  if (IsDsnName(option) || value.find("://") != std::string::npos) return RedactDsn(value);
  return value;
}

void RedactEndpoint(Endpoint* endpoint, bool is_source) {
  for (auto& [option, value] : endpoint->options) value = RedactOption(*endpoint, option, value, is_source);
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

void RestoreEndpoint(const Endpoint& stored, Endpoint* update, bool is_source) {
  if (stored.type != update->type) return;
  for (auto& [option, value] : update->options) {
    if (value.find(kSecretMask) == std::string::npos) continue;
    const auto old = stored.options.find(option);
    if (old == stored.options.end()) continue;
    if (value == RedactOption(stored, option, old->second, is_source)) {
      value = old->second;
    } else if (!WhollySecret(stored, option, is_source)) {
      value = RestoreDsn(old->second, value);
    }
  }
}

}  // namespace

std::string RedactDsn(std::string_view dsn) {
  std::string out;
  size_t done = 0;
  for (const DsnSecret& secret : ScanDsn(dsn).secrets) {
    out.append(dsn, done, secret.begin - done);
    out.append(kSecretMask);
    done = secret.end;
    // A closing quote also parts a value from what follows; the mask has none.
    if (secret.quoted && secret.end < dsn.size() && !absl::ascii_isspace(dsn[secret.end])) out += ' ';
  }
  return out.append(dsn, done);
}

Flow Redacted(const Flow& flow) {
  Flow shown = flow;
  RedactEndpoint(&shown.source, /*is_source=*/true);
  for (Endpoint& destination : shown.destinations) RedactEndpoint(&destination, /*is_source=*/false);
  return shown;
}

void RestoreSecrets(const Flow& stored, Flow* update) {
  RestoreEndpoint(stored.source, &update->source, /*is_source=*/true);
  for (Endpoint& destination : update->destinations) {
    for (const Endpoint& old : stored.destinations) {
      if (old.name == destination.name) RestoreEndpoint(old, &destination, /*is_source=*/false);
    }
  }
}

}  // namespace wallaby
