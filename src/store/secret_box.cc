#include "store/secret_box.h"

#include <openssl/evp.h>
#include <openssl/rand.h>

#include <cstdlib>
#include <memory>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/freer.h"
#include "base/key_text.h"
#include "base/status.h"

namespace wallaby {
namespace {

constexpr std::string_view kPrefix = "wallaby-sealed:1:";
constexpr size_t kNonceBytes = 12;
constexpr size_t kTagBytes = 16;

using ContextPtr = std::unique_ptr<EVP_CIPHER_CTX, Freer<EVP_CIPHER_CTX_free>>;

const unsigned char* Bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
unsigned char* Bytes(std::string& text) {
  return reinterpret_cast<unsigned char*>(text.data());
}

absl::Status LibraryError() {
  return absl::InternalError("encryption: the cryptographic library failed");
}

absl::Status CannotOpen() {
  return absl::FailedPreconditionError(
      "cannot be decrypted: WALLABY_SECRET_KEY is not the key it was stored with, or the stored text was changed; set "
      "the key that was in use when the flow was last saved. Where that is lost, define the flow anew: flow update "
      "with "
      "its whole file, secrets too, or flow delete");
}

}  // namespace

absl::StatusOr<SecretBox> SecretBox::FromKeyText(std::string_view key) {
  auto bytes = ParseKeyText(key);
  if (!bytes.ok()) return Annotate(bytes.status(), "WALLABY_SECRET_KEY");
  return SecretBox(*std::move(bytes));
}

absl::StatusOr<std::optional<SecretBox>> SecretBox::FromEnvironment() {
  const char* key = std::getenv("WALLABY_SECRET_KEY");
  if (key == nullptr || *key == '\0') return std::nullopt;
  ASSIGN_OR_RETURN(SecretBox box, FromKeyText(key));
  return std::optional<SecretBox>(std::move(box));
}

bool SecretBox::IsSealed(std::string_view text) {
  return text.starts_with(kPrefix);
}

absl::StatusOr<std::string> SecretBox::Seal(std::string_view text, std::string_view context) const {
  // nonce | ciphertext | tag
  std::string out(kNonceBytes + text.size() + kTagBytes, '\0');
  unsigned char* const nonce = Bytes(out);
  unsigned char* const body = nonce + kNonceBytes;
  unsigned char* const tag = body + text.size();
  const ContextPtr cipher(EVP_CIPHER_CTX_new());
  int length = 0;
  if (cipher == nullptr || RAND_bytes(nonce, kNonceBytes) != 1 ||
      EVP_EncryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, Bytes(key_), nonce) != 1 ||
      EVP_EncryptUpdate(cipher.get(), nullptr, &length, Bytes(context), static_cast<int>(context.size())) != 1 ||
      EVP_EncryptUpdate(cipher.get(), body, &length, Bytes(text), static_cast<int>(text.size())) != 1 ||
      EVP_EncryptFinal_ex(cipher.get(), tag, &length) != 1 ||
      EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_GET_TAG, kTagBytes, tag) != 1) {
    return LibraryError();
  }
  return absl::StrCat(kPrefix, absl::Base64Escape(out));
}

absl::StatusOr<std::string> SecretBox::Open(std::string_view sealed, std::string_view context) const {
  std::string bytes;
  if (!IsSealed(sealed) || !absl::Base64Unescape(sealed.substr(kPrefix.size()), &bytes) ||
      bytes.size() < kNonceBytes + kTagBytes) {
    return CannotOpen();
  }
  const size_t size = bytes.size() - kNonceBytes - kTagBytes;
  unsigned char* const nonce = Bytes(bytes);
  std::string out(size, '\0');
  const ContextPtr cipher(EVP_CIPHER_CTX_new());
  int length = 0;
  if (cipher == nullptr || EVP_DecryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, Bytes(key_), nonce) != 1 ||
      EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_SET_TAG, kTagBytes, nonce + kNonceBytes + size) != 1) {
    return LibraryError();
  }
  if (EVP_DecryptUpdate(cipher.get(), nullptr, &length, Bytes(context), static_cast<int>(context.size())) != 1 ||
      EVP_DecryptUpdate(cipher.get(), Bytes(out), &length, nonce + kNonceBytes, static_cast<int>(size)) != 1 ||
      EVP_DecryptFinal_ex(cipher.get(), nonce, &length) != 1) {
    return CannotOpen();
  }
  return out;
}

}  // namespace wallaby
