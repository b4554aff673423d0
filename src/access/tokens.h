// Tokens: the bearer tokens that the server takes, each with a name for the audit log and a role.
//
// One a line, or several with ';' between them: ROLE NAME TOKEN, where TOKEN is the token itself or sha256: and the
// hash of it in hexadecimal, from `printf %s TOKEN | sha256sum`. Blank lines and lines that begin with # count for
// nothing.
#ifndef WALLABY_ACCESS_TOKENS_H_
#define WALLABY_ACCESS_TOKENS_H_

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "flow/access_settings.h"

namespace wallaby {

// Who calls.
struct Principal {
  std::string name;
  Role role = Role::kNone;
};

class Tokens {
 public:
  // INVALID_ARGUMENT names `where` and the line, never a token.
  static absl::StatusOr<Tokens> Parse(std::string_view text, std::string_view where);
  // The same from a file. FAILED_PRECONDITION when users who are neither owner nor group may read it.
  static absl::StatusOr<Tokens> Load(const std::string& path);

  // Null for one that is not there. The time that it takes does not tell how much of a token was right, nor which.
  const Principal* Find(std::string_view token) const;
  bool empty() const { return entries_.empty(); }

 private:
  using Hash = std::array<uint8_t, 32>;  // SHA-256
  struct Entry {
    Principal principal;
    Hash hash;
  };
  static absl::StatusOr<Entry> ParseLine(std::string_view line);

  std::vector<Entry> entries_;
};

// Refuses a file of secrets that users who are neither its owner nor in its group may read.
absl::Status CheckSecretFile(const std::string& path, std::string_view setting);

}  // namespace wallaby

#endif  // WALLABY_ACCESS_TOKENS_H_
