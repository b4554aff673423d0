#include "access/tokens.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status.h"

namespace wallaby {
namespace {

// Guessing at a listener that answers 10,000 times a second is hopeless beyond this.
constexpr size_t kMinToken = 16;
constexpr size_t kMaxToken = 4096;
constexpr size_t kMaxFile = 1 << 20;
constexpr std::string_view kHashed = "sha256:";

bool IsPlain(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

absl::Status Invalid(std::string_view what) {
  return absl::InvalidArgumentError(what);
}

}  // namespace

absl::StatusOr<Tokens::Entry> Tokens::ParseLine(std::string_view line) {
  const std::vector<std::string_view> words = absl::StrSplit(line, absl::ByAnyChar(" \t"), absl::SkipEmpty());
  if (words.size() != 3) return Invalid("must have three words, ROLE NAME TOKEN");
  Entry entry;
  RETURN_IF_ERROR(ParseRole(words[0], &entry.principal.role));
  if (!IsPlain(words[1]) || words[1].size() > 64) return Invalid("the name must have 1 to 64 plain characters");
  entry.principal.name = std::string(words[1]);
  std::string_view token = words[2];
  if (token.starts_with(kHashed)) {
    token.remove_prefix(kHashed.size());
    if (token.size() != 2 * entry.hash.size() || !std::all_of(token.begin(), token.end(), absl::ascii_isxdigit)) {
      return Invalid("behind sha256: there must be 64 hexadecimal digits");
    }
    const std::string hash = absl::HexStringToBytes(token);
    std::copy(hash.begin(), hash.end(), entry.hash.begin());
    return entry;
  }
  if (!IsPlain(token) || token.size() < kMinToken || token.size() > kMaxToken) {
    return Invalid("the token must have at least 16 plain characters, for example from `openssl rand -hex 32`");
  }
  SHA256(reinterpret_cast<const uint8_t*>(token.data()), token.size(), entry.hash.data());
  return entry;
}

absl::StatusOr<Tokens> Tokens::Parse(std::string_view text, std::string_view where) {
  Tokens tokens;
  int number = 0;
  for (std::string_view row : absl::StrSplit(text, '\n')) {
    ++number;
    row = absl::StripAsciiWhitespace(row);
    if (row.starts_with('#')) continue;
    for (std::string_view line : absl::StrSplit(row, ';')) {
      line = absl::StripAsciiWhitespace(line);
      if (line.empty()) continue;
      const std::string at = absl::StrCat(where, ", line ", number);
      absl::StatusOr<Entry> entry = ParseLine(line);
      if (!entry.ok()) return Annotate(entry.status(), at);
      const bool taken = std::any_of(tokens.entries_.begin(), tokens.entries_.end(),
                                     [&](const Entry& other) { return other.principal.name == entry->principal.name; });
      if (taken) return Invalid(absl::StrCat(at, ": the name '", entry->principal.name, "' is used twice"));
      tokens.entries_.push_back(*std::move(entry));
    }
  }
  if (tokens.empty()) return Invalid(absl::StrCat(where, ": holds no token; a line is ROLE NAME TOKEN"));
  return tokens;
}

absl::StatusOr<Tokens> Tokens::Load(const std::string& path) {
  RETURN_IF_ERROR(CheckSecretFile(path, "WALLABY_TOKENS_FILE"));
  std::ifstream in(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  if (!in || text.size() > kMaxFile) {
    return Invalid(absl::StrCat("WALLABY_TOKENS_FILE: ", path, " cannot be read, or has more than 1 MiB"));
  }
  return Parse(text, absl::StrCat("WALLABY_TOKENS_FILE ", path));
}

const Principal* Tokens::Find(std::string_view token) const {
  Hash hash;
  SHA256(reinterpret_cast<const uint8_t*>(token.data()), token.size(), hash.data());
  const Principal* found = nullptr;
  // All of them, always.
  for (const Entry& entry : entries_) {
    if (CRYPTO_memcmp(entry.hash.data(), hash.data(), hash.size()) == 0) found = &entry.principal;
  }
  return found;
}

absl::Status CheckSecretFile(const std::string& path, std::string_view setting) {
  struct stat info = {};
  if (stat(path.c_str(), &info) != 0) {
    return absl::NotFoundError(absl::StrCat(setting, ": ", path, " cannot be read: ", std::strerror(errno)));
  }
  if (!S_ISREG(info.st_mode)) return Invalid(absl::StrCat(setting, ": ", path, " is not a file"));
  if ((info.st_mode & S_IRWXO) == 0) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(setting, ": every user of this machine may read ", path,
                                                    "; run chmod o= ", path,
                                                    ", or in Kubernetes give the volume defaultMode: 0440"));
}

}  // namespace wallaby
