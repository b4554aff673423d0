// TlsFiles: the server's certificate and key, and the authorities of its clients, read again when the files change, as
// cert-manager and certbot do it. gRPC watches the same files by itself; these serve the HTTP listeners.
#ifndef WALLABY_ACCESS_TLS_FILES_H_
#define WALLABY_ACCESS_TLS_FILES_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "flow/access_settings.h"

struct ssl_ctx_st;

namespace wallaby {

// Whether the files that the settings name hold a certificate, its key and authorities. Errors name setting, file and
// cause; a certificate that has expired or is not valid yet is one of them. OK without TLS.
absl::Status CheckTlsFiles(const AccessSettings& access);

// Safe from any thread.
class TlsFiles {
 public:
  static absl::StatusOr<std::unique_ptr<TlsFiles>> Load(const AccessSettings& access);
  virtual ~TlsFiles() = default;
  // Makes a server context hand out what the files hold at the time of each handshake: TLS 1.2 and newer. A client's
  // certificate is asked for and verified where there are authorities, but a client without one is let in: what it may
  // do is decided by request. The object outlives the context.
  virtual bool Configure(ssl_ctx_st* context) = 0;
};

}  // namespace wallaby

#endif  // WALLABY_ACCESS_TLS_FILES_H_
