#include "cli/tls_diagnosis.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <memory>

#include "absl/strings/str_cat.h"
#include "base/freer.h"

namespace wallaby {
namespace {

constexpr time_t kLimitSeconds = 3;

using Context = std::unique_ptr<SSL_CTX, Freer<SSL_CTX_free>>;
using Session = std::unique_ptr<SSL, Freer<SSL_free>>;

std::string Text(BIO* memory) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(memory, &data);
  return {data, static_cast<size_t>(size)};
}

std::string DateOf(const ASN1_TIME* time) {
  const std::unique_ptr<BIO, Freer<BIO_free_all>> memory(BIO_new(BIO_s_mem()));
  ASN1_TIME_print(memory.get(), time);
  return Text(memory.get());
}

// "wallaby.example, 10.0.0.1": the names that a certificate is for.
std::string NamesOf(X509* certificate) {
  std::string names;
  auto* alternatives =
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; i < sk_GENERAL_NAME_num(alternatives); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(alternatives, i);
    std::string text;
    if (name->type == GEN_DNS) {
      text = std::string(reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.dNSName)),
                         static_cast<size_t>(ASN1_STRING_length(name->d.dNSName)));
    } else if (name->type == GEN_IPADD) {
      char buffer[INET6_ADDRSTRLEN] = {};
      const int family = ASN1_STRING_length(name->d.iPAddress) == 4 ? AF_INET : AF_INET6;
      inet_ntop(family, ASN1_STRING_get0_data(name->d.iPAddress), buffer, sizeof(buffer));
      text = buffer;
    }
    if (!text.empty()) absl::StrAppend(&names, names.empty() ? "" : ", ", text);
  }
  GENERAL_NAMES_free(alternatives);
  return names.empty() ? "no name at all" : names;
}

int Connected(const std::string& host, const std::string& port) {
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), port.c_str(), &hints, &found) != 0) return -1;
  int fd = -1;
  for (const addrinfo* address = found; address != nullptr && fd < 0; address = address->ai_next) {
    fd = socket(address->ai_family, address->ai_socktype | SOCK_CLOEXEC, address->ai_protocol);
    if (fd < 0) continue;
    const timeval limit = {kLimitSeconds, 0};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    if (connect(fd, address->ai_addr, address->ai_addrlen) == 0) break;
    close(fd);
    fd = -1;
  }
  freeaddrinfo(found);
  return fd;
}

std::string OfVerification(long result, X509* certificate, const std::string& name, const TlsClientFiles& files) {
  switch (result) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return absl::StrCat("the server's certificate has expired, on ", DateOf(X509_get0_notAfter(certificate)),
                          "; renew it there");
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return absl::StrCat("the server's certificate is not valid before ", DateOf(X509_get0_notBefore(certificate)),
                          "; look at this machine's clock");
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return absl::StrCat("the server's certificate is for ", NamesOf(certificate), ", not for ", name,
                          "; say -endpoint or -tls-server-name with one of these");
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
      return absl::StrCat("the server's certificate does not come from an authority ",
                          files.ca.empty() ? std::string("of this machine; name its own with -tls-ca")
                                           : absl::StrCat("in -tls-ca ", files.ca));
    default:
      return absl::StrCat("the server's certificate is not accepted: ", X509_verify_cert_error_string(result));
  }
}

// Of the client's own certificate, which the server has asked for and was not content with. Servers of gRPC end the
// connection without a word.
std::string OfOwnCertificate(SSL* ssl, const TlsClientFiles& files) {
  if (files.certificate.empty()) return "the server asks for a client certificate; give -tls-cert and -tls-key";
  const X509* own = SSL_get_certificate(ssl);
  if (own != nullptr && X509_cmp_current_time(X509_get0_notAfter(own)) < 0) {
    return absl::StrCat("-tls-cert ", files.certificate, " has expired, on ", DateOf(X509_get0_notAfter(own)));
  }
  return absl::StrCat("the server does not accept -tls-cert ", files.certificate,
                      "; is it from an authority in the server's WALLABY_TLS_CLIENT_CA_FILE?");
}

// The server has ended the connection, in the handshake or right behind it.
std::string OfEnd(SSL* ssl, bool asked, const TlsClientFiles& files) {
  const int reason = ERR_GET_REASON(ERR_peek_last_error());
  if (reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_PACKET_LENGTH_TOO_LONG) {
    return "the server does not speak TLS; leave out -tls-ca, or say -insecure";
  }
  return asked ? OfOwnCertificate(ssl, files) : "";
}

std::string Diagnose(int fd, const std::string& host, const TlsClientFiles& files) {
  const Context context(SSL_CTX_new(TLS_client_method()));
  if (context == nullptr) return "";
  const bool trusts = files.ca.empty() ? SSL_CTX_set_default_verify_paths(context.get()) == 1
                                       : SSL_CTX_load_verify_locations(context.get(), files.ca.c_str(), nullptr) == 1;
  if (!trusts) return "";
  if (!files.certificate.empty() &&
      (SSL_CTX_use_certificate_chain_file(context.get(), files.certificate.c_str()) != 1 ||
       SSL_CTX_use_PrivateKey_file(context.get(), files.key.c_str(), SSL_FILETYPE_PEM) != 1)) {
    return "";
  }
  const Session ssl(SSL_new(context.get()));
  const std::string name = files.server_name.empty() ? host : files.server_name;
  X509_VERIFY_PARAM* wanted = SSL_get0_param(ssl.get());
  if (X509_VERIFY_PARAM_set1_ip_asc(wanted, name.c_str()) != 1) {
    X509_VERIFY_PARAM_set1_host(wanted, name.c_str(), 0);
    SSL_set_tlsext_host_name(ssl.get(), name.c_str());
  }
  // The result is looked at below, where the certificate is still at hand.
  SSL_set_verify(ssl.get(), SSL_VERIFY_NONE, nullptr);
  static constexpr unsigned char kHttp2[] = "\x02h2";
  SSL_set_alpn_protos(ssl.get(), kHttp2, 3);
  SSL_set_fd(ssl.get(), fd);
  bool asked = false;
  const auto on_request = [](SSL*, void* flag) {
    *static_cast<bool*>(flag) = true;
    return 1;
  };
  SSL_set_cert_cb(ssl.get(), on_request, &asked);
  ERR_clear_error();
  const bool shaken = SSL_connect(ssl.get()) == 1;
  const long verified = SSL_get_verify_result(ssl.get());
  const std::unique_ptr<X509, Freer<X509_free>> certificate(SSL_get1_peer_certificate(ssl.get()));
  if (verified != X509_V_OK) {
    if (certificate == nullptr)
      return absl::StrCat("the server's certificate is not accepted: ", X509_verify_cert_error_string(verified));
    return OfVerification(verified, certificate.get(), name, files);
  }
  // With TLS 1.3 the server judges the client's certificate after the client's last word. One that is content sends the
  // settings of HTTP/2.
  char byte;
  if (shaken && SSL_read(ssl.get(), &byte, 1) > 0) return "";
  return OfEnd(ssl.get(), asked, files);
}

}  // namespace

std::string DiagnoseTls(const std::string& endpoint, const TlsClientFiles& files) {
  const size_t colon = endpoint.rfind(':');
  if (colon == endpoint.npos || endpoint.starts_with("unix:")) return "";
  std::string host = endpoint.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  const int fd = Connected(host, endpoint.substr(colon + 1));
  if (fd < 0) return "";
  std::string found = Diagnose(fd, host, files);
  close(fd);
  ERR_clear_error();
  return found;
}

}  // namespace wallaby
