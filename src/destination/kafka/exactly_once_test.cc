// Transactions, progress and who may write, against a real Kafka that also dies.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "codec/test_batches.h"
#include "destination/kafka/kafka_test_kit.h"
#include "destination/kafka/producer.h"
#include "test/support/test_kafka.h"

namespace wallaby {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

std::string Brokers() {
  return TestKafka::Shared().brokers();
}

ChangeBatch Inserted(uint64_t commit, int rows = 1) {
  TestBatch batch;
  batch.Begin(commit);
  for (int i = 0; i < rows; ++i) batch.Insert({absl::StrCat(i), "1.00", "a"});
  return batch.batch();
}

// Commit LSNs of the messages, in order.
std::vector<std::string> Lsns(const std::string& topic, Open open = Open::kAwait,
                              const std::string& brokers = Brokers()) {
  std::vector<std::string> lsns;
  for (const ReadMessage& message : ReadTopic(brokers, topic, open)) lsns.push_back(message.headers.at("wallaby-lsn"));
  return lsns;
}

TEST(KafkaExactlyOnce, TheProgressIsThatOfTheLastCommit) {
  const std::string flow = UniqueName("progress");
  {
    const auto destination = OpenKafka(KafkaConfig(flow));
    EXPECT_TRUE(destination->capabilities().keeps_progress);
    TestBatch part;
    part.Part("shop.orders/1").Begin(50).Read({"1", "1.00", "a"});
    ASSERT_TRUE(destination->Write(part.batch()).ok());
    ASSERT_TRUE(destination->Commit(PointAt(0, {"shop.orders/1"})).ok());
    ASSERT_TRUE(destination->Write(Inserted(100)).ok());
    ASSERT_TRUE(destination->Commit(PointAt(100)).ok());
    ASSERT_TRUE(destination->Write(Inserted(200)).ok());
  }  // not committed
  const auto again = MakeKafka(KafkaConfig(flow, {}, 2));
  const auto progress = again->Open();
  ASSERT_TRUE(progress.ok()) << progress.status();
  EXPECT_EQ(progress->commit, Lsn{100});
  EXPECT_EQ(progress->end, Lsn{108});
  EXPECT_THAT(progress->snapshot_parts, ElementsAre("shop.orders/1"));
  EXPECT_THAT(Lsns(flow), ElementsAre("50", "100"));
  // The same object, as after an error.
  ASSERT_TRUE(again->Write(Inserted(200)).ok());
  ASSERT_TRUE(again->Commit(PointAt(200)).ok());
  EXPECT_EQ(again->Open()->commit, Lsn{200});
  EXPECT_THAT(Lsns(flow), ElementsAre("50", "100", "200"));
}

TEST(KafkaExactlyOnce, EachFlowAndDestinationHasItsOwnProgress) {
  const std::string flow = UniqueName("own"), other = UniqueName("other");
  DestinationConfig second = KafkaConfig(flow);
  second.name = "second";
  const auto a = OpenKafka(KafkaConfig(flow)), b = OpenKafka(KafkaConfig(other)), c = OpenKafka(second);
  for (uint64_t i = 1; i <= 3; ++i) {
    ASSERT_TRUE(a->Commit(PointAt(i * 100)).ok());
    ASSERT_TRUE(b->Commit(PointAt(i * 1000)).ok());
  }
  ASSERT_TRUE(c->Commit(PointAt(7)).ok());
  EXPECT_EQ(a->Open()->commit, Lsn{300});
  EXPECT_EQ(b->Open()->commit, Lsn{3000});
  EXPECT_EQ(c->Open()->commit, Lsn{7});
}

std::string ProgressTopicOf(const std::string& flow) {
  return absl::StrCat("wallaby.progress.", flow, ".k");
}

TEST(KafkaExactlyOnce, ManyRecordsOfOthersStandBehindOnesOwn) {
  const std::string flow = UniqueName("quiet");
  ASSERT_TRUE(OpenKafka(KafkaConfig(flow))->Commit(PointAt(100)).ok());
  KafkaOptions options;
  options.brokers = Brokers();
  options.acks = KafkaAcks::kLeader;
  options.compression = "none";
  const auto producer = Producer::Make(options, 1 << 20);
  ASSERT_TRUE(producer.ok()) << producer.status();
  const KafkaTopic topic(rd_kafka_topic_new((*producer)->client()->get(), ProgressTopicOf(flow).c_str(), nullptr));
  for (int i = 0; i < 5000; ++i) {
    ASSERT_TRUE((*producer)->Send({.topic = topic.get(), .partition = 0, .key = absl::StrCat(i), .value = "x"}).ok());
  }
  ASSERT_TRUE((*producer)->Commit().ok());
  EXPECT_EQ(MakeKafka(KafkaConfig(flow))->Open()->commit, Lsn{100});
}

TEST(KafkaExactlyOnce, ATransactionSpansSeveralWrites) {
  const std::string flow = UniqueName("spans");
  const auto destination = OpenKafka(KafkaConfig(flow));
  ChangeBatch first = Inserted(100, 500), second = Inserted(100, 500);
  first.set_continues(true);
  ASSERT_TRUE(destination->Write(first).ok());
  ASSERT_TRUE(destination->Write(second).ok());
  EXPECT_EQ(Lsns(flow, Open::kIgnore).size(), 0u) << "nothing is seen before the commit";
  ASSERT_TRUE(destination->Commit(PointAt(100)).ok());
  EXPECT_EQ(Lsns(flow).size(), 1000u);
}

TEST(KafkaExactlyOnce, ANewerWorkerShutsOutTheOlder) {
  const std::string flow = UniqueName("fenced");
  const auto older = OpenKafka(KafkaConfig(flow, {}, 1));
  ASSERT_TRUE(older->Write(Inserted(100)).ok());
  const auto newer = MakeKafka(KafkaConfig(flow, {}, 2));
  ASSERT_TRUE(newer->Open().ok());
  const absl::Status late = older->Commit(PointAt(100));
  EXPECT_TRUE(absl::IsFailedPrecondition(late)) << late;
  EXPECT_THAT(std::string(late.message()), StartsWith("fenced"));
  // Nor does it come back: its generation is lower, and it goes before it does any harm.
  const absl::Status again = older->Open().status();
  EXPECT_THAT(std::string(again.message()), StartsWith("fenced: a worker of generation 2"));
  ASSERT_TRUE(newer->Write(Inserted(100)).ok());
  const absl::Status committed = newer->Commit(PointAt(100));
  EXPECT_TRUE(committed.ok()) << committed;
  EXPECT_THAT(Lsns(flow), ElementsAre("100"));
}

TEST(KafkaExactlyOnce, ATransactionThatIsOpenForTooLong) {
  const std::string flow = UniqueName("slow");
  const auto destination = OpenKafka(KafkaConfig(flow, {{"transaction_timeout", "1s"}}));
  ASSERT_TRUE(destination->Write(Inserted(100)).ok());
  // Until the broker has ended it: then what was written is no longer open, and never committed.
  absl::SleepFor(absl::Seconds(4));
  const absl::Status status = destination->Commit(PointAt(100));
  EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("transaction_timeout"));
  EXPECT_EQ(destination->Open()->commit, Lsn{});
  EXPECT_EQ(Lsns(flow).size(), 0u);
}

// A producer with a transaction open in the flow's topic of progress.
std::unique_ptr<Producer> Unfinished(const std::string& flow, const std::string& transactional_id,
                                     absl::Duration timeout) {
  KafkaOptions options;
  options.brokers = Brokers();
  options.compression = "none";
  options.transactional_id = transactional_id;
  options.transaction_timeout = timeout;
  auto producer = Producer::Make(options, 1 << 20);
  EXPECT_TRUE(producer.ok() && (*producer)->InitTransactions().ok() && (*producer)->Begin().ok());
  rd_kafka_t* client = (*producer)->client()->get();
  const KafkaTopic topic(rd_kafka_topic_new(client, ProgressTopicOf(flow).c_str(), nullptr));
  EXPECT_TRUE((*producer)->Send({.topic = topic.get(), .partition = 0, .key = "k", .value = "v"}).ok());
  EXPECT_EQ(rd_kafka_flush(client, 30'000), RD_KAFKA_RESP_ERR_NO_ERROR);
  return *std::move(producer);
}

// Killed within a commit; the timeout is far beyond what a test waits.
TEST(KafkaExactlyOnce, WhatADeadWorkerLeftOpenIsEndedRatherThanWaitedFor) {
  const std::string flow = UniqueName("died");
  ASSERT_TRUE(OpenKafka(KafkaConfig(flow))->Commit(PointAt(100)).ok());
  const auto dead = Unfinished(flow, absl::StrCat("wallaby-", flow, "-k"), absl::Minutes(5));
  const auto progress = MakeKafka(KafkaConfig(flow, {}, 2))->Open();
  ASSERT_TRUE(progress.ok()) << progress.status();
  EXPECT_EQ(progress->commit, Lsn{100});
}

// Somebody else's hides what is behind it until its timeout.
TEST(KafkaExactlyOnce, AnothersOpenTransactionHidesNoProgress) {
  const std::string flow = UniqueName("hidden");
  const auto destination = OpenKafka(KafkaConfig(flow));
  const auto other = Unfinished(flow, UniqueName("other"), absl::Seconds(3));
  ASSERT_TRUE(destination->Commit(PointAt(100)).ok());
  EXPECT_EQ(MakeKafka(KafkaConfig(flow))->Open()->commit, Lsn{100});
}

TEST(KafkaExactlyOnce, ACopyThatStartsOverBeginsWithATruncate) {
  const std::string flow = UniqueName("reset");
  const auto destination = OpenKafka(KafkaConfig(flow));
  const auto operations = [&] {
    std::vector<std::string> said;
    for (const ReadMessage& message : ReadTopic(Brokers(), flow))
      said.push_back(message.headers.at("wallaby-operation"));
    return said;
  };
  TestBatch rows;
  rows.Part("shop.orders/1").Begin(50).Read({"1", "1.00", "a"});
  ASSERT_TRUE(destination->ResetSnapshot(*OrdersRelation(), "shop.orders/").ok());
  ASSERT_TRUE(destination->Write(rows.batch()).ok());
  ASSERT_TRUE(destination->Commit(PointAt(0, {"shop.orders/1"})).ok());
  EXPECT_THAT(operations(), ElementsAre("snapshot")) << "there was nothing to drop at first";

  const auto again = OpenKafka(KafkaConfig(flow, {}, 2));
  ASSERT_TRUE(again->ResetSnapshot(*OrdersRelation(), "shop.orders/").ok());
  EXPECT_EQ(again->Open()->snapshot_parts.size(), 0u);
  ASSERT_TRUE(again->Write(rows.batch()).ok());
  ASSERT_TRUE(again->Commit(PointAt(0, {"shop.orders/1"})).ok());
  EXPECT_THAT(operations(), ElementsAre("snapshot", "truncate", "snapshot"));
}

TEST(KafkaExactlyOnce, WithoutTransactionsThereIsNoProgress) {
  for (const char* acks : {"leader", "none"}) {
    const std::string flow = UniqueName("weak");
    const auto destination = OpenKafka(KafkaConfig(flow, {{"acks", acks}}));
    EXPECT_FALSE(destination->capabilities().keeps_progress);
    ASSERT_TRUE(destination->Write(Inserted(100, 10)).ok());
    ASSERT_TRUE(destination->Commit(PointAt(100)).ok());
    EXPECT_EQ(destination->Open()->commit, Lsn{});
    // With acks none nobody says when they are there.
    while (Lsns(flow).size() < 10) {
    }
    EXPECT_EQ(Lsns(flow).size(), 10u);
  }
}

TEST(KafkaExactlyOnce, MoreThanTheMemoryHoldsWaitsForTheBroker) {
  const std::string flow = UniqueName("memory");
  DestinationConfig config = KafkaConfig(flow, {{"max_message_bytes", "100KB"}, {"compression", "none"}});
  config.memory_limit = 1 << 20;
  const auto destination = OpenKafka(config);
  TestBatch batch;
  batch.Begin(100);
  for (int i = 0; i < 400; ++i) batch.Insert({absl::StrCat(i), "1.00", std::string(20'000, 'x')});
  ASSERT_TRUE(destination->Write(batch.batch()).ok());
  ASSERT_TRUE(destination->Commit(PointAt(100)).ok());
  EXPECT_EQ(Lsns(flow).size(), 400u);
}

// Whatever a commit comes to when its broker dies, what is told afterwards is what is there.
TEST(KafkaExactlyOnce, ABrokerThatDiesLeavesWholeTransactions) {
  TestKafka kafka;
  const std::string flow = UniqueName("dies");
  const DestinationConfig config = KafkaConfig(flow, {{"brokers", kafka.brokers()}});
  auto destination = OpenKafka(config);
  std::vector<std::string> expected;
  for (uint64_t round = 1; round <= 3; ++round) {
    const uint64_t commit = round * 100;
    ASSERT_TRUE(destination->Write(Inserted(commit, 100)).ok());
    kafka.Kill();
    if (round == 2) {
      // A crash of the worker as well.
      destination = nullptr;
      kafka.Restart();
      destination = MakeKafka(config);
    } else {
      kafka.Restart();
      const absl::Status status = destination->Commit(PointAt(commit));
      ASSERT_TRUE(status.ok() || IsTransient(status)) << status;
    }
    auto progress = destination->Open();
    // As the worker does: the partitions of a broker that has just come back have no leader yet.
    while (IsTransient(progress.status())) progress = destination->Open();
    ASSERT_TRUE(progress.ok()) << progress.status();
    if (progress->commit < Lsn{commit}) {
      ASSERT_TRUE(destination->Write(Inserted(commit, 100)).ok());
      const absl::Status status = destination->Commit(PointAt(commit));
      ASSERT_TRUE(status.ok()) << status;
    }
    expected.insert(expected.end(), 100, absl::StrCat(commit));
    EXPECT_EQ(Lsns(flow, Open::kAwait, kafka.brokers()), expected);
  }
}

TEST(KafkaExactlyOnce, NoBrokerIsAnErrorThatCanPass) {
  const auto destination = MakeKafka(KafkaConfig("nowhere", {{"brokers", "127.0.0.1:1"}}));
  const absl::Status status = destination->Open().status();
  EXPECT_TRUE(IsTransient(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("127.0.0.1:1"));
}

}  // namespace
}  // namespace wallaby
