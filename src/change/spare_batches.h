// SpareBatches: keeps the memory of large batches that are done with for the next ones. Under load, getting fresh
// memory from the system for each batch costs more than decoding into it. Safe from any thread.
#ifndef WALLABY_CHANGE_SPARE_BATCHES_H_
#define WALLABY_CHANGE_SPARE_BATCHES_H_

#include <memory>
#include <mutex>
#include <vector>

#include "change/change_batch.h"

namespace wallaby {

class SpareBatches {
 public:
  // Smaller ones are not worth keeping, nor is a large one's memory worth holding for a small one.
  static constexpr size_t kLarge = 1 << 20;
  // What is kept, at most.
  static constexpr size_t kMost = 2;

  // An empty batch, for about as much as `like` holds.
  std::unique_ptr<ChangeBatch> TakeLike(const ChangeBatch& like) {
    if (like.bytes() >= kLarge) {
      std::lock_guard lock(mutex_);
      if (!spare_.empty()) {
        std::unique_ptr<ChangeBatch> batch = std::move(spare_.back());
        spare_.pop_back();
        return batch;
      }
    }
    auto batch = std::make_unique<ChangeBatch>();
    batch->ReserveLike(like);  // growing by doubling would copy it all once more
    return batch;
  }

  void Give(std::unique_ptr<ChangeBatch> batch) {
    if (batch->bytes() < kLarge) return;
    batch->Clear();
    std::lock_guard lock(mutex_);
    if (spare_.size() < kMost) spare_.push_back(std::move(batch));
  }

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<ChangeBatch>> spare_;  // guarded by mutex_
};

}  // namespace wallaby

#endif  // WALLABY_CHANGE_SPARE_BATCHES_H_
