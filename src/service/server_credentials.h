// What the gRPC listener shows of itself, and asks of its clients.
#ifndef WALLABY_SERVICE_SERVER_CREDENTIALS_H_
#define WALLABY_SERVICE_SERVER_CREDENTIALS_H_

#include <memory>

#include "absl/status/statusor.h"
#include "flow/access_settings.h"
#include "grpcpp/security/server_credentials.h"

namespace wallaby {

// TLS when the settings name a certificate; then gRPC reads the files again when they change. With authorities for
// clients a client without a certificate of theirs is not let in. Errors are those of CheckTlsFiles.
absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> MakeServerCredentials(const AccessSettings& access);

}  // namespace wallaby

#endif  // WALLABY_SERVICE_SERVER_CREDENTIALS_H_
