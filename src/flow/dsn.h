// Where the secrets stand in a connection string. Lenient: what cannot be parsed is searched all the same, because a
// mistyped DSN must not show its password either. In doubt it covers too much.
#ifndef WALLABY_FLOW_DSN_H_
#define WALLABY_FLOW_DSN_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace wallaby {

struct DsnSecret {
  std::string name;  // of the parameter, lower case; "" for the password before the host of a URI
  size_t begin = 0;  // in the text; with quotes where there are any
  size_t end = 0;
  bool quoted = false;  // a value of key=value form that ends with its quote
};

struct DsnScan {
  std::vector<DsnSecret> secrets;  // in order, not overlapping
  bool is_uri = false;             // values are percent encoded, else quoted as libpq's pairs
  // The rest that decides to whom the secrets are sent: scheme, host, port.
  std::string server;
};

DsnScan ScanDsn(std::string_view dsn);

// True for names of parameters and options that hold secrets: "sslpassword", "secret_key", "motherduck_token".
bool IsSecretName(std::string_view name);

}  // namespace wallaby

#endif  // WALLABY_FLOW_DSN_H_
