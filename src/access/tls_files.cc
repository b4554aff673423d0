#include "access/tls_files.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/stat.h>

#include <array>
#include <mutex>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "access/tokens.h"
#include "base/freer.h"
#include "base/status.h"
#include "telemetry/log.h"

namespace wallaby {
namespace {

constexpr absl::Duration kLookInterval = absl::Seconds(1);

using CertificatePtr = std::unique_ptr<X509, Freer<X509_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;
using StorePtr = std::unique_ptr<X509_STORE, Freer<X509_STORE_free>>;
using FilePtr = std::unique_ptr<BIO, Freer<BIO_free_all>>;
struct ChainFreer {
  void operator()(STACK_OF(X509) * chain) const { sk_X509_pop_free(chain, X509_free); }
};
using ChainPtr = std::unique_ptr<STACK_OF(X509), ChainFreer>;

// What a handshake needs, immutable.
struct Identity {
  CertificatePtr certificate;
  ChainPtr chain;  // above it
  KeyPtr key;
  StorePtr clients;  // null: client certificates are not asked for
  ChainPtr client_authorities;
};

absl::Status Bad(std::string_view setting, const std::string& path, std::string_view what) {
  ERR_clear_error();
  return absl::InvalidArgumentError(absl::StrCat(setting, ": ", path, " ", what));
}

absl::StatusOr<ChainPtr> ReadCertificates(std::string_view setting, const std::string& path) {
  const FilePtr file(BIO_new_file(path.c_str(), "r"));
  if (file == nullptr) return Bad(setting, path, "cannot be read");
  ChainPtr chain(sk_X509_new_null());
  while (X509* certificate = PEM_read_bio_X509(file.get(), nullptr, nullptr, nullptr)) {
    sk_X509_push(chain.get(), certificate);
  }
  ERR_clear_error();
  if (sk_X509_num(chain.get()) == 0) return Bad(setting, path, "holds no certificate in PEM form");
  return chain;
}

absl::Status CheckTime(std::string_view setting, const std::string& path, X509* certificate) {
  if (X509_cmp_current_time(X509_get0_notAfter(certificate)) < 0) {
    return Bad(setting, path, "holds a certificate that has expired; renew it");
  }
  if (X509_cmp_current_time(X509_get0_notBefore(certificate)) > 0) {
    return Bad(setting, path, "holds a certificate that is not valid yet; look at this machine's clock");
  }
  return absl::OkStatus();
}

int NoPassphrase(char*, int, int, void*) {
  return -1;
}

absl::StatusOr<std::shared_ptr<const Identity>> ReadIdentity(const AccessSettings& access) {
  auto identity = std::make_shared<Identity>();
  ASSIGN_OR_RETURN(identity->chain, ReadCertificates("WALLABY_TLS_CERT_FILE", access.tls_cert_file));
  identity->certificate.reset(sk_X509_shift(identity->chain.get()));
  RETURN_IF_ERROR(CheckTime("WALLABY_TLS_CERT_FILE", access.tls_cert_file, identity->certificate.get()));
  RETURN_IF_ERROR(CheckSecretFile(access.tls_key_file, "WALLABY_TLS_KEY_FILE"));
  const FilePtr file(BIO_new_file(access.tls_key_file.c_str(), "r"));
  if (file == nullptr) return Bad("WALLABY_TLS_KEY_FILE", access.tls_key_file, "cannot be read");
  identity->key.reset(PEM_read_bio_PrivateKey(file.get(), nullptr, NoPassphrase, nullptr));
  if (identity->key == nullptr) {
    return Bad("WALLABY_TLS_KEY_FILE", access.tls_key_file, "holds no private key in PEM form without a passphrase");
  }
  if (X509_check_private_key(identity->certificate.get(), identity->key.get()) != 1) {
    return Bad("WALLABY_TLS_KEY_FILE", access.tls_key_file,
               absl::StrCat("is not the key of the certificate in ", access.tls_cert_file));
  }
  if (!access.tls_client_ca_file.empty()) {
    ASSIGN_OR_RETURN(identity->client_authorities,
                     ReadCertificates("WALLABY_TLS_CLIENT_CA_FILE", access.tls_client_ca_file));
    identity->clients.reset(X509_STORE_new());
    for (int i = 0; i < sk_X509_num(identity->client_authorities.get()); ++i) {
      X509_STORE_add_cert(identity->clients.get(), sk_X509_value(identity->client_authorities.get(), i));
    }
  }
  return identity;
}

// Of the three files; differs when one has been replaced.
std::array<int64_t, 6> Stamps(const AccessSettings& access) {
  std::array<int64_t, 6> stamps = {};
  size_t at = 0;
  for (const std::string* path : {&access.tls_cert_file, &access.tls_key_file, &access.tls_client_ca_file}) {
    struct stat info = {};
    if (!path->empty() && stat(path->c_str(), &info) == 0) {
      stamps[at] = static_cast<int64_t>(info.st_ino);
      stamps[at + 1] = info.st_mtim.tv_sec * 1'000'000'000 + info.st_mtim.tv_nsec;
    }
    at += 2;
  }
  return stamps;
}

class WatchedTlsFiles final : public TlsFiles {
 public:
  explicit WatchedTlsFiles(const AccessSettings& access) : access_(access) {}

  absl::Status Begin() {
    stamps_ = Stamps(access_);
    ASSIGN_OR_RETURN(identity_, ReadIdentity(access_));
    looked_ = absl::Now();
    return absl::OkStatus();
  }

  bool Configure(ssl_ctx_st* context) override {
    SSL_CTX_set_cert_cb(context, &WatchedTlsFiles::GiveIdentity, this);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
    // Sessions that go on without a handshake would keep a client's certificate beyond a change of authorities.
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
    SSL_CTX_set_num_tickets(context, 0);
    return SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1;
  }

 private:
  std::shared_ptr<const Identity> Current() {
    std::lock_guard lock(mutex_);
    const absl::Time now = absl::Now();
    if (now - looked_ < kLookInterval) return identity_;
    looked_ = now;
    const auto stamps = Stamps(access_);
    if (stamps == stamps_) return identity_;
    auto identity = ReadIdentity(access_);
    if (identity.ok()) {
      stamps_ = stamps;
      identity_ = *std::move(identity);
      Log(LogLevel::kInfo, "TLS certificate read again", {{"file", access_.tls_cert_file}});
    } else {
      // The other file of a pair may come in a moment.
      Log(LogLevel::kError, "the new TLS files are not taken; those from before hold",
          {{"error", std::string(identity.status().message())}});
    }
    return identity_;
  }

  // Within a handshake. 1 lets it go on.
  static int GiveIdentity(SSL* ssl, void* self) {
    const std::shared_ptr<const Identity> identity = static_cast<WatchedTlsFiles*>(self)->Current();
    if (SSL_use_cert_and_key(ssl, identity->certificate.get(), identity->key.get(), identity->chain.get(), 1) != 1) {
      return 0;
    }
    if (identity->clients == nullptr) return 1;
    SSL_set1_verify_cert_store(ssl, identity->clients.get());
    for (int i = 0; i < sk_X509_num(identity->client_authorities.get()); ++i) {
      SSL_add_client_CA(ssl, sk_X509_value(identity->client_authorities.get(), i));
    }
    SSL_set_verify(ssl, SSL_VERIFY_PEER, nullptr);
    return 1;
  }

  const AccessSettings access_;
  std::mutex mutex_;  // guards the rest
  std::shared_ptr<const Identity> identity_;
  std::array<int64_t, 6> stamps_ = {};
  absl::Time looked_;
};

}  // namespace

absl::Status CheckTlsFiles(const AccessSettings& access) {
  return access.tls_cert_file.empty() ? absl::OkStatus() : ReadIdentity(access).status();
}

absl::StatusOr<std::unique_ptr<TlsFiles>> TlsFiles::Load(const AccessSettings& access) {
  auto files = std::make_unique<WatchedTlsFiles>(access);
  RETURN_IF_ERROR(files->Begin());
  return std::unique_ptr<TlsFiles>(std::move(files));
}

}  // namespace wallaby
