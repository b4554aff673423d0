#include "access/listener.h"

#include <arpa/inet.h>

#include "absl/strings/str_cat.h"
#include "telemetry/log.h"

namespace wallaby {

std::string ListenAddress(std::string_view setting) {
  return setting.starts_with(':') ? absl::StrCat("[::]", setting) : std::string(setting);
}

bool IsLoopback(std::string_view address) {
  const size_t colon = address.rfind(':');
  const std::string host(address.substr(0, colon));
  in_addr ip = {};
  // A name that begins with 127. may be anywhere.
  if (inet_pton(AF_INET, host.c_str(), &ip) == 1) return (ntohl(ip.s_addr) >> 24) == 127;
  return host == "localhost" || host == "[::1]";
}

bool SpeaksTls(const AccessSettings& access, ListenerKind kind) {
  return !access.tls_cert_file.empty() && !(kind == ListenerKind::kMetrics && access.metrics_open);
}

absl::Status CheckListener(const AccessSettings& access, std::string_view setting, std::string_view address,
                           ListenerKind kind) {
  if (IsLoopback(address)) return absl::OkStatus();
  const bool tls = SpeaksTls(access, kind);
  const bool told_apart = !access.tokens.empty() || !access.tokens_file.empty() || !access.tls_client_ca_file.empty();
  if (tls && told_apart) return absl::OkStatus();
  const bool metrics_open = kind == ListenerKind::kMetrics && access.metrics_open;
  const std::string lacks =
      absl::StrCat(tls ? "" : "TLS (WALLABY_TLS_CERT_FILE and WALLABY_TLS_KEY_FILE)", tls || told_apart ? "" : " and ",
                   told_apart ? ""
                              : "a way to tell who calls (WALLABY_TOKENS_FILE, WALLABY_TOKENS or "
                                "WALLABY_TLS_CLIENT_CA_FILE)");
  if (metrics_open || access.allow_insecure_listen) {
    Log(LogLevel::kWarn, "other machines can reach a listener that is not protected",
        {{"setting", std::string(setting)},
         {"listen", std::string(address)},
         {"lacks", lacks},
         {"because", metrics_open ? "WALLABY_METRICS_OPEN" : "WALLABY_ALLOW_INSECURE_LISTEN"}});
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(
      absl::StrCat(setting, ": other machines can reach ", address, ", and the listener has no ", lacks,
                   "; set what is missing, listen on 127.0.0.1, or, where the network itself keeps others out, set ",
                   kind == ListenerKind::kMetrics ? "WALLABY_METRICS_OPEN=true (metrics only) or " : "",
                   "WALLABY_ALLOW_INSECURE_LISTEN=true"));
}

}  // namespace wallaby
