// Access: who calls, and whether they may. One for all listeners of a server; the transport is theirs.
#ifndef WALLABY_ACCESS_ACCESS_H_
#define WALLABY_ACCESS_ACCESS_H_

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "access/tokens.h"
#include "flow/access_settings.h"

namespace wallaby {

// What a caller has shown.
struct Credentials {
  std::string authorization;     // the header's value, "" without one
  bool has_certificate = false;  // one that WALLABY_TLS_CLIENT_CA_FILE vouches for, which the transport has verified
  std::string common_name;       // of that certificate
};

// Safe from any thread.
class Access {
 public:
  // Reads the tokens. What is wrong with them is the status.
  static absl::StatusOr<std::unique_ptr<Access>> Make(const AccessSettings& settings);
  virtual ~Access() = default;

  // Who calls. A token wins over the certificate. Without tokens and client certificates in the settings everybody is
  // "anonymous" with the role admin. A file of tokens that has changed is read again; while the new one is wrong the
  // old ones hold. UNAUTHENTICATED for a token that is not known, whatever else was shown.
  virtual absl::StatusOr<Principal> Identify(const Credentials& credentials) = 0;

  // PERMISSION_DENIED when the role is too low, UNAUTHENTICATED when nothing was shown; both name the role that `what`
  // needs.
  virtual absl::Status Permit(const Principal& principal, Role needed, std::string_view what) const = 0;
};

}  // namespace wallaby

#endif  // WALLABY_ACCESS_ACCESS_H_
