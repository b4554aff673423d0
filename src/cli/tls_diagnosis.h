// Why a TLS connection does not come about, in words for an operator. gRPC says only that it does not.
#ifndef WALLABY_CLI_TLS_DIAGNOSIS_H_
#define WALLABY_CLI_TLS_DIAGNOSIS_H_

#include <string>

namespace wallaby {

struct TlsClientFiles {
  std::string ca;           // PEM files; empty: the system's authorities
  std::string certificate;  // empty: the client shows none
  std::string key;
  std::string server_name;  // that the server's certificate must have; empty: the endpoint's host
};

// Connects to "host:port" once more, by itself, for some seconds at most. "" when it finds nothing wrong.
std::string DiagnoseTls(const std::string& endpoint, const TlsClientFiles& files);

}  // namespace wallaby

#endif  // WALLABY_CLI_TLS_DIAGNOSIS_H_
