// Where the secrets stand in a connection string or URL. Lenient: what cannot be parsed is searched all the same,
// because a mistyped DSN must not show its password either. In doubt it covers too much.
#ifndef WALLABY_BASE_DSN_H_
#define WALLABY_BASE_DSN_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace wallaby {

struct DsnSecret {
  std::string name;  // of the parameter, lower case; "" for the password before the host of a URI; "?" for a query's
                     // part that has no name
  size_t begin = 0;  // in the text; with quotes where there are any
  size_t end = 0;
  bool quoted = false;  // a value of key=value form that ends with its quote
  // Its name does not tell: a value in the query of an http URL, any of which may be one. What stands for a schema or
  // a table ("{table}") is none.
  bool perhaps = false;
};

struct DsnScan {
  std::vector<DsnSecret> secrets;  // in order, not overlapping
  bool is_uri = false;             // values are percent encoded, else quoted as libpq's pairs
  // The rest that decides to whom the secrets are sent: scheme, host, port.
  std::string server;
};

DsnScan ScanDsn(std::string_view dsn);

// The text with the mask in place of these parts, which are in order.
std::string Masked(std::string_view text, const std::vector<DsnSecret>& secrets);
// Without all that ScanDsn() finds: for what is shown, and for what a user mistyped.
std::string WithoutSecrets(std::string_view text);

// True for names of parameters and options that hold secrets: "sslpassword", "secret_key", "motherduck_token", "sig".
bool IsSecretName(std::string_view name);

}  // namespace wallaby

#endif  // WALLABY_BASE_DSN_H_
