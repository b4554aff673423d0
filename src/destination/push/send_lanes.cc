#include "destination/push/send_lanes.h"

#include <optional>
#include <utility>

namespace wallaby {
namespace {

constexpr absl::Duration kLong = absl::Hours(1);

}  // namespace

SendLanes::SendLanes(int count, int64_t queue_bytes, const MakeSender& make_sender, Deliver deliver)
    : deliver_(std::move(deliver)) {
  for (int i = 0; i < count; ++i) {
    lanes_.push_back(std::make_unique<Lane>(static_cast<size_t>(queue_bytes / count), make_sender()));
  }
  for (const auto& lane : lanes_) lane->thread = std::thread([this, to = lane.get()] { Run(to); });
}

SendLanes::~SendLanes() {
  Fail(absl::CancelledError("the destination is closed"));
  for (const auto& lane : lanes_) lane->thread.join();
}

absl::Status SendLanes::Push(uint64_t hash, QueuedRequest request) {
  Lane& lane = *lanes_[hash % lanes_.size()];
  const size_t bytes =
      request.request.payload.size() + sizeof(QueuedRequest) + request.records.size() * sizeof(RecordId);
  {
    std::lock_guard lock(mutex_);
    ++pending_;
  }
  // The queue is closed by nobody but Fail(), which has told of the error before.
  lane.queue.Push(std::move(request), bytes);
  return status();
}

absl::Status SendLanes::Drain() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return pending_ == 0 || !status_.ok(); });
  return status_;
}

void SendLanes::Run(Lane* lane) {
  while (true) {
    std::optional<QueuedRequest> next = lane->queue.Pop(kLong);
    if (!next) {
      if (lane->queue.closed()) return;
      continue;
    }
    if (absl::Status status = deliver_(*lane->sender, *next, end_); !status.ok()) return Fail(status);
    std::lock_guard lock(mutex_);
    if (--pending_ == 0) changed_.notify_all();
  }
}

void SendLanes::Fail(const absl::Status& status) {
  {
    std::lock_guard lock(mutex_);
    if (status_.ok()) status_ = status;
    changed_.notify_all();
  }
  end_.Set();
  for (const auto& lane : lanes_) lane->queue.Close(/*discard=*/true);
}

absl::Status SendLanes::status() {
  std::lock_guard lock(mutex_);
  return status_;
}

}  // namespace wallaby
