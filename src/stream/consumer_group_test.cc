// Consumer groups against a real server: single cases, then many random ones against a model, then consumers at once.
#include "stream/consumer_group.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <thread>

#include "base/status.h"
#include "stream/stream_test_base.h"

namespace wallaby {
namespace {

class ConsumerGroupTest : public StreamTest {};

TEST_F(ConsumerGroupTest, EachGroupGetsEveryMessageInOrder) {
  AppendMessages(10);
  EXPECT_EQ(Pull("a", {.max_messages = 4}), Ids(1, 4));
  EXPECT_EQ(Pull("a", {.max_messages = 4}), Ids(5, 8));
  EXPECT_EQ(Pull("b"), Ids(1, 10));
  EXPECT_EQ(Pull("a"), Ids(9, 10));
  EXPECT_EQ(Pull("a"), Ids(1, 0));
  AppendMessages(1);
  EXPECT_EQ(Pull("a"), Ids(11, 11));
}

TEST_F(ConsumerGroupTest, AMessageHasAllThatWasStored) {
  AppendMessages(1);
  MessageRow seen;
  std::string key, payload;
  const auto pulled = Group("a").Pull({}, [&](const MessageRow& row) {
    seen = row;
    key = row.key;
    payload = row.payload;
    EXPECT_EQ(row.operation, "insert");
    EXPECT_EQ(row.space, "public");
    EXPECT_EQ(row.table, "t");
    EXPECT_EQ(row.wire_format, "json");
    return absl::OkStatus();
  });
  ASSERT_TRUE(pulled.ok()) << pulled.status();
  EXPECT_EQ(seen.lsn.ToString(), "0/1");
  EXPECT_EQ(key, "1");
  EXPECT_EQ(payload, "xxxxxxxxxx");
  EXPECT_LT(absl::AbsDuration(seen.created_at - absl::Now()), absl::Hours(1));
  ASSERT_TRUE(seen.committed_at.has_value());
}

TEST_F(ConsumerGroupTest, WhatIsAcknowledgedComesNoMore) {
  AppendMessages(10);
  Pull("a", {.max_messages = 6});
  EXPECT_EQ(Group("a").Ack({2, 5, 5, 1, 99, -1}).value(), 3);
  EXPECT_EQ(Group("a").Ack({2, 5}).value(), 0);
  EXPECT_EQ(Group("b").Ack({1}).value(), 0);  // there is no such group
  Pass(100);
  EXPECT_EQ(Pull("a"), (std::vector<Got>{{3, 2}, {4, 2}, {6, 2}, {7, 1}, {8, 1}, {9, 1}, {10, 1}}));
  // After its time, and before another had it.
  Pass(100);
  EXPECT_EQ(Group("a").Ack({3, 4, 6, 7, 8, 9, 10}).value(), 7);
  EXPECT_EQ(MustQuery(*sql_, "SELECT count(*) FROM wallaby.stream_claims"), "0");
}

TEST_F(ConsumerGroupTest, ADeadConsumersMessagesComeBackBeforeNewOnes) {
  AppendMessages(4);
  EXPECT_EQ(Pull("a", {.max_messages = 3, .visibility = absl::Seconds(60)}), Ids(1, 3));
  Pass(59 - 20);
  PullResult result;
  EXPECT_EQ(Pull("a"), Ids(4, 4));
  EXPECT_EQ(Pull("a", {}, &result), Ids(1, 0));
  EXPECT_GT(result.until_visible, absl::ZeroDuration());
  EXPECT_LE(result.until_visible, absl::Seconds(30));
  AppendMessages(1);
  Pass(60);
  EXPECT_EQ(Pull("a", {.max_messages = 2}), Ids(1, 2, 2));
  EXPECT_EQ(Pull("a", {}, &result), (std::vector<Got>{{3, 2}, {4, 2}, {5, 1}}));
  EXPECT_EQ(result.redelivered, 2);
  const auto groups = ListGroups(*sql_, tables_, kId).value();
  ASSERT_EQ(groups.size(), 1u);
  EXPECT_EQ(groups[0].in_flight, 5);
  EXPECT_EQ(groups[0].redelivered, 4);
}

TEST_F(ConsumerGroupTest, AnAnswerIsBoundInBytesAndNeverEmpty) {
  AppendMessages(3, 1000);
  AppendMessages(1, 100000);
  AppendMessages(2, 1000);
  PullResult result;
  EXPECT_EQ(Pull("a", {.max_bytes = 3000}, &result), Ids(1, 2));
  EXPECT_TRUE(result.more);
  EXPECT_EQ(Pull("a", {.max_bytes = 3000}), Ids(3, 3));
  EXPECT_EQ(Pull("a", {.max_bytes = 3000}), Ids(4, 4));  // larger than any answer
  EXPECT_EQ(Pull("a", {.max_bytes = 3000}, &result), Ids(5, 6));
  EXPECT_FALSE(result.more);
  Pass(100);
  EXPECT_EQ(Pull("a", {.max_bytes = 3000}), Ids(1, 2, 2));
  EXPECT_EQ(Pull("a", {.max_bytes = 3000}), Ids(3, 3, 2));
}

TEST_F(ConsumerGroupTest, SegmentsAreReadOneAfterTheOther) {
  for (int i = 0; i < 12; ++i) {
    AppendMessages(5);
    BeginSegment();
  }
  EXPECT_EQ(Pull("a", {.max_messages = 17}), Ids(1, 17));
  std::vector<Got> rest = Pull("a", {.max_messages = 1000});
  while (rest.size() < 43) {
    const std::vector<Got> more = Pull("a", {.max_messages = 1000});
    ASSERT_FALSE(more.empty());
    rest.insert(rest.end(), more.begin(), more.end());
  }
  EXPECT_EQ(rest, Ids(18, 60));
}

TEST_F(ConsumerGroupTest, GapsAreStoodOver) {
  AppendMessages(20);
  MustExecute(*sql_, "DELETE FROM wallaby.stream_1 WHERE id IN (1, 2, 7, 19, 20)");
  EXPECT_EQ(Pull("a", {.max_messages = 6}), (std::vector<Got>{{3, 1}, {4, 1}, {5, 1}, {6, 1}, {8, 1}, {9, 1}}));
  // What a consumer has in flight may go as well.
  MustExecute(*sql_, "DELETE FROM wallaby.stream_1 WHERE id < 8");
  Pass(100);
  EXPECT_EQ(Pull("a", {.max_messages = 2}), Ids(8, 9, 2));
  EXPECT_EQ(Pull("a"), Ids(10, 18));
  std::vector<int64_t> ids;
  for (int64_t id = 8; id <= 18; ++id) ids.push_back(id);
  EXPECT_EQ(Group("a").Ack(ids).value(), 11);
  EXPECT_EQ(ListGroups(*sql_, tables_, kId).value()[0].lag_messages, 0);
}

TEST_F(ConsumerGroupTest, ReplayByLsnAndTime) {
  AppendMessages(5);
  MustExecute(*sql_, "UPDATE wallaby.stream_1 SET created_at = now() - interval '2 hours' WHERE id <= 3");
  AppendMessages(5);
  EXPECT_EQ(Pull("a").size(), 10u);
  EXPECT_EQ(Group("a").Ack({1, 2, 3, 4, 5, 6, 7, 9}).value(), 8);
  EXPECT_EQ(Group("a").Replay({.lsn = Lsn{6}}).value(), 5);
  EXPECT_EQ(Group("a").Ack({8}).value(), 0);
  EXPECT_EQ(Pull("a"), Ids(6, 10));
  EXPECT_EQ(Group("a").Replay({.since = absl::Now() - absl::Hours(1)}).value(), 7);
  EXPECT_EQ(Pull("a"), Ids(4, 10));
  // In flight before the place: stays so.
  EXPECT_EQ(Group("a").Replay({.lsn = Lsn{9}}).value(), 2);
  Pass(100);
  EXPECT_EQ(Pull("a"), (std::vector<Got>{{4, 2}, {5, 2}, {6, 2}, {7, 2}, {8, 2}, {9, 1}, {10, 1}}));
  // Forward: what is between is left out.
  EXPECT_EQ(Group("b").Replay({.lsn = Lsn{100}}).value(), 0);
  EXPECT_EQ(Pull("b"), Ids(1, 0));
  AppendMessages(1);
  EXPECT_EQ(Pull("b"), Ids(11, 11));
}

TEST_F(ConsumerGroupTest, DeletedGroupsBeginAnew) {
  AppendMessages(3);
  Pull("a");
  EXPECT_TRUE(Group("a").Delete().value());
  EXPECT_FALSE(Group("a").Delete().value());
  EXPECT_EQ(MustQuery(*sql_, "SELECT count(*) FROM wallaby.stream_claims"), "0");
  EXPECT_EQ(Pull("a"), Ids(1, 3));
}

TEST_F(ConsumerGroupTest, AnErrorOfTheSinkClaimsNothing) {
  AppendMessages(3);
  const auto failed = Group("a").Pull(
      {}, [](const MessageRow& row) { return row.id < 2 ? absl::OkStatus() : absl::ResourceExhaustedError("full"); });
  EXPECT_TRUE(absl::IsResourceExhausted(failed.status())) << failed.status();
  sql_ = MustConnect(dsn_);  // an error leaves the connection unusable
  EXPECT_EQ(Pull("a"), Ids(1, 3));
}

// ---- retention ----

class RetentionTest : public StreamTest {
 protected:
  // Five segments of 100 messages and 1,000 bytes; the last is the newest.
  RetentionTest() {
    for (int i = 0; i < 5; ++i) {
      if (i > 0) BeginSegment();
      AppendMessages(100);
    }
  }
  int Drop(const Retention& retention) {
    const auto dropped = DropSegments(*sql_, tables_, kId, retention);
    EXPECT_TRUE(dropped.ok()) << dropped.status();
    return dropped.value_or(-1);
  }
};

TEST_F(RetentionTest, ByBytesMessagesAndAge) {
  EXPECT_EQ(Drop({}), 0);
  EXPECT_EQ(Drop({.bytes = 4000}), 1);
  EXPECT_EQ(MustQuery(*sql_, "SELECT min(id) FROM wallaby.stream_1"), "101");
  EXPECT_EQ(MustQuery(*sql_, "SELECT to_regclass('wallaby.stream_1_1') IS NULL"), "t");
  EXPECT_EQ(Drop({.messages = 250}), 1);
  EXPECT_EQ(MustQuery(*sql_, "SELECT min(id) FROM wallaby.stream_1"), "201");
  MustExecute(*sql_, "UPDATE wallaby.stream_segments SET last_at = now() - interval '8 days' WHERE first_id <= 301");
  EXPECT_EQ(Drop({.age = absl::Hours(24 * 9)}), 0);
  EXPECT_EQ(Drop({.age = absl::Hours(24 * 7)}), 2);
  EXPECT_EQ(Drop({.age = absl::Minutes(1), .bytes = 1, .messages = 1}), 0);  // the newest stays
  EXPECT_EQ(Pull("a", {.max_messages = 1000}), Ids(401, 500));
  EXPECT_EQ(ListGroups(*sql_, tables_, kId).value()[0].skipped, 0);
}

TEST_F(RetentionTest, WhatAGroupHasNotAcknowledgedIsKept) {
  Pull("a", {.max_messages = 150});
  Pull("b", {.max_messages = 1000});
  EXPECT_EQ(Drop({.messages = 1}), 0);
  std::vector<int64_t> ids;
  for (int64_t id = 1; id <= 100; ++id) ids.push_back(id);
  EXPECT_EQ(Group("b").Ack(ids).value(), 100);
  EXPECT_EQ(Drop({.messages = 1}), 0);
  EXPECT_EQ(Group("a").Ack(ids).value(), 100);
  EXPECT_EQ(Drop({.messages = 1}), 1);
}

TEST_F(RetentionTest, OrDroppedAndCounted) {
  EXPECT_EQ(Pull("a", {.max_messages = 10}).size(), 10u);
  EXPECT_EQ(Drop({.messages = 200, .drop_unread = true}), 3);
  const auto skipped = [this] { return ListGroups(*sql_, tables_, kId).value()[0].skipped; };
  EXPECT_EQ(skipped(), 290) << "before a pull comes upon it";
  PullResult result;
  EXPECT_EQ(Pull("a", {.max_messages = 10}, &result), Ids(301, 310));
  EXPECT_EQ(skipped(), 290) << "those in flight may still be acknowledged";
  // The claims of what is gone go with their time.
  Pass(100);
  EXPECT_EQ(skipped(), 300);
  EXPECT_EQ(Pull("a", {.max_messages = 10}), Ids(301, 310, 2));
  EXPECT_EQ(skipped(), 300);
  EXPECT_EQ(MustQuery(*sql_, "SELECT min(first_id) FROM wallaby.stream_claims"), "301");
}

// As a writer leaves it that has nothing to write: the newest segment is empty.
TEST_F(RetentionTest, WhatIsRemovedWhileNothingArrivesIsNoLag) {
  EXPECT_EQ(Pull("a", {.max_messages = 10}).size(), 10u);
  EXPECT_EQ(Pull("b", {.max_messages = 1000}).size(), 500u);
  BeginSegment();
  MustExecute(*sql_, "UPDATE wallaby.stream_segments SET last_at = now() - interval '8 days' WHERE first_id < 501");
  EXPECT_EQ(Drop({.age = absl::Hours(24 * 7)}), 0) << "nobody has acknowledged them";
  EXPECT_EQ(Drop({.age = absl::Hours(24 * 7), .drop_unread = true}), 5);
  const auto groups = ListGroups(*sql_, tables_, kId);
  ASSERT_TRUE(groups.ok()) << groups.status();
  EXPECT_EQ((*groups)[0].lag_messages, 10) << "those in flight";
  Pass(100);
  EXPECT_EQ(Pull("a"), Ids(1, 0));
  EXPECT_EQ(ListGroups(*sql_, tables_, kId).value()[0].lag_messages, 0);
  EXPECT_EQ(ListGroups(*sql_, tables_, kId).value()[0].skipped, 500);
  AppendMessages(2);
  EXPECT_EQ(Pull("a"), Ids(501, 502));
  EXPECT_EQ(ListGroups(*sql_, tables_, kId).value()[0].skipped, 500);
}

TEST_F(RetentionTest, ASegmentThatSomebodyReadsWaits) {
  auto reader = MustConnect(dsn_);
  MustExecute(*reader, "BEGIN; SELECT count(*) FROM wallaby.stream_1_1");
  EXPECT_EQ(Drop({.messages = 1}), 0);
  MustExecute(*reader, "COMMIT");
  EXPECT_EQ(Drop({.messages = 1}), 4);
}

// ---- against a model ----

// What one group is, message by message.
struct Model {
  struct InFlight {
    int64_t until = 0;
    int deliveries = 0;
  };
  int64_t next = 1;
  std::map<int64_t, InFlight> claimed;

  std::vector<Got> Pull(int64_t max, int64_t now, int64_t visibility, int64_t last) {
    std::vector<Got> got;
    for (auto& [id, one] : claimed) {
      if (one.until > now || static_cast<int64_t>(got.size()) == max) continue;
      one = {now + visibility, one.deliveries + 1};
      got.push_back({id, one.deliveries});
    }
    for (; next <= last && static_cast<int64_t>(got.size()) < max; ++next) {
      claimed[next] = {now + visibility, 1};
      got.push_back({next, 1});
    }
    return got;
  }
  int64_t Ack(const std::vector<int64_t>& ids) {
    int64_t acked = 0;
    for (const int64_t id : ids) acked += static_cast<int64_t>(claimed.erase(id));
    return acked;
  }
  int64_t Replay(int64_t from, int64_t last) {
    const int64_t place = std::min(from, last + 1);
    const int64_t again = std::max<int64_t>(next - place, 0);
    std::erase_if(claimed, [place](const auto& entry) { return entry.first >= place; });
    next = place;
    return again;
  }
};

TEST_F(ConsumerGroupTest, RandomAgainstAModel) {
  // Time is told in steps far longer than the test takes.
  constexpr int64_t kStep = 100'000;
  const char* seed_text = std::getenv("WALLABY_SEED");
  const unsigned seed = seed_text ? static_cast<unsigned>(std::atoi(seed_text)) : std::random_device{}();
  SCOPED_TRACE(absl::StrCat("WALLABY_SEED=", seed));
  std::mt19937 random(seed);
  const auto below = [&random](int64_t n) { return static_cast<int64_t>(random() % static_cast<uint64_t>(n)); };
  std::map<std::string, Model> models;
  std::map<std::string, std::vector<int64_t>> seen;
  int64_t now = 0;
  BeginSegment();
  for (int round = 0; round < 500; ++round) {
    SCOPED_TRACE(absl::StrCat("round ", round));
    const std::string group(1, static_cast<char>('a' + below(3)));
    Model& model = models[group];
    switch (below(10)) {
      case 0:
      case 1:
        AppendMessages(1 + below(30));
        if (below(5) == 0) BeginSegment();
        break;
      case 2: {
        const int64_t steps = 1 + below(3);
        Pass(steps * kStep);
        now += steps * kStep;
        break;
      }
      case 3:
        if (below(4) == 0) {
          const int64_t from = 1 + below(last_ + 3);
          ASSERT_EQ(Group(group).Replay({.lsn = Lsn{static_cast<uint64_t>(from)}}).value(), model.Replay(from, last_));
        }
        break;
      case 4:
      case 5:
      case 6: {
        // Some of what was ever given, in any order.
        std::vector<int64_t> ids;
        const auto& candidates = seen[group];
        for (int64_t i = candidates.empty() ? 0 : below(25); i > 0; --i) {
          ids.push_back(candidates[static_cast<size_t>(below(static_cast<int64_t>(candidates.size())))]);
        }
        // The newest as a whole, as most consumers do.
        if (below(2) == 0 && candidates.size() > 10) ids.assign(candidates.end() - 10, candidates.end());
        const int64_t acked = Group(group).Ack(ids).value();
        std::sort(ids.begin(), ids.end());
        ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
        ASSERT_EQ(acked, model.Ack(ids));
        break;
      }
      default: {
        const int64_t max = 1 + below(20);
        const int64_t visibility = kStep * below(4) + kStep / 2;
        const auto got = Pull(group, {.max_messages = max, .visibility = absl::Seconds(visibility)});
        ASSERT_EQ(got, model.Pull(max, now, visibility, last_));
        for (const Got& one : got) seen[group].push_back(one.id);
      }
    }
    const auto groups = ListGroups(*sql_, tables_, kId).value();
    for (const GroupState& state : groups) {
      const Model& of_group = models[state.name];
      ASSERT_EQ(state.next_id, of_group.next);
      ASSERT_EQ(state.in_flight, static_cast<int64_t>(of_group.claimed.size()));
      ASSERT_EQ(state.lag_messages, state.in_flight + last_ - of_group.next + 1);
    }
  }
}

// ---- consumers at once ----

TEST_F(ConsumerGroupTest, ConsumersOfAGroupShareTheStream) {
  constexpr int64_t kMessages = 5000;
  std::atomic<int64_t> left = kMessages;
  std::mutex mutex;
  std::set<int64_t> acked;
  const auto consume = [&](int number) {
    auto sql = MustConnect(dsn_);
    std::mt19937 random(static_cast<unsigned>(number));
    ConsumerGroup group(*sql, tables_, kId, "a");
    int64_t newest = 0;
    while (left > 0) {
      std::vector<int64_t> ids;
      const PullOptions options = {.max_messages = 1 + static_cast<int64_t>(random() % 100),
                                   .visibility = absl::Hours(1)};
      const auto pulled = group.Pull(options, [&](const MessageRow& row) {
        EXPECT_GT(row.id, newest);
        newest = row.id;
        ids.push_back(row.id);
        return absl::OkStatus();
      });
      ASSERT_TRUE(pulled.ok()) << pulled.status();
      std::shuffle(ids.begin(), ids.end(), random);
      const auto count = group.Ack(ids);
      ASSERT_TRUE(count.ok()) << count.status();
      EXPECT_EQ(*count, static_cast<int64_t>(ids.size()));
      left -= *count;
      std::lock_guard lock(mutex);
      for (const int64_t id : ids) EXPECT_TRUE(acked.insert(id).second) << id;
    }
  };
  std::vector<std::thread> consumers;
  for (int i = 0; i < 4; ++i) consumers.emplace_back(consume, i);
  while (last_ < kMessages) {
    AppendMessages(100);
    if (last_ % 1000 == 0 && last_ < kMessages) BeginSegment();
  }
  for (std::thread& consumer : consumers) consumer.join();
  EXPECT_EQ(acked.size(), static_cast<size_t>(kMessages));
  EXPECT_EQ(MustQuery(*sql_, "SELECT count(*) FROM wallaby.stream_claims"), "0");
}

}  // namespace
}  // namespace wallaby
