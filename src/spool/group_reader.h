// GroupReader: the blocks of a segment in groups, each the whole transactions up to the next block that ends between
// transactions. What is behind the last such block may be written over at any time and is never handed out.
#ifndef WALLABY_SPOOL_GROUP_READER_H_
#define WALLABY_SPOOL_GROUP_READER_H_

#include <cstdint>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "spool/segment.h"

namespace wallaby::spool {

class GroupReader {
 public:
  explicit GroupReader(SegmentReader segment) : segment_(std::move(segment)), position_(segment_.start()) {}

  // Looks ahead for the next group; false when it is not whole, or not there. At the end of a group only.
  absl::StatusOr<bool> FindGroup();
  // The next block of the group that FindGroup() found, into payload(); false at its end.
  absl::StatusOr<bool> NextBlock();

  std::string_view payload() const { return segment_.payload(); }  // valid until the next call
  bool preamble() const { return block_.preamble(); }              // of the block
  uint64_t end() const { return end_; }                            // of the last group found
  Lsn position() const { return position_; }                       // at the end of the last group found
  uint64_t block_offset() const { return block_offset_; }          // where it begins
  uint64_t next_offset() const { return ahead_; }                  // where FindGroup() found none
  // Bytes behind the last group that are no group.
  absl::StatusOr<bool> HasRest() const;
  const SegmentReader& segment() const { return segment_; }

 private:
  absl::StatusOr<bool> IsStillThere() const;

  SegmentReader segment_;
  Lsn position_;
  BlockHeader block_;
  uint64_t block_offset_ = 0;
  uint64_t offset_ = 0;  // the next block to hand out
  uint64_t end_ = 0;     // of the group

  // How far it was looked ahead beyond end_: over blocks of one open transaction.
  uint64_t ahead_ = 0;
  uint64_t last_ahead_ = 0;     // where the last of these begins
  uint64_t last_checksum_ = 0;  // of its payload
};

}  // namespace wallaby::spool

#endif  // WALLABY_SPOOL_GROUP_READER_H_
