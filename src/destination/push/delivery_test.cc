#include "destination/push/delivery.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/retry_after.h"

namespace wallaby {
namespace {

using testing::HasSubstr;

// Answers what it was told to, the last answer for ever.
class Scripted final : public PushSender {
 public:
  explicit Scripted(std::vector<Answer> answers) : answers_(std::move(answers)) {}
  Answer Send(const PushRequest& request) override {
    keys_.push_back(request.key);
    return answers_[std::min(keys_.size() - 1, answers_.size() - 1)];
  }
  const std::vector<std::string>& keys() const { return keys_; }

 private:
  std::vector<Answer> answers_;
  std::vector<std::string> keys_;
};

class Letters final : public DeadLetterSink {
 public:
  absl::Status Keep(const DeadLetter& letter) override {
    kept.push_back(letter);
    return absl::OkStatus();
  }
  std::vector<DeadLetter> kept;
};

constexpr auto kTaken = Answer::Kind::kTaken, kRetry = Answer::Kind::kRetry, kRejected = Answer::Kind::kRejected,
               kRefused = Answer::Kind::kRefused;

PushOptions Options() {
  PushOptions options;
  options.max_retries = 3;
  options.backoff_base = options.backoff_max = absl::Milliseconds(1);
  return options;
}

PushRequest Request() {
  PushRequest request;
  request.key = "k";
  request.schema = "shop";
  request.table = "orders";
  request.operation = "update";
  request.first = request.last = {Lsn{0x16B3748}, 4};
  return request;
}

class DeliveryTest : public testing::Test {
 protected:
  absl::Status Deliver(Scripted& sender, const PushOptions& options = Options()) {
    return Delivery(options, "hook", &letters_).Deliver(sender, Request(), end_);
  }
  Letters letters_;
  Event end_;
};

TEST_F(DeliveryTest, TriesUntilItIsTaken) {
  Scripted sender({{kRetry, "busy", {}}, {kRetry, "busy", {}}, {kTaken, "", {}}});
  EXPECT_TRUE(Deliver(sender).ok());
  EXPECT_EQ(sender.keys(), (std::vector<std::string>{"k", "k", "k"}));
}

TEST_F(DeliveryTest, ExhaustedTriesAreAnErrorThatPasses) {
  Scripted sender({{kRetry, "h answered 503: busy", {}}});
  const absl::Status status = Deliver(sender);
  EXPECT_TRUE(absl::IsUnavailable(status));
  EXPECT_EQ(sender.keys().size(), 4u);
  EXPECT_EQ(status.message(), "table shop.orders, position 0/16B3748:4 (update): h answered 503: busy (after 4 tries)");
  EXPECT_TRUE(letters_.kept.empty());
}

TEST_F(DeliveryTest, ExhaustedTriesBecomeADeadLetterWhereAsked) {
  PushOptions options = Options();
  options.keep_exhausted = true;
  Scripted sender({{kRetry, "busy", {}}});
  EXPECT_TRUE(Deliver(sender, options).ok());
  ASSERT_EQ(letters_.kept.size(), 1u);
  EXPECT_EQ(letters_.kept[0].destination, "hook");
  EXPECT_EQ(letters_.kept[0].request.key, "k");
  EXPECT_THAT(letters_.kept[0].reason, HasSubstr("busy (after 4 tries)"));
}

TEST_F(DeliveryTest, RejectedFailsTheFlowOrBecomesADeadLetter) {
  Scripted sender({{kRejected, "h answered 422: no", {}}});
  const absl::Status status = Deliver(sender);
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("set on_reject to dead_letter"));
  EXPECT_EQ(sender.keys().size(), 1u);

  PushOptions options = Options();
  options.keep_rejected = true;
  EXPECT_TRUE(Deliver(sender, options).ok());
  EXPECT_EQ(letters_.kept.size(), 1u);
  EXPECT_TRUE(absl::IsFailedPrecondition(Delivery(options, "hook", nullptr).Deliver(sender, Request(), end_)));
}

TEST_F(DeliveryTest, RefusedIsNeverADeadLetter) {
  PushOptions options = Options();
  options.keep_rejected = options.keep_exhausted = true;
  Scripted sender({{kRefused, "h answered 410: gone", {}}});
  EXPECT_TRUE(absl::IsFailedPrecondition(Deliver(sender, options)));
  EXPECT_TRUE(letters_.kept.empty());
}

TEST_F(DeliveryTest, WaitsAsLongAsTheReceiverAsksWithinItsBound) {
  PushOptions options = Options();
  options.retry_after_max = absl::Milliseconds(50);
  Scripted sender({{kRetry, "busy", absl::Milliseconds(40)}, {kRetry, "busy", absl::Hours(1)}, {kTaken, "", {}}});
  const absl::Duration began = Clock::Real()->Monotonic();
  EXPECT_TRUE(Deliver(sender, options).ok());
  EXPECT_GE(Clock::Real()->Monotonic() - began, absl::Milliseconds(89));
}

TEST_F(DeliveryTest, TheLastRefusalsWaitGoesWithTheError) {
  PushOptions options = Options();
  options.max_retries = 1;
  options.retry_after_max = absl::Milliseconds(30);
  Scripted sender({{kRetry, "busy", {}}, {kRetry, "busy", absl::Milliseconds(20)}});
  EXPECT_EQ(RetryAfterOf(Deliver(sender, options)), absl::Milliseconds(20));
  Scripted greedy({{kRetry, "busy", absl::Hours(1)}});
  EXPECT_EQ(RetryAfterOf(Deliver(greedy, options)), absl::Milliseconds(30));
  Scripted silent({{kRetry, "busy", {}}});
  EXPECT_EQ(RetryAfterOf(Deliver(silent, options)), absl::ZeroDuration());
}

TEST_F(DeliveryTest, IsCutShort) {
  PushOptions options = Options();
  options.keep_rejected = options.keep_exhausted = true;
  options.max_retries = 0;
  Event cut_short;
  const Delivery delivery(options, "hook", &letters_, &cut_short);
  Scripted taken({{kTaken, "", {}}}), called_off({{kRetry, "called off", {}}});
  cut_short.Set();
  EXPECT_TRUE(delivery.Deliver(taken, Request(), end_).ok());
  EXPECT_TRUE(absl::IsCancelled(delivery.Deliver(called_off, Request(), end_)));
  EXPECT_TRUE(letters_.kept.empty());
  // Also while it waits between two tries.
  cut_short.Clear();
  options.max_retries = 5;
  options.backoff_base = options.backoff_max = absl::Hours(1);
  Scripted busy({{kRetry, "busy", {}}});
  std::thread later([&] { cut_short.Set(); });
  EXPECT_TRUE(absl::IsCancelled(Delivery(options, "hook", &letters_, &cut_short).Deliver(busy, Request(), end_)));
  later.join();
}

TEST_F(DeliveryTest, EndsBetweenTries) {
  end_.Set();
  PushOptions options = Options();
  options.backoff_base = options.backoff_max = absl::Hours(1);
  Scripted sender({{kRetry, "busy", {}}});
  EXPECT_TRUE(absl::IsCancelled(Deliver(sender, options)));
}

TEST_F(DeliveryTest, ResendKeepsNothing) {
  PushOptions options = Options();
  options.keep_rejected = options.keep_exhausted = true;
  Scripted sender({{kRejected, "no", {}}});
  EXPECT_TRUE(absl::IsInvalidArgument(Delivery(options, "hook", &letters_).Resend(sender, Request(), end_)));
  EXPECT_TRUE(letters_.kept.empty());
}

TEST(Excerpt, IsOneLineOfPrintableText) {
  EXPECT_EQ(Excerpt("  a\nb\t\x1b[31m\xff "), "a b ?[31m?");
  EXPECT_EQ(Excerpt(std::string(400, 'x')), std::string(300, 'x') + "...");
}

}  // namespace
}  // namespace wallaby
