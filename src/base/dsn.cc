// Sources: PostgreSQL documentation, "Connection Strings" (libpq-connstring): keyword=value with single quotes and
// backslashes, and URIs with percent encoding and parameters behind a question mark. RFC 3986, sections 3.2 to 3.5.
#include "base/dsn.h"

#include <algorithm>
#include <array>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/mask.h"

namespace wallaby {
namespace {

constexpr size_t kNone = std::string_view::npos;

std::string PercentDecoded(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && absl::ascii_isxdigit(text[i + 1]) &&
        absl::ascii_isxdigit(text[i + 2])) {
      out += absl::HexStringToBytes(text.substr(i + 1, 2));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

bool AllDigits(std::string_view text) {
  return std::all_of(text.begin(), text.end(), absl::ascii_isdigit);
}

// host, host:port, [v6]:port, and lists of them.
bool IsHostList(std::string_view text) {
  for (std::string_view host : absl::StrSplit(text, ',')) {
    if (host.starts_with('[')) {
      const size_t close = host.find(']');
      if (close == kNone) return false;
      host.remove_prefix(close + 1);
      if (!host.empty() && (host[0] != ':' || !AllDigits(host.substr(1)))) return false;
    } else if (const size_t colon = host.find(':'); colon != kNone && !AllDigits(host.substr(colon + 1))) {
      return false;
    }
  }
  return true;
}

bool DecidesServer(std::string_view name) {
  return name == "host" || name == "hostaddr" || name == "port" || name == "server" || name == "service" ||
         name == "servicefile" || name == "endpoint" || name == "sslmode" || name == "sslrootcert";
}

// End of the userinfo (the '@') in text from `begin`, which is just behind "://"; kNone without one. As libpq, takes it
// from before the first slash; beyond that only where the text makes no sense otherwise.
size_t UserinfoEnd(std::string_view dsn, size_t begin) {
  const size_t slash = std::min(dsn.find('/', begin), dsn.size());
  const size_t question = std::min(dsn.find('?', slash), dsn.size());
  const size_t at = dsn.substr(0, question).rfind('@');
  // Beyond the slash nothing tells where the password ends: at the last '@' of all.
  if (at != kNone && at >= begin) return at < slash ? at : dsn.rfind('@');
  const size_t authority_end = std::min(slash, std::min(dsn.find('?', begin), dsn.size()));
  if (IsHostList(dsn.substr(begin, authority_end - begin))) return kNone;
  const size_t last = dsn.rfind('@');
  return last != kNone && last >= begin ? last : kNone;
}

// "{table}": stands for something that is no secret.
bool IsPlace(std::string_view text) {
  return text == "{schema}" || text == "{table}";
}

// `of_http`: it is a query whose names nobody knows, so that each value may be a secret.
void ScanUriParameters(std::string_view dsn, size_t begin, bool of_http, DsnScan* scan) {
  while (begin < dsn.size()) {
    const size_t end = std::min(dsn.find('&', begin), dsn.size());
    const size_t equals = dsn.substr(0, end).find('=', begin);
    if (equals == kNone) {
      if (of_http && end > begin && !IsPlace(dsn.substr(begin, end - begin))) {
        scan->secrets.push_back({.name = "?", .begin = begin, .end = end, .perhaps = true});
      }
    } else {
      const std::string name = absl::AsciiStrToLower(PercentDecoded(dsn.substr(begin, equals - begin)));
      const std::string_view value = dsn.substr(equals + 1, end - equals - 1);
      const bool secret = IsSecretName(name);
      if (!value.empty() && (secret || of_http) && !IsPlace(value)) {
        scan->secrets.push_back({.name = name, .begin = equals + 1, .end = end, .perhaps = !secret});
      } else if (DecidesServer(name)) {
        absl::StrAppend(&scan->server, " ", name, "=", value);
      }
    }
    begin = end + 1;
  }
}

// `begin`: where user, password and host start.
DsnScan ScanUri(std::string_view dsn, size_t begin) {
  DsnScan scan;
  scan.is_uri = true;
  scan.server = std::string(dsn.substr(0, begin));
  const size_t at = UserinfoEnd(dsn, begin);
  size_t host = begin;
  if (at != kNone) {
    const size_t colon = dsn.find(':', begin);
    if (colon < at && colon + 1 < at) scan.secrets.push_back({"", colon + 1, at});
    host = at + 1;
  }
  const size_t host_end = std::min(dsn.find_first_of("/?", host), dsn.size());
  scan.server += dsn.substr(host, host_end - host);
  const size_t question = dsn.find('?', host_end);
  const bool of_http = absl::StartsWithIgnoreCase(dsn, "http://") || absl::StartsWithIgnoreCase(dsn, "https://");
  if (question != kNone) ScanUriParameters(dsn, question + 1, of_http, &scan);
  return scan;
}

// Where the host of a URI would begin whose scheme was mistyped ("https:/u:p@h", "//u:p@h"); kNone where it looks like
// none.
size_t MistypedAuthority(std::string_view dsn) {
  const std::string_view before = dsn.substr(0, dsn.find('?'));
  const size_t slash = before.find('/');
  if (slash == kNone || before.find('@', slash) == kNone || before.find_first_of("= '\t\n") != kNone) return kNone;
  const bool likely = (slash > 0 && before[slash - 1] == ':') || before.substr(slash).starts_with("//");
  return likely ? before.find_first_not_of('/', slash) : kNone;
}

class KeyValueScanner {
 public:
  explicit KeyValueScanner(std::string_view dsn) : dsn_(dsn) {}

  DsnScan Scan() {
    for (SkipSpace(); at_ < dsn_.size(); SkipSpace()) Pair();
    return std::move(scan_);
  }

 private:
  void SkipSpace() {
    while (at_ < dsn_.size() && (absl::ascii_isspace(dsn_[at_]) || dsn_[at_] == ';')) ++at_;
  }

  void Pair() {
    const size_t name_begin = at_;
    while (at_ < dsn_.size() && dsn_[at_] != '=' && !absl::ascii_isspace(dsn_[at_])) ++at_;
    const std::string name = Name(dsn_.substr(name_begin, at_ - name_begin));
    const size_t name_end = at_;
    while (at_ < dsn_.size() && absl::ascii_isspace(dsn_[at_])) ++at_;
    if (at_ == dsn_.size() || dsn_[at_] != '=') {
      // No pair. Behind a secret it is most likely the rest of a value that should have been quoted.
      if (after_secret_) {
        scan_.secrets.back().end = name_end;
        scan_.secrets.back().quoted = false;
      }
      return;
    }
    ++at_;
    while (at_ < dsn_.size() && absl::ascii_isspace(dsn_[at_])) ++at_;
    const bool secret = IsSecretName(name);
    const size_t value_begin = at_;
    const bool quoted = Value(secret);
    after_secret_ = secret && at_ > value_begin;
    if (after_secret_) {
      scan_.secrets.push_back({name, value_begin, at_, quoted});
    } else if (DecidesServer(name)) {
      absl::StrAppend(&scan_.server, name, "=", dsn_.substr(value_begin, at_ - value_begin), " ");
    }
  }

  // DuckLake writes "ducklake:postgres:password=x": the name is what stands behind the last colon.
  static std::string Name(std::string_view text) {
    const size_t from = text.find_last_of(":;,?&'\"");
    return absl::AsciiStrToLower(from == kNone ? text : text.substr(from + 1));
  }

  // Moves behind the value, and says whether its closing quote ended it. A quote that is never closed takes the rest.
  // Secrets may hold semicolons; other values end there, since some drivers part their pairs so.
  bool Value(bool secret) {
    const bool quoted = at_ < dsn_.size() && dsn_[at_] == '\'';
    if (quoted) ++at_;
    for (; at_ < dsn_.size(); ++at_) {
      const char c = dsn_[at_];
      if (c == '\\' && at_ + 1 < dsn_.size()) {
        ++at_;
      } else if (quoted && c == '\'') {
        ++at_;
        return true;
      } else if (!quoted && (absl::ascii_isspace(c) || (c == ';' && !secret))) {
        return false;
      }
    }
    return false;
  }

  std::string_view dsn_;
  size_t at_ = 0;
  bool after_secret_ = false;
  DsnScan scan_;
};

// "user:password@host/db", as some drivers have it, without a scheme.
bool IsBareUserinfo(std::string_view dsn) {
  const size_t at = dsn.find('@');
  if (at == kNone) return false;
  const std::string_view before = dsn.substr(0, at);
  const size_t colon = before.find(':');
  return colon != kNone && colon > 0 && before.find_first_of("= \t\n/") == kNone;
}

}  // namespace

bool IsSecretName(std::string_view name) {
  static constexpr std::array<std::string_view, 11> kEndings = {"password", "passwd",      "pwd",      "passphrase",
                                                                "token",    "secret",      "_key",     "-key",
                                                                "apikey",   "credentials", "signature"};
  static constexpr std::array<std::string_view, 6> kNames = {"pass", "headers", "authorization", "sig", "key", "code"};
  const std::string lower = absl::AsciiStrToLower(name);
  return std::find(kNames.begin(), kNames.end(), lower) != kNames.end() ||
         std::any_of(kEndings.begin(), kEndings.end(),
                     [&](std::string_view ending) { return lower.ends_with(ending); });
}

DsnScan ScanDsn(std::string_view dsn) {
  const size_t scheme = dsn.find("://");
  // A scheme comes before anything else; "password=a://b" is a pair.
  if (scheme != kNone && dsn.substr(0, scheme).find_first_of("= '\t\n") == kNone) {
    return ScanUri(dsn, scheme + 3);
  }
  if (IsBareUserinfo(dsn)) return ScanUri(dsn, 0);
  if (const size_t begin = MistypedAuthority(dsn); begin != kNone) return ScanUri(dsn, begin);
  // A path with parameters behind it: "md:sales?motherduck_token=x".
  if (const size_t question = dsn.find('?'); question != kNone && dsn.find('=') > question) {
    DsnScan scan;
    scan.is_uri = true;
    scan.server = std::string(dsn.substr(0, question));
    ScanUriParameters(dsn, question + 1, /*of_http=*/false, &scan);
    return scan;
  }
  return KeyValueScanner(dsn).Scan();
}

std::string Masked(std::string_view text, const std::vector<DsnSecret>& secrets) {
  std::string out;
  size_t done = 0;
  for (const DsnSecret& secret : secrets) {
    out.append(text, done, secret.begin - done);
    out.append(kSecretMask);
    done = secret.end;
    // A closing quote also parts a value from what follows; the mask has none.
    if (secret.quoted && secret.end < text.size() && !absl::ascii_isspace(text[secret.end])) out += ' ';
  }
  return out.append(text, done);
}

std::string WithoutSecrets(std::string_view text) {
  return Masked(text, ScanDsn(text).secrets);
}

}  // namespace wallaby
