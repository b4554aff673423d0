// SecretBox: text that only a holder of the key can read or have changed unnoticed.
//
// Sealed form: "wallaby-sealed:1:" and base64 of nonce (12 bytes), ciphertext and tag (16 bytes); AES-256-GCM.
// Source: NIST SP 800-38D; OpenSSL documentation, EVP_EncryptInit.
#ifndef WALLABY_STORE_SECRET_BOX_H_
#define WALLABY_STORE_SECRET_BOX_H_

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace wallaby {

// Safe from any thread.
class SecretBox {
 public:
  // 32 bytes as 64 hexadecimal digits or as base64 (standard or URL alphabet). The error never shows the key.
  static absl::StatusOr<SecretBox> FromKeyText(std::string_view key);
  // Out of WALLABY_SECRET_KEY; nothing when it is not set.
  static absl::StatusOr<std::optional<SecretBox>> FromEnvironment();

  // `context` says what the text belongs to (a flow's id); Open() needs the same, so that sealed texts cannot be
  // swapped.
  absl::StatusOr<std::string> Seal(std::string_view text, std::string_view context) const;
  // FAILED_PRECONDITION when the key is not the one, or the text was changed.
  absl::StatusOr<std::string> Open(std::string_view sealed, std::string_view context) const;
  static bool IsSealed(std::string_view text);

 private:
  explicit SecretBox(std::string key) : key_(std::move(key)) {}
  std::string key_;
};

}  // namespace wallaby

#endif  // WALLABY_STORE_SECRET_BOX_H_
