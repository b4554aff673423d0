// Where the server listens, and what it asks for before other machines may reach it.
#ifndef WALLABY_ACCESS_LISTENER_H_
#define WALLABY_ACCESS_LISTENER_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "flow/access_settings.h"

namespace wallaby {

// "host:port" with ":8080" as all interfaces.
std::string ListenAddress(std::string_view setting);
// Whether nobody from outside this machine can reach the address.
bool IsLoopback(std::string_view address);

enum class ListenerKind { kControl, kMetrics };

// Whether a listener at `address` speaks TLS.
bool SpeaksTls(const AccessSettings& access, ListenerKind kind);

// FAILED_PRECONDITION, naming `setting`, for an address that other machines can reach while there is no TLS or no way
// to tell callers apart. With WALLABY_ALLOW_INSECURE_LISTEN, and for metrics with WALLABY_METRICS_OPEN, it is a warning
// in the log.
absl::Status CheckListener(const AccessSettings& access, std::string_view setting, std::string_view address,
                           ListenerKind kind);

}  // namespace wallaby

#endif  // WALLABY_ACCESS_LISTENER_H_
