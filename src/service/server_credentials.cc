#include "service/server_credentials.h"

#include "access/tls_files.h"
#include "base/status.h"
#include "grpcpp/security/tls_certificate_provider.h"
#include "grpcpp/security/tls_credentials_options.h"

namespace wallaby {
namespace {

constexpr unsigned kLookSeconds = 1;

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> MakeServerCredentials(const AccessSettings& access) {
  if (access.tls_cert_file.empty()) return grpc::InsecureServerCredentials();
  // gRPC would only say in its own log that a file is wrong, and listen all the same.
  RETURN_IF_ERROR(CheckTlsFiles(access));
  namespace tls = grpc::experimental;
  tls::TlsServerCredentialsOptions options(std::make_shared<tls::FileWatcherCertificateProvider>(
      access.tls_key_file, access.tls_cert_file, access.tls_client_ca_file, kLookSeconds));
  options.watch_identity_key_cert_pairs();
  if (!access.tls_client_ca_file.empty()) {
    options.watch_root_certs();
    options.set_cert_request_type(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  }
  return tls::TlsServerCredentials(options);
}

}  // namespace wallaby
