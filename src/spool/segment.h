// Segments: the files of a spool that hold blocks (block.h). START_LSN.segment begins behind everything that ends at or
// before START_LSN, and where the segment before it ends: the position of that one's last block is START_LSN. So a
// missing segment shows. All but the last are durable and never change.
//
// A segment is made under another name and gets its own when its preamble is durable: one that is there has it whole.
#ifndef WALLABY_SPOOL_SEGMENT_H_
#define WALLABY_SPOOL_SEGMENT_H_

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/lsn.h"
#include "spool/block.h"
#include "spool/block_buffer.h"
#include "spool/block_cipher.h"
#include "spool/file.h"

namespace wallaby::spool {

std::string SegmentPath(const std::string& folder, Lsn start);
// In order. NOT_FOUND when there is no such folder.
absl::StatusOr<std::vector<Lsn>> ListSegments(const std::string& folder);

// Newest relation message of each relation, by its oid.
using Relations = std::map<uint32_t, std::string>;
// The oid in a relation, insert, update or delete message; 0 when it is too short.
inline uint32_t RelationOid(std::string_view message) {
  if (message.size() < 5) return 0;
  uint32_t oid = 0;
  for (size_t i = 1; i < 5; ++i) oid = oid << 8 | static_cast<unsigned char>(message[i]);
  return oid;
}

class SegmentReader {
 public:
  // An empty key: not encrypted. NOT_FOUND when there is none.
  static absl::StatusOr<SegmentReader> Open(const std::string& folder, Lsn start, std::string_view key);

  // False: there is no (whole) header at `offset`.
  absl::StatusOr<bool> ReadHeader(uint64_t offset, BlockHeader* header) const;
  // Reads and checks the block with this header into payload(). False: it is not whole.
  absl::StatusOr<bool> ReadPayload(uint64_t offset, const BlockHeader& header);
  std::string_view payload() const { return payload_; }

  // DATA_LOSS with the name of the file.
  absl::Status Damaged(uint64_t offset, std::string_view why) const;

  Lsn start() const { return start_; }
  const File& file() const { return file_; }

 private:
  SegmentReader(File file, Lsn start, std::string_view key);

  File file_;
  Lsn start_;
  std::optional<BlockCipher> cipher_;
  std::unique_ptr<char[]> memory_;
  size_t capacity_ = 0;
  std::string_view payload_;  // in memory_
};

// The segment that is written to.
class SegmentWriter {
 public:
  struct Place {
    uint32_t flags = 0;
    Lsn position;
    Lsn last_commit;
    Lsn durable;
  };

  // Makes one with its preamble; durable on return. `last_begin`: the begin message of the last transaction before it;
  // empty: none is known. Failpoint spool.segment.
  static absl::StatusOr<SegmentWriter> Make(const std::string& folder, Lsn start, Lsn last_commit, std::string_view key,
                                            std::string_view last_begin, const Relations& relations);
  // Goes on in one that is there, behind `end`.
  static absl::StatusOr<SegmentWriter> Open(const std::string& folder, Lsn start, std::string_view key, uint64_t end);

  // Writes the first bytes of the buffer as a block and takes them out of it. When it fails, nothing has changed but
  // bytes behind end(). Failpoint spool.write.
  absl::Status WriteBlock(const Place& place, BlockBuffer* buffer, size_t payload_bytes);
  // Takes back what is behind `end`.
  absl::Status Cut(uint64_t end);
  // Failpoint spool.sync.
  absl::Status Sync();
  // Writes the bytes from `from` once more: what a failed Sync() has marked as written is marked as not written.
  absl::Status WriteAgain(uint64_t from);

  Lsn start() const { return start_; }
  uint64_t end() const { return end_; }
  const std::string& path() const { return file_.path(); }

 private:
  SegmentWriter(File file, Lsn start, std::string_view key, uint64_t end);
  // The block in one piece.
  absl::StatusOr<std::string_view> Encode(const Place& place, BlockBuffer* buffer, size_t payload_bytes);

  File file_;
  Lsn start_;
  uint64_t end_;
  std::optional<BlockCipher> cipher_;
  std::string sealed_;  // an encrypted block
};

}  // namespace wallaby::spool

#endif  // WALLABY_SPOOL_SEGMENT_H_
