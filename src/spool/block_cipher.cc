#include "spool/block_cipher.h"

#include <openssl/rand.h>

#include <array>
#include <cstring>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/hmac.h"

namespace wallaby::spool {
namespace {

constexpr size_t kKeyBytes = 32;
constexpr size_t kAuthenticated = 48;  // of the header: all but the checksums

unsigned char* Bytes(char* bytes) {
  return reinterpret_cast<unsigned char*>(bytes);
}
const unsigned char* Bytes(const char* bytes) {
  return reinterpret_cast<const unsigned char*>(bytes);
}

std::string LittleEndian(uint64_t value) {
  std::string out;
  for (int i = 0; i < 8; ++i) out.push_back(static_cast<char>(value >> (8 * i)));
  return out;
}

std::array<char, kAuthenticated + 8> Additional(const BlockHeader& header, uint64_t offset) {
  char encoded[kHeaderBytes];
  EncodeHeader(header, Lsn{}, 0, encoded);
  std::array<char, kAuthenticated + 8> out;
  std::memcpy(out.data(), encoded, kAuthenticated);
  std::memcpy(out.data() + kAuthenticated, LittleEndian(offset).data(), 8);
  return out;
}

absl::Status LibraryError() {
  return absl::InternalError("spool: encryption: the cryptographic library failed");
}

}  // namespace

std::string KeyFingerprint(std::string_view key) {
  return absl::BytesToHexString(HmacSha256(key, "wallaby spool key")).substr(0, 16);
}

BlockCipher::BlockCipher(std::string_view key, Lsn segment)
    : key_(HmacSha256(key, absl::StrCat("wallaby spool segment", LittleEndian(segment.value)))),
      context_(EVP_CIPHER_CTX_new()) {
  WALLABY_CHECK(key.size() == kKeyBytes, "the key of a spool has 32 bytes");
}

absl::Status BlockCipher::Seal(BlockHeader* header, uint64_t offset, std::string_view payload, char* out) {
  if (RAND_bytes(Bytes(header->nonce.data()), kNonceBytes) != 1) return LibraryError();
  const auto additional = Additional(*header, offset);
  int length = 0;
  if (context_ == nullptr ||
      EVP_EncryptInit_ex(context_.get(), EVP_aes_256_gcm(), nullptr, Bytes(key_.data()), Bytes(header->nonce.data())) !=
          1 ||
      EVP_EncryptUpdate(context_.get(), nullptr, &length, Bytes(additional.data()), additional.size()) != 1 ||
      EVP_EncryptUpdate(context_.get(), Bytes(out), &length, Bytes(payload.data()), static_cast<int>(payload.size())) !=
          1 ||
      EVP_EncryptFinal_ex(context_.get(), Bytes(out + payload.size()), &length) != 1 ||
      EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_GCM_GET_TAG, kTagBytes, out + payload.size()) != 1) {
    return LibraryError();
  }
  return absl::OkStatus();
}

absl::Status BlockCipher::Open(const BlockHeader& header, uint64_t offset, std::string_view sealed, char* out) {
  if (sealed.size() < kTagBytes) return absl::DataLossError("is too short to be encrypted");
  const size_t size = sealed.size() - kTagBytes;
  std::array<char, kTagBytes> tag;
  std::memcpy(tag.data(), sealed.data() + size, kTagBytes);
  const auto additional = Additional(header, offset);
  int length = 0;
  if (context_ == nullptr ||
      EVP_DecryptInit_ex(context_.get(), EVP_aes_256_gcm(), nullptr, Bytes(key_.data()), Bytes(header.nonce.data())) !=
          1 ||
      EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_GCM_SET_TAG, kTagBytes, tag.data()) != 1) {
    return LibraryError();
  }
  if (EVP_DecryptUpdate(context_.get(), nullptr, &length, Bytes(additional.data()), additional.size()) != 1 ||
      EVP_DecryptUpdate(context_.get(), Bytes(out), &length, Bytes(sealed.data()), static_cast<int>(size)) != 1 ||
      EVP_DecryptFinal_ex(context_.get(), Bytes(out + size), &length) != 1) {
    return absl::DataLossError("was changed by somebody without the key");
  }
  return absl::OkStatus();
}

}  // namespace wallaby::spool
