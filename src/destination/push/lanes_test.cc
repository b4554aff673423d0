#include "destination/push/lanes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"

namespace wallaby {
namespace {

class NoSender final : public PushSender {
 public:
  Answer Send(const PushRequest&) override { return {}; }
};
std::unique_ptr<PushSender> NewSender() {
  return std::make_unique<NoSender>();
}

QueuedRequest Request(int number, std::string payload = "") {
  QueuedRequest queued;
  queued.request.key = absl::StrCat(number);
  queued.request.payload = std::move(payload);
  return queued;
}

TEST(Lanes, KeepTheOrderOfEachHash) {
  std::mutex mutex;
  std::map<int, std::vector<int>> seen;  // by hash
  Lanes lanes(4, 1 << 20, &NewSender, [&](PushSender&, const QueuedRequest& queued, const Event&) {
    const int number = std::stoi(queued.request.key);
    std::lock_guard lock(mutex);
    seen[number % 7].push_back(number);
    return absl::OkStatus();
  });
  for (int i = 0; i < 2000; ++i) ASSERT_TRUE(lanes.Push(static_cast<uint64_t>(i % 7), Request(i)).ok());
  ASSERT_TRUE(lanes.Drain().ok());
  size_t all = 0;
  for (const auto& [hash, numbers] : seen) {
    EXPECT_TRUE(std::is_sorted(numbers.begin(), numbers.end())) << hash;
    all += numbers.size();
  }
  EXPECT_EQ(all, 2000u);
}

TEST(Lanes, RunSideBySide) {
  absl::Notification other;
  Lanes lanes(2, 1 << 20, &NewSender, [&](PushSender&, const QueuedRequest& queued, const Event&) {
    if (queued.request.key == "0") {
      other.WaitForNotification();
    } else {
      other.Notify();
    }
    return absl::OkStatus();
  });
  ASSERT_TRUE(lanes.Push(0, Request(0)).ok());
  ASSERT_TRUE(lanes.Push(1, Request(1)).ok());
  EXPECT_TRUE(lanes.Drain().ok());
}

TEST(Lanes, TheFirstErrorEndsAll) {
  std::atomic<int> sent = 0;
  Lanes lanes(3, 1 << 20, &NewSender, [&](PushSender&, const QueuedRequest& queued, const Event& end) {
    ++sent;
    if (queued.request.key == "2") return absl::UnavailableError("gone");
    // As between two tries.
    EXPECT_TRUE(end.Wait(absl::Minutes(5)));
    return absl::CancelledError("called off");
  });
  absl::Status status;
  for (int i = 0; i < 100 && status.ok(); ++i) status = lanes.Push(static_cast<uint64_t>(i), Request(i));
  EXPECT_EQ(lanes.Drain().message(), "gone");
  EXPECT_EQ(lanes.Push(0, Request(0)).message(), "gone");
  EXPECT_LE(sent, 3);
}

TEST(Lanes, WaitForRoom) {
  absl::Notification go;
  std::atomic<int> sent = 0;
  Lanes lanes(1, 4096, &NewSender, [&](PushSender&, const QueuedRequest&, const Event&) {
    go.WaitForNotification();
    ++sent;
    return absl::OkStatus();
  });
  std::atomic<int> pushed = 0;
  std::thread pusher([&] {
    for (int i = 0; i < 10; ++i) {
      EXPECT_TRUE(lanes.Push(0, Request(i, std::string(3000, 'x'))).ok());
      ++pushed;
    }
  });
  while (pushed < 2) std::this_thread::yield();
  // One is under way, one waits; a third finds no room.
  EXPECT_LE(pushed, 2);
  go.Notify();
  pusher.join();
  EXPECT_TRUE(lanes.Drain().ok());
  EXPECT_EQ(sent, 10);
}

TEST(Lanes, EndWithWorkLeft) {
  absl::Notification entered;
  Lanes lanes(1, 1 << 20, &NewSender, [&](PushSender&, const QueuedRequest&, const Event& end) {
    if (!entered.HasBeenNotified()) entered.Notify();
    end.Wait(absl::Minutes(5));
    return absl::CancelledError("");
  });
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(lanes.Push(0, Request(i)).ok());
  entered.WaitForNotification();
}

}  // namespace
}  // namespace wallaby
