// BlockBuffer: the messages of the next blocks, with room for a header in front, so that a block is one write.
#ifndef WALLABY_SPOOL_BLOCK_BUFFER_H_
#define WALLABY_SPOOL_BLOCK_BUFFER_H_

#include <algorithm>
#include <cstring>
#include <memory>
#include <string_view>

#include "spool/block.h"

namespace wallaby::spool {

class BlockBuffer {
 public:
  // Of the messages, with their lengths.
  size_t size() const { return size_; }
  std::string_view payload(size_t bytes) const { return {memory_.get() + kHeaderBytes, bytes}; }
  char* header() { return memory_.get(); }
  static size_t Needed(std::string_view message) { return kLengthBytes + message.size(); }

  void Add(std::string_view message) {
    Reserve(size_ + Needed(message));
    char* const end = memory_.get() + kHeaderBytes + size_;
    EncodeLength(static_cast<uint32_t>(message.size()), end);
    std::memcpy(end + kLengthBytes, message.data(), message.size());
    size_ += Needed(message);
  }
  void RemoveFront(size_t bytes) {
    size_ -= bytes;
    if (capacity_ > kBlockBytes && size_ <= kBlockBytes) {  // one message was large: others are not
      std::unique_ptr<char[]> smaller = std::make_unique_for_overwrite<char[]>(kHeaderBytes + kBlockBytes);
      std::memcpy(smaller.get() + kHeaderBytes, memory_.get() + kHeaderBytes + bytes, size_);
      memory_ = std::move(smaller);
      capacity_ = kBlockBytes;
      return;
    }
    std::memmove(memory_.get() + kHeaderBytes, memory_.get() + kHeaderBytes + bytes, size_);
  }
  void Cut(size_t size) { size_ = size; }

 private:
  void Reserve(size_t size) {
    if (size <= capacity_) return;
    std::unique_ptr<char[]> larger = std::make_unique_for_overwrite<char[]>(kHeaderBytes + size);
    std::memcpy(larger.get() + kHeaderBytes, memory_.get() + kHeaderBytes, size_);
    memory_ = std::move(larger);
    capacity_ = size;
  }

  size_t capacity_ = kBlockBytes;
  std::unique_ptr<char[]> memory_ = std::make_unique_for_overwrite<char[]>(kHeaderBytes + kBlockBytes);
  size_t size_ = 0;
};

}  // namespace wallaby::spool

#endif  // WALLABY_SPOOL_BLOCK_BUFFER_H_
