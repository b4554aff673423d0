// Connection strings. What is shown of one never has its password: neither where libpq finds it, nor one that is put
// in. First byte: how the password is put in; a block is the password; the rest is the DSN.
#include <libpq-fe.h>

#include <map>
#include <memory>
#include <string>

#include "base/dsn.h"
#include "base/mask.h"
#include "flow/flow.h"
#include "fuzz.h"

namespace wallaby {
namespace {

// What libpq makes of it; nothing when it refuses.
std::map<std::string, std::string> Libpq(const std::string& dsn) {
  std::map<std::string, std::string> values;
  char* error = nullptr;
  PQconninfoOption* options = PQconninfoParse(dsn.c_str(), &error);
  PQfreemem(error);
  if (options == nullptr) return values;
  for (PQconninfoOption* option = options; option->keyword != nullptr; ++option) {
    if (option->val != nullptr) values[option->keyword] = option->val;
  }
  PQconninfoFree(options);
  return values;
}

void CheckScan(const std::string& dsn) {
  const DsnScan scan = ScanDsn(dsn);
  size_t end = 0;
  for (const DsnSecret& secret : scan.secrets) {
    REQUIRE(secret.begin >= end && secret.end > secret.begin && secret.end <= dsn.size(), "secrets overlap");
    end = secret.end;
  }
  const std::string shown = RedactDsn(dsn);
  REQUIRE(RedactDsn(shown) == shown, shown);
  // libpq takes zero bytes for the end.
  if (dsn.find('\0') != std::string::npos) return;
  const auto before = Libpq(dsn);
  const auto after = Libpq(shown);
  if (before.empty() || after.empty()) return;
  for (const auto& [name, value] : before) {
    const auto found = after.find(name);
    if (IsSecretName(name) && !value.empty()) {
      REQUIRE(found == after.end() || found->second == kSecretMask || value == kSecretMask,
              name + " is shown: " + shown);
    }
  }
}

std::string PercentEncoded(std::string_view text) {
  std::string out;
  char hex[4];
  for (const char c : text) {
    std::snprintf(hex, sizeof(hex), "%%%02X", static_cast<unsigned char>(c));
    out += hex;
  }
  return out;
}

std::string Quoted(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') out += '\\';
    out += c;
  }
  return out + "'";
}

}  // namespace
}  // namespace wallaby

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace wallaby;
  fuzz::Input in(data, size);
  const uint8_t how = in.Byte() % 4;
  if (how == 0) {
    CheckScan(std::string(in.Rest()));
    return 0;
  }
  const std::string_view password = in.Take(in.Byte() % 16);
  const std::string rest(in.Rest());
  if (password.size() < 6 || rest.find('\0') != std::string::npos) return 0;
  std::string dsn, written;
  if (how == 1) {
    written = PercentEncoded(password);
    dsn = "postgres://u:" + written + "@" + rest;
  } else if (how == 2) {
    written = Quoted(password);
    dsn = "host=h password=" + written + " " + rest;
  } else {
    written = PercentEncoded(password);
    dsn = "postgresql://h/d?sslpassword=" + written + "&" + rest;
  }
  CheckScan(dsn);
  // What else stands there may be the same text by chance.
  if (rest.find(written) == std::string::npos) {
    REQUIRE(RedactDsn(dsn).find(written) == std::string::npos, RedactDsn(dsn));
  }
  return 0;
}
