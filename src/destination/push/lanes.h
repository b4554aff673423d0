// Lanes: requests side by side, in order within a lane. A lane is a thread with a sender of its own and a bounded
// queue; who puts everything of a row's key into one lane keeps its order.
#ifndef WALLABY_DESTINATION_PUSH_LANES_H_
#define WALLABY_DESTINATION_PUSH_LANES_H_

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "base/byte_queue.h"
#include "base/event.h"
#include "destination/push/acknowledged.h"
#include "destination/push/push_sender.h"

namespace wallaby {

// A request on its way, with the records in it that are to be remembered once it is answered.
struct QueuedRequest {
  PushRequest request;
  std::vector<RecordId> records;
};

// Push() and Drain() are for one thread.
class Lanes {
 public:
  // On a lane's thread: the request's whole way. `end` is set when the lanes are to end.
  using Deliver = std::function<absl::Status(PushSender&, const QueuedRequest&, const Event& end)>;

  // `queue_bytes` bounds what waits in all lanes together.
  Lanes(int count, int64_t queue_bytes, const MakeSender& make_sender, Deliver deliver);
  // What waits is dropped; tries that are under way end first.
  ~Lanes();
  Lanes(const Lanes&) = delete;
  Lanes& operator=(const Lanes&) = delete;

  // Waits for room in the lane that `hash` leads to. Fails with the first error of any lane; nothing is sent any more
  // then.
  absl::Status Push(uint64_t hash, QueuedRequest request);
  // Waits until everything was answered, or one has failed.
  absl::Status Drain();

 private:
  struct Lane {
    Lane(size_t bytes, std::unique_ptr<PushSender> with) : queue(bytes), sender(std::move(with)) {}
    ByteQueue<QueuedRequest> queue;
    std::unique_ptr<PushSender> sender;
    std::thread thread;
  };

  void Run(Lane* lane);
  void Fail(const absl::Status& status);
  absl::Status status();

  const Deliver deliver_;
  Event end_;
  std::mutex mutex_;  // guards the next three
  std::condition_variable changed_;
  int64_t pending_ = 0;
  absl::Status status_;
  std::vector<std::unique_ptr<Lane>> lanes_;
};

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_PUSH_LANES_H_
