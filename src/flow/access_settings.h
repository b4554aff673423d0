// Settings of who may reach the server, and how: TLS, tokens, limits, audit (docs/security.md).
#ifndef WALLABY_FLOW_ACCESS_SETTINGS_H_
#define WALLABY_FLOW_ACCESS_SETTINGS_H_

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace wallaby {

// What a caller may do. Each role may also do what those before it may.
enum class Role { kNone, kViewer, kOperator, kAdmin };
std::string_view RoleName(Role role);
// INVALID_ARGUMENT says what is allowed; "none" is not.
absl::Status ParseRole(std::string_view name, Role* role);

struct AccessSettings {
  // WALLABY_TLS_CERT_FILE, _KEY_FILE, _CLIENT_CA_FILE: PEM; empty: no TLS, no client certificates.
  std::string tls_cert_file;
  std::string tls_key_file;
  std::string tls_client_ca_file;
  // WALLABY_TLS_CLIENT_ROLES, "ops=operator,ci=viewer": roles by the common name of a client's certificate.
  std::map<std::string, Role> tls_client_roles;
  std::string tokens_file;             // WALLABY_TOKENS_FILE
  std::string tokens;                  // WALLABY_TOKENS, the same lines; environment only
  bool allow_insecure_listen = false;  // WALLABY_ALLOW_INSECURE_LISTEN
  bool metrics_open = false;           // WALLABY_METRICS_OPEN: metrics without token, on their listener without TLS
  bool audit_all = false;              // WALLABY_AUDIT: all, else changes
  int64_t max_message = 16 << 20;      // WALLABY_MAX_MESSAGE, bytes, of a request or an answer
  int64_t max_calls = 256;             // WALLABY_MAX_CALLS, at the same time
  int64_t max_pulls = 64;              // WALLABY_MAX_PULLS, of streams, at the same time; those that wait count
  absl::Duration pull_wait = absl::Seconds(10);    // WALLABY_PULL_WAIT, of a pull that asks for no other
  int64_t max_page = 1000;                         // WALLABY_MAX_PAGE, flows of one ListFlows
  int64_t http_max_body = 64 << 10;                // WALLABY_HTTP_MAX_BODY, bytes
  absl::Duration http_timeout = absl::Seconds(5);  // WALLABY_HTTP_TIMEOUT, for a peer that stops sending or taking
};

// As KubernetesSetting.
struct AccessSetting {
  std::string_view name;
  absl::Status (*set)(const std::string& value, AccessSettings* settings);
};
std::span<const AccessSetting> AccessSettingTable();

// What must be given together. INVALID_ARGUMENT names the setting.
absl::Status CheckAccessSettings(const AccessSettings& settings);

}  // namespace wallaby

#endif  // WALLABY_FLOW_ACCESS_SETTINGS_H_
