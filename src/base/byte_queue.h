// ByteQueue: hands items from producers to one consumer, bounded by the bytes they stand for.
#ifndef WALLABY_BASE_BYTE_QUEUE_H_
#define WALLABY_BASE_BYTE_QUEUE_H_

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>

#include "absl/time/time.h"
#include "base/event.h"

namespace wallaby {

// Safe from any thread. An item larger than the bound is let in when the queue is empty.
template <typename T>
class ByteQueue {
 public:
  // `space`, when given, is set each time the consumer takes an item; it must outlive the queue.
  explicit ByteQueue(size_t bound, Event* space = nullptr) : bound_(bound), space_(space) {}

  // False when there is no room (the item is left as it was) or the queue is closed.
  bool TryPush(T& item, size_t bytes) {
    std::lock_guard lock(mutex_);
    if (closed_ || !HasRoom(bytes)) return false;
    PushLocked(std::move(item), bytes);
    return true;
  }

  // Waits for room. False when the queue was closed.
  bool Push(T item, size_t bytes) {
    std::unique_lock lock(mutex_);
    room_.wait(lock, [&] { return closed_ || HasRoom(bytes); });
    if (closed_) return false;
    PushLocked(std::move(item), bytes);
    return true;
  }

  // Waits up to `timeout` for an item. Nothing when there was none, or the queue is closed and empty.
  std::optional<T> Pop(absl::Duration timeout) {
    std::optional<T> item;
    {
      std::unique_lock lock(mutex_);
      arrived_.wait_for(lock, absl::ToChronoNanoseconds(timeout), [&] { return closed_ || !items_.empty(); });
      if (items_.empty()) return std::nullopt;
      item = std::move(items_.front().first);
      bytes_ -= items_.front().second;
      items_.pop_front();
      room_.notify_all();
    }
    if (space_ != nullptr) space_->Set();
    return item;
  }

  // No more pushes; the consumer gets what is left. `discard` drops that too.
  void Close(bool discard = false) {
    std::lock_guard lock(mutex_);
    closed_ = true;
    if (discard) {
      items_.clear();
      bytes_ = 0;
    }
    room_.notify_all();
    arrived_.notify_all();
  }

  bool closed() const {
    std::lock_guard lock(mutex_);
    return closed_;
  }
  bool empty() const {
    std::lock_guard lock(mutex_);
    return items_.empty();
  }
  size_t bytes() const {
    std::lock_guard lock(mutex_);
    return bytes_;
  }
  size_t bound() const { return bound_; }

 private:
  bool HasRoom(size_t bytes) const { return items_.empty() || bytes_ + bytes <= bound_; }
  void PushLocked(T item, size_t bytes) {
    items_.emplace_back(std::move(item), bytes);
    bytes_ += bytes;
    arrived_.notify_one();
  }

  const size_t bound_;
  Event* const space_;
  mutable std::mutex mutex_;
  std::condition_variable room_;
  std::condition_variable arrived_;
  std::deque<std::pair<T, size_t>> items_;
  size_t bytes_ = 0;
  bool closed_ = false;
};

}  // namespace wallaby

#endif  // WALLABY_BASE_BYTE_QUEUE_H_
