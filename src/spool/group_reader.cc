#include "spool/group_reader.h"

#include "base/status.h"

namespace wallaby::spool {

// The writer cuts an open transaction off and writes over it. When the last block that was seen is still what it was,
// the blocks that are there now lead to it.
absl::StatusOr<bool> GroupReader::IsStillThere() const {
  BlockHeader header;
  ASSIGN_OR_RETURN(const bool there, segment_.ReadHeader(last_ahead_, &header));
  return there && !header.boundary() && header.end(last_ahead_) == ahead_ && header.payload_checksum == last_checksum_;
}

absl::StatusOr<bool> GroupReader::FindGroup() {
  if (ahead_ > end_) {
    ASSIGN_OR_RETURN(const bool there, IsStillThere());
    if (!there) ahead_ = end_;
  }
  while (true) {
    BlockHeader header;
    ASSIGN_OR_RETURN(const bool there, segment_.ReadHeader(ahead_, &header));
    if (!there) return false;
    if (header.boundary()) {
      // The rest of the group was written before it.
      ASSIGN_OR_RETURN(const bool whole, segment_.ReadPayload(ahead_, header));
      if (!whole) return false;
      block_ = header;
      block_offset_ = ahead_;
      ahead_ = end_ = header.end(ahead_);
      position_ = header.position;
      return true;
    }
    last_ahead_ = ahead_;
    last_checksum_ = header.payload_checksum;
    ahead_ = header.end(ahead_);
  }
}

absl::StatusOr<bool> GroupReader::NextBlock() {
  if (offset_ == end_) return false;
  // A group of one block was read when it was found.
  if (block_offset_ == offset_ && block_.end(offset_) == end_ && block_.boundary()) {
    offset_ = end_;
    return true;
  }
  block_offset_ = offset_;
  ASSIGN_OR_RETURN(bool whole, segment_.ReadHeader(offset_, &block_));
  if (whole) {
    ASSIGN_OR_RETURN(whole, segment_.ReadPayload(offset_, block_));
  }
  if (!whole || block_.end(offset_) > end_) return segment_.Damaged(offset_, "is not as it was written");
  offset_ = block_.end(offset_);
  return true;
}

absl::StatusOr<bool> GroupReader::HasRest() const {
  ASSIGN_OR_RETURN(const uint64_t size, segment_.file().Size());
  return size > end_;
}

}  // namespace wallaby::spool
