// Payloads that are too large for Kafka, in a real bucket: objects and messages belong together whatever dies between
// them.
#include "destination/kafka/claim_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/aws_signature.h"
#include "base/status.h"
#include "codec/test_batches.h"
#include "destination/kafka/kafka_destination.h"
#include "destination/kafka/kafka_test_kit.h"
#include "nlohmann/json.hpp"
#include "test/support/test_bucket.h"
#include "test/support/test_kafka.h"

namespace wallaby {
namespace {

using Json = nlohmann::json;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Key;
using testing::Not;
using testing::SizeIs;
using testing::StartsWith;

std::string Brokers() {
  return TestKafka::Shared().brokers();
}

S3Client Bucket() {
  return S3Client(
      {.bucket = kTestBucket, .endpoint = TestBucketUrl(), .credentials = {kTestAccessKey, kTestSecretKey, ""}});
}

// A flow of its own, whose claim checks stand below its name.
DestinationConfig ClaimConfig(const std::string& flow, const Options& options = {}, int64_t generation = 1) {
  Options all = {{"max_message_bytes", "10KB"},
                 {"oversize_policy", "claim_check"},
                 {"claim_check_bucket", kTestBucket},
                 {"claim_check_prefix", "claims/" + flow},
                 {"claim_check_endpoint", TestBucketUrl()},
                 {"claim_check_access_key", kTestAccessKey},
                 {"claim_check_secret_key", kTestSecretKey}};
  for (const auto& [name, value] : options) all[name] = value;
  return KafkaConfig(flow, all, generation);
}

// Keys of the flow's objects, below its prefix.
std::vector<std::string> Objects(const std::string& flow) {
  const std::string prefix = absl::StrCat("claims/", flow, "/", flow, "-k/");
  auto keys = Bucket().List(prefix);
  EXPECT_TRUE(keys.ok()) << keys.status();
  std::vector<std::string> names;
  for (const std::string& key : *keys) {
    if (key != prefix + "check") names.push_back(key.substr(prefix.size()));
  }
  return names;
}

// What a consumer does with a message: its payload, wherever it is.
std::string Redeem(const ReadMessage& message) {
  const auto claim = message.headers.find("wallaby-claim-check");
  if (claim == message.headers.end()) return *message.value;
  EXPECT_THAT(claim->second, StartsWith("s3://test/"));
  auto object = Bucket().Get(claim->second.substr(std::string("s3://test/").size()));
  EXPECT_TRUE(object.ok()) << object.status();
  EXPECT_EQ(message.headers.at("wallaby-claim-check-bytes"), absl::StrCat(object->content.size()));
  EXPECT_EQ(message.headers.at("wallaby-claim-check-sha256"), AwsBodyHash(object->content));
  const Json value = Json::parse(*message.value);
  EXPECT_EQ(value.at("claim_check"), claim->second);
  EXPECT_EQ(value.at("bytes"), object->content.size());
  EXPECT_EQ(value.at("sha256"), message.headers.at("wallaby-claim-check-sha256"));
  return object->content;
}

std::vector<std::string> RedeemAll(const std::string& brokers, const std::string& topic) {
  std::vector<std::string> payloads;
  for (const ReadMessage& message : ReadTopic(brokers, topic)) payloads.push_back(Redeem(message));
  return payloads;
}

// Three rows of one transaction, the second of which is large.
ChangeBatch LargeAmongSmall(uint64_t commit) {
  TestBatch batch;
  batch.Begin(commit)
      .Insert({"1", "1.00", "a"})
      .Insert({"2", "1.00", std::string(20'000, 'x')})
      .Insert({"3", "1.00", "c"});
  return batch.batch();
}

void Deliver(Destination& destination, const ChangeBatch& batch, uint64_t commit) {
  const absl::Status written = destination.Write(batch);
  ASSERT_TRUE(written.ok()) << written;
  const absl::Status committed = destination.Commit(PointAt(commit));
  ASSERT_TRUE(committed.ok()) << committed;
}

class ClaimCheckMode : public testing::TestWithParam<const char*> {};

TEST_P(ClaimCheckMode, ThePayloadIsInTheBucketAndTheMessageSaysWhere) {
  const std::string flow = UniqueName("claim"), plain = UniqueName("plain");
  DestinationConfig config = ClaimConfig(flow, {{"message_mode", GetParam()}, {"topic_partitions", "1"}});
  int claimed = 0;
  config.claim_checked = [&] { ++claimed; };
  Deliver(*OpenKafka(config), LargeAmongSmall(100), 100);
  EXPECT_EQ(claimed, 1);
  // The same where Kafka takes it all, a change a message.
  Deliver(*OpenKafka(KafkaConfig(plain, {{"message_mode", GetParam()}, {"max_batch_bytes", "5KB"}})),
          LargeAmongSmall(100), 100);
  const auto messages = ReadTopic(Brokers(), flow), others = ReadTopic(Brokers(), plain);
  ASSERT_THAT(messages, SizeIs(3));
  ASSERT_THAT(others, SizeIs(3));
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(Redeem(messages[i]), *others[i].value);
    EXPECT_EQ(messages[i].key, others[i].key);
    for (const auto& [name, value] : others[i].headers) EXPECT_EQ(messages[i].headers.at(name), value) << name;
  }
  EXPECT_THAT(messages[0].headers, Not(Contains(Key("wallaby-claim-check"))));
  EXPECT_THAT(messages[1].headers, Contains(Key("wallaby-claim-check")));
  EXPECT_LT(messages[1].value->size(), 1'000u);
  const std::string operation = GetParam() == std::string("record") ? "insert" : "batch";
  EXPECT_THAT(Objects(flow),
              ElementsAre(StartsWith(absl::StrCat(flow, "/0000000000000064-0000000001-", operation, "-"))));
}

// The object comes first, and stays when the worker dies before the commit. The next one puts it again.
TEST_P(ClaimCheckMode, ACrashBeforeTheCommitLeavesOneObjectOfThatName) {
  const std::string flow = UniqueName("crash");
  const Options mode = {{"message_mode", GetParam()}};
  std::vector<std::string> objects;
  {
    const auto dying = OpenKafka(ClaimConfig(flow, mode));
    ASSERT_TRUE(dying->Write(LargeAmongSmall(100)).ok());
    objects = Objects(flow);
    EXPECT_THAT(objects, SizeIs(1)) << "before the commit";
    EXPECT_THAT(ReadTopic(Brokers(), flow, Open::kIgnore), IsEmpty());
  }
  const auto next = OpenKafka(ClaimConfig(flow, mode, 2));
  Deliver(*next, LargeAmongSmall(100), 100);
  EXPECT_THAT(RedeemAll(Brokers(), flow), SizeIs(3));
  EXPECT_EQ(Objects(flow), objects);
}

TEST_P(ClaimCheckMode, ACommitThatABrokerDoesNotAnswer) {
  TestKafka kafka;
  const std::string flow = UniqueName("unanswered");
  const auto destination = OpenKafka(ClaimConfig(flow, {{"brokers", kafka.brokers()}, {"message_mode", GetParam()}}));
  ASSERT_TRUE(destination->Write(LargeAmongSmall(100)).ok());
  const std::vector<std::string> objects = Objects(flow);
  kafka.Kill();
  kafka.Restart();
  const absl::Status status = destination->Commit(PointAt(100));
  ASSERT_TRUE(status.ok() || IsTransient(status)) << status;
  auto progress = destination->Open();
  // As the worker does: the partitions of a broker that has just come back have no leader yet.
  while (IsTransient(progress.status())) progress = destination->Open();
  ASSERT_TRUE(progress.ok()) << progress.status();
  if (progress->commit < Lsn{100}) Deliver(*destination, LargeAmongSmall(100), 100);
  EXPECT_THAT(RedeemAll(kafka.brokers(), flow), SizeIs(3));
  EXPECT_EQ(Objects(flow), objects);
}
INSTANTIATE_TEST_SUITE_P(Modes, ClaimCheckMode, testing::Values("record", "batch"));

// A commit is refused after the object was put: nothing is seen of the transaction, and the newer worker's stands once.
TEST(ClaimCheck, AWorkerThatWasShutOutLeavesNothingButTheObject) {
  const std::string flow = UniqueName("fenced");
  const auto older = OpenKafka(ClaimConfig(flow));
  ASSERT_TRUE(older->Write(LargeAmongSmall(100)).ok());
  const auto newer = OpenKafka(ClaimConfig(flow, {}, 2));
  EXPECT_THAT(std::string(older->Commit(PointAt(100)).message()), StartsWith("fenced"));
  EXPECT_THAT(ReadTopic(Brokers(), flow), IsEmpty());
  Deliver(*newer, LargeAmongSmall(100), 100);
  EXPECT_THAT(RedeemAll(Brokers(), flow), SizeIs(3));
  EXPECT_THAT(Objects(flow), SizeIs(1));
}

// Rows of a copy have positions that stand for several of them: the content tells their objects apart.
TEST(ClaimCheck, RowsOfACopyHaveObjectsOfTheirOwn) {
  const std::string flow = UniqueName("copy");
  const auto destination = OpenKafka(ClaimConfig(flow));
  for (const char* part : {"shop.orders/1", "shop.orders/2"}) {
    TestBatch batch;
    batch.Part(part).Begin(50).Read({part + 12, "1.00", std::string(20'000, part[12])});
    ASSERT_TRUE(destination->Write(batch.batch()).ok());
    ASSERT_TRUE(destination->Commit(PointAt(0, {part})).ok());
  }
  EXPECT_THAT(RedeemAll(Brokers(), flow), testing::UnorderedElementsAre(HasSubstr("111"), HasSubstr("222")));
  EXPECT_THAT(Objects(flow), SizeIs(2));
}

TEST(ClaimCheck, ALimitOfRecordsCountsToo) {
  const std::string flow = UniqueName("record");
  Deliver(*OpenKafka(ClaimConfig(flow, {{"max_message_bytes", "1MB"}, {"max_record_bytes", "1KB"}})),
          LargeAmongSmall(100), 100);
  EXPECT_THAT(RedeemAll(Brokers(), flow), SizeIs(3));
  EXPECT_THAT(Objects(flow), SizeIs(1));
}

// An update that changes the key is two records of one position.
TEST(ClaimCheck, BothHalvesOfAnUpdateOfTheKey) {
  const std::string flow = UniqueName("halves");
  const RelationPtr full = TestRelation({{"id", 20}, {"note", 25}}, 1);
  TestBatch batch(full);
  batch.Begin(100).UpdateKey({"1", {}}, {"2", std::string(20'000, 'n')});
  Deliver(*OpenKafka(ClaimConfig(flow, {{"topic_partitions", "1"}, {"tombstones", "true"}})), batch.batch(), 100);
  const auto messages = ReadTopic(Brokers(), flow);
  ASSERT_THAT(messages, SizeIs(3));
  EXPECT_FALSE(messages[1].value.has_value()) << "a tombstone stays one";
  EXPECT_EQ(messages[2].headers.at("wallaby-operation"), "update");
  EXPECT_EQ(Json::parse(Redeem(messages[2])).at("after").at("note").get<std::string>().size(), 20'000u);
}

TEST(ClaimCheck, AKeyThatIsTooLargeStopsTheFlow) {
  const std::string flow = UniqueName("key");
  TestBatch batch(TestRelation({{"id", 25}, {"note", 25}}, 1));
  batch.Begin(100).Insert({std::string(12'000, 'k'), "a"});
  const absl::Status status = OpenKafka(ClaimConfig(flow))->Write(batch.batch());
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr("shop.orders"), HasSubstr("its key is too large")));
  EXPECT_THAT(Objects(flow), IsEmpty());
}

TEST(ClaimCheck, ABucketThatTakesNothingIsSaidBeforeTheFirstRow) {
  const auto refused = [](const Options& options) {
    const absl::Status status = MakeKafka(ClaimConfig(UniqueName("refused"), options))->Open().status();
    EXPECT_FALSE(status.ok() || IsTransient(status)) << status;
    EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr("claim_check_"), Not(HasSubstr("geheim"))));
    return status.ToString();
  };
  EXPECT_THAT(refused({{"claim_check_secret_key", "geheim"}}), HasSubstr("UNAUTHENTICATED"));
  EXPECT_THAT(refused({{"claim_check_bucket", "nobody-made-this"}}), HasSubstr("nobody-made-this"));
  EXPECT_THAT(KafkaDestination::Make(ClaimConfig("f", {{"claim_check_tls_ca_file", "/none"}})).status().ToString(),
              HasSubstr("option claim_check_tls_ca_file"));
}

// A bucket that is away stops no small row. A large one waits for it, and nothing of its transaction is seen.
TEST(ClaimCheck, ABucketThatIsAwayIsTriedAgain) {
  const std::string flow = UniqueName("away");
  const auto destination = OpenKafka(ClaimConfig(flow, {{"claim_check_endpoint", "http://127.0.0.1:1"}}));
  TestBatch small;
  small.Begin(50).Insert({"1", "1.00", "a"});
  Deliver(*destination, small.batch(), 50);
  const absl::Status status = destination->Write(LargeAmongSmall(100));
  EXPECT_TRUE(IsTransient(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("127.0.0.1:1"));
  const auto again = OpenKafka(ClaimConfig(flow, {}, 2));
  EXPECT_THAT(ReadTopic(Brokers(), flow), SizeIs(1));
  Deliver(*again, LargeAmongSmall(100), 100);
  EXPECT_THAT(RedeemAll(Brokers(), flow), SizeIs(4));
}

}  // namespace
}  // namespace wallaby
