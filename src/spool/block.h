// What a segment is made of: blocks, each a header and messages. Numbers are little-endian.
//
//   header, 64 bytes
//      0   4  magic "WSB1"
//      4   4  flags: 1 ends between transactions; 2 relations in force where the segment begins; 4 encrypted
//      8   4  bytes of the payload, as it stands in the file
//     12  12  nonce; zero where it is not encrypted
//     24   8  position: end LSN of the last whole transaction up to here, or a later one up to which nothing more ends
//     32   8  commit LSN of the last whole transaction; 0: none known
//     40   8  position that was durable when this block was written
//     48   8  XXH3-64 of the payload, as it stands in the file
//     56   8  XXH3-64 of bytes 0 to 55, seeded with the segment's start LSN + the block's offset in the file
//   payload: messages, each 4 bytes of length and the bytes of pgoutput
//
// Encrypted, the payload is the ciphertext of these messages and the tag, 16 bytes (block_cipher.h).
//
// A segment begins with one block or more of flags 1 and 2: the begin message of the last transaction before it, where
// one is known, and the newest relation message of each relation, outside of any transaction. Behind them a block
// without flag 1 holds a piece of one transaction and nothing else, so what is behind the last block with flag 1 is one
// open transaction, which may be cut off and written over.
//
// The offset in the header's checksum makes a header valid in one place only: bytes from before a cut are never taken
// for blocks. No I/O, no state.
#ifndef WALLABY_SPOOL_BLOCK_H_
#define WALLABY_SPOOL_BLOCK_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/lsn.h"

namespace wallaby::spool {

inline constexpr size_t kHeaderBytes = 64;
inline constexpr size_t kNonceBytes = 12;
inline constexpr size_t kLengthBytes = 4;  // before each message
inline constexpr std::string_view kMagic = "WSB1";
// Gathered in memory before a block is written. One message may be larger: its block has it alone.
inline constexpr size_t kBlockBytes = 256 << 10;
// PostgreSQL's messages are below 1 GiB: a length far above is not believed.
inline constexpr uint32_t kMaxPayloadBytes = (1u << 30) + (1u << 16);

enum BlockFlag : uint32_t {
  kBoundary = 1,
  kPreamble = 2,
  kEncrypted = 4,
};

struct BlockHeader {
  uint32_t flags = 0;
  uint32_t payload_bytes = 0;
  std::array<char, kNonceBytes> nonce{};
  Lsn position;
  Lsn last_commit;
  Lsn durable;
  uint64_t payload_checksum = 0;

  bool boundary() const { return (flags & kBoundary) != 0; }
  bool preamble() const { return (flags & kPreamble) != 0; }
  bool encrypted() const { return (flags & kEncrypted) != 0; }
  uint64_t end(uint64_t offset) const { return offset + kHeaderBytes + payload_bytes; }
};

// Writes kHeaderBytes for a block at `offset` of the segment that starts at `segment`.
void EncodeHeader(const BlockHeader& header, Lsn segment, uint64_t offset, char* out);
// Reads kHeaderBytes; false when they are not the header of a block in this place.
bool DecodeHeader(const char* bytes, Lsn segment, uint64_t offset, BlockHeader* out);
uint64_t Checksum(std::string_view bytes);

// Writes a message's length.
void EncodeLength(uint32_t length, char* out);
// Takes the next message from the front; false when there is none: then `rest` is empty, or not made of messages.
bool TakeMessage(std::string_view* rest, std::string_view* message);

}  // namespace wallaby::spool

#endif  // WALLABY_SPOOL_BLOCK_H_
