// The functions that keep their state where the caller wants it, as those of EVP allocate for every value.
#define OPENSSL_API_COMPAT 0x10100000L
#include "mapping/keyed_hash.h"

#include <openssl/sha.h>

#include <array>

namespace wallaby {

struct KeyedHash::States {
  SHA256_CTX inner;
  SHA256_CTX outer;
};

KeyedHash::KeyedHash(std::string_view key) : states_(std::make_unique<States>()) {
  std::array<unsigned char, SHA256_CBLOCK> block{};
  if (key.size() > block.size()) {
    SHA256(reinterpret_cast<const unsigned char*>(key.data()), key.size(), block.data());
  } else {
    key.copy(reinterpret_cast<char*>(block.data()), key.size());
  }
  for (unsigned char& byte : block) byte ^= 0x36;
  SHA256_Init(&states_->inner);
  SHA256_Update(&states_->inner, block.data(), block.size());
  for (unsigned char& byte : block) byte ^= 0x36 ^ 0x5c;
  SHA256_Init(&states_->outer);
  SHA256_Update(&states_->outer, block.data(), block.size());
}

KeyedHash::~KeyedHash() = default;

void KeyedHash::AppendHex(std::string_view value, std::string* out) const {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest;
  SHA256_CTX state = states_->inner;
  SHA256_Update(&state, value.data(), value.size());
  SHA256_Final(digest.data(), &state);
  state = states_->outer;
  SHA256_Update(&state, digest.data(), digest.size());
  SHA256_Final(digest.data(), &state);
  static constexpr char kHex[] = "0123456789abcdef";
  std::array<char, kHexSize> hex;
  for (size_t i = 0; i < digest.size(); ++i) {
    hex[2 * i] = kHex[digest[i] >> 4];
    hex[2 * i + 1] = kHex[digest[i] & 15];
  }
  out->append(hex.data(), hex.size());
}

}  // namespace wallaby
