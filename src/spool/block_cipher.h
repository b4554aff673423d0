// BlockCipher: the encryption of a segment's blocks, so that who has the disk and not the key can neither read rows nor
// change anything unnoticed.
//
// AES-256-GCM with a random nonce for each block and a key of its own for each segment: HMAC-SHA256 with the spool's
// key over "wallaby spool segment" and the start LSN (8 bytes, little-endian). A segment has far fewer than 2^32
// blocks, the limit for random nonces under one key. The first 48 bytes of the header and the block's offset (8 bytes,
// little-endian) are authenticated with it. Positions, sizes and times stay readable. Source: NIST SP 800-38D,
// section 8.3; OpenSSL documentation, EVP_EncryptInit, HMAC.
#ifndef WALLABY_SPOOL_BLOCK_CIPHER_H_
#define WALLABY_SPOOL_BLOCK_CIPHER_H_

#include <openssl/evp.h>

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "base/freer.h"
#include "base/lsn.h"
#include "spool/block.h"

namespace wallaby::spool {

inline constexpr size_t kTagBytes = 16;

// Tells keys apart and tells nothing of the key; 16 hexadecimal digits.
std::string KeyFingerprint(std::string_view key);

class BlockCipher {
 public:
  // `key` has 32 bytes.
  BlockCipher(std::string_view key, Lsn segment);

  // Sets the header's nonce and writes payload.size() + kTagBytes to `out`. The header must be complete but for the
  // payload's checksum.
  absl::Status Seal(BlockHeader* header, uint64_t offset, std::string_view payload, char* out);
  // Writes sealed.size() - kTagBytes to `out`. DATA_LOSS when it is not what Seal() made for this header in this place.
  absl::Status Open(const BlockHeader& header, uint64_t offset, std::string_view sealed, char* out);

 private:
  std::string key_;
  std::unique_ptr<EVP_CIPHER_CTX, Freer<EVP_CIPHER_CTX_free>> context_;
};

}  // namespace wallaby::spool

#endif  // WALLABY_SPOOL_BLOCK_CIPHER_H_
