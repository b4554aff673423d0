#include "spool/block.h"

#include <bit>
#include <cstring>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace wallaby::spool {
namespace {

static_assert(std::endian::native == std::endian::little, "the format is little-endian; add the conversion here");

template <typename T>
void Put(T value, char* out) {
  std::memcpy(out, &value, sizeof(value));
}
template <typename T>
T Get(const char* from) {
  T value;
  std::memcpy(&value, from, sizeof(value));
  return value;
}

constexpr size_t kChecked = kHeaderBytes - sizeof(uint64_t);

uint64_t HeaderChecksum(const char* bytes, Lsn segment, uint64_t offset) {
  return XXH3_64bits_withSeed(bytes, kChecked, segment.value + offset);
}

}  // namespace

void EncodeHeader(const BlockHeader& header, Lsn segment, uint64_t offset, char* out) {
  std::memcpy(out, kMagic.data(), kMagic.size());
  Put(header.flags, out + 4);
  Put(header.payload_bytes, out + 8);
  std::memcpy(out + 12, header.nonce.data(), kNonceBytes);
  Put(header.position.value, out + 24);
  Put(header.last_commit.value, out + 32);
  Put(header.durable.value, out + 40);
  Put(header.payload_checksum, out + 48);
  Put(HeaderChecksum(out, segment, offset), out + kChecked);
}

bool DecodeHeader(const char* bytes, Lsn segment, uint64_t offset, BlockHeader* out) {
  if (std::memcmp(bytes, kMagic.data(), kMagic.size()) != 0 ||
      Get<uint64_t>(bytes + kChecked) != HeaderChecksum(bytes, segment, offset)) {
    return false;
  }
  out->flags = Get<uint32_t>(bytes + 4);
  out->payload_bytes = Get<uint32_t>(bytes + 8);
  std::memcpy(out->nonce.data(), bytes + 12, kNonceBytes);
  out->position = Lsn{Get<uint64_t>(bytes + 24)};
  out->last_commit = Lsn{Get<uint64_t>(bytes + 32)};
  out->durable = Lsn{Get<uint64_t>(bytes + 40)};
  out->payload_checksum = Get<uint64_t>(bytes + 48);
  return out->payload_bytes <= kMaxPayloadBytes;
}

uint64_t Checksum(std::string_view bytes) {
  return XXH3_64bits(bytes.data(), bytes.size());
}

void EncodeLength(uint32_t length, char* out) {
  Put(length, out);
}

bool TakeMessage(std::string_view* rest, std::string_view* message) {
  if (rest->size() < kLengthBytes) return false;
  const uint32_t length = Get<uint32_t>(rest->data());
  if (length == 0 || length > rest->size() - kLengthBytes) return false;
  *message = rest->substr(kLengthBytes, length);
  rest->remove_prefix(kLengthBytes + length);
  return true;
}

}  // namespace wallaby::spool
