// Messages as they stand in a real Kafka: topics, keys, headers, order, sizes.
#include "destination/kafka/kafka_destination.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "codec/test_batches.h"
#include "destination/kafka/kafka_test_kit.h"
#include "nlohmann/json.hpp"
#include "test/support/test_kafka.h"

namespace wallaby {
namespace {

using Json = nlohmann::json;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsSupersetOf;
using testing::Key;
using testing::Not;
using testing::Pair;

std::string Brokers() {
  return TestKafka::Shared().brokers();
}

void Deliver(Destination& destination, const ChangeBatch& batch, uint64_t commit) {
  const absl::Status written = destination.Write(batch);
  ASSERT_TRUE(written.ok()) << written;
  const absl::Status committed = destination.Commit(PointAt(commit));
  ASSERT_TRUE(committed.ok()) << committed;
}

// "insert 7", "tombstone": operation and key of each message of a partition.
std::vector<std::string> Operations(const std::vector<ReadMessage>& messages) {
  std::vector<std::string> said;
  for (const ReadMessage& message : messages) {
    const std::string key = message.key ? *message.key : "null";
    said.push_back(absl::StrCat(
        message.value ? Json::parse(*message.value).at("operation").get<std::string>() : "tombstone", " ", key));
  }
  return said;
}

TEST(Kafka, RecordsWithKeysAndHeaders) {
  const std::string flow = UniqueName("records");
  const auto destination = OpenKafka(KafkaConfig(flow, {{"topic_partitions", "1"}, {"tombstones", "true"}}));
  TestBatch batch;
  batch.Begin(100).Insert({"7", "12.50", "a"}).Update({"7", "13.00", kAbsent}).Begin(200).Delete({"7", {}, {}});
  batch.UpdateKey({"8", {}, {}}, {"9", "1.00", "b"});
  Deliver(*destination, batch.batch(), 200);

  const auto messages = ReadTopic(Brokers(), flow);
  EXPECT_THAT(Operations(messages),
              ElementsAre("insert {\"id\":7}", "update {\"id\":7}", "delete {\"id\":7}", "tombstone {\"id\":7}",
                          "delete {\"id\":8}", "tombstone {\"id\":8}", "update {\"id\":9}"));
  EXPECT_THAT(
      messages[1].headers,
      IsSupersetOf({Pair("wallaby-format", "json"), Pair("wallaby-schema", "orders"), Pair("wallaby-namespace", "shop"),
                    Pair("wallaby-schema-version", "1"), Pair("wallaby-lsn", "100"), Pair("wallaby-seq", "1"),
                    Pair("wallaby-operation", "update"), Pair("wallaby-transaction-id", "100")}));
  EXPECT_THAT(messages[1].headers, Not(testing::Contains(Key("wallaby-registry-id"))));
  EXPECT_EQ(messages[3].headers.at("wallaby-operation"), "delete");
  const Json value = Json::parse(*messages[1].value);
  EXPECT_EQ(value.at("lsn"), 100);
  EXPECT_EQ(value.at("seq"), 1);
}

TEST(Kafka, HashedKeysHaveOneLength) {
  const std::string flow = UniqueName("hashed");
  const auto destination = OpenKafka(KafkaConfig(flow, {{"key_mode", "hash"}, {"transaction_header", "tx"}}));
  TestBatch batch;
  batch.Begin(100).Insert({"7", "12.50", "a"}).Delete({"7", {}, {}}).Insert({"8", "1.00", "b"});
  Deliver(*destination, batch.batch(), 100);
  const auto messages = ReadTopic(Brokers(), flow);
  ASSERT_EQ(messages.size(), 3u);
  EXPECT_EQ(*messages[0].key, *messages[1].key);
  EXPECT_NE(*messages[0].key, *messages[2].key);
  // XXH3, 128 bits, of {"id":7}: what python's xxhash.xxh3_128_hexdigest says.
  EXPECT_EQ(*messages[0].key, "59f25c4161e06afb43719089b02c86b7");
  EXPECT_EQ(messages[0].headers.at("tx"), "100");
}

// Kafka's own: org.apache.kafka.common.utils.Utils.murmur2().
uint32_t Murmur2(std::string_view data) {
  constexpr uint32_t kM = 0x5bd1e995;
  uint32_t h = 0x9747b28c ^ static_cast<uint32_t>(data.size());
  size_t i = 0;
  const auto byte = [&](size_t at) { return static_cast<uint32_t>(static_cast<unsigned char>(data[at])); };
  for (; i + 4 <= data.size(); i += 4) {
    uint32_t k = byte(i) | byte(i + 1) << 8 | byte(i + 2) << 16 | byte(i + 3) << 24;
    k *= kM, k ^= k >> 24, k *= kM;
    h *= kM, h ^= k;
  }
  const size_t rest = data.size() - i;
  if (rest == 3) h ^= byte(i + 2) << 16;
  if (rest >= 2) h ^= byte(i + 1) << 8;
  if (rest >= 1) h ^= byte(i), h *= kM;
  h ^= h >> 13, h *= kM, h ^= h >> 15;
  return h;
}

TEST(Kafka, KeysChooseThePartitionAsJavaClientsDo) {
  EXPECT_EQ(static_cast<int32_t>(Murmur2("foobar")), -790332482);  // from Kafka's UtilsTest
  const std::string flow = UniqueName("partitions");
  const auto destination = OpenKafka(KafkaConfig(flow, {{"topic_partitions", "5"}}));
  TestBatch batch;
  for (int i = 0; i < 50; ++i) batch.Insert({absl::StrCat(i), "1.00", "a"});
  Deliver(*destination, batch.batch(), 100);
  const auto messages = ReadTopic(Brokers(), flow);
  ASSERT_EQ(messages.size(), 50u);
  for (const ReadMessage& message : messages) {
    EXPECT_EQ(message.partition, static_cast<int>((Murmur2(*message.key) & 0x7fffffff) % 5)) << *message.key;
  }
}

// What a truncate is about may stand in any partition.
TEST(Kafka, ATruncateStandsInEveryPartition) {
  for (const char* policy : {"delete", "compact"}) {
    const std::string flow = UniqueName("truncate");
    const auto destination = OpenKafka(
        KafkaConfig(flow, {{"topic_partitions", "3"}, {"topic_config", absl::StrCat("cleanup.policy=", policy)}}));
    TestBatch batch;
    batch.Begin(100).Insert({"7", "12.50", "a"}).Truncate();
    Deliver(*destination, batch.batch(), 100);
    std::vector<int> partitions;
    for (const ReadMessage& message : ReadTopic(Brokers(), flow)) {
      if (message.headers.at("wallaby-operation") != "truncate") continue;
      partitions.push_back(message.partition);
      EXPECT_EQ(message.key.has_value(), policy == std::string("compact"));
    }
    EXPECT_THAT(partitions, ElementsAre(0, 1, 2));
  }
}

TEST(Kafka, ATopicForEachTable) {
  const std::string flow = UniqueName("each");
  const auto destination = OpenKafka(KafkaConfig(flow, {{"topic", flow + ".{schema}.{table}"}}));
  TestBatch batch;
  batch.Begin(100).Insert({"7", "12.50", "a"});
  batch.Use(TestRelation({{"id", 20}}, 1, "Line Items")).Insert({"1"});
  Deliver(*destination, batch.batch(), 100);
  EXPECT_THAT(Operations(ReadTopic(Brokers(), flow + ".shop.orders")), ElementsAre("insert {\"id\":7}"));
  EXPECT_THAT(Operations(ReadTopic(Brokers(), flow + ".shop.Line_Items")), ElementsAre("insert {\"id\":1}"));
}

// A topic of all tables with one partition is the source's stream.
TEST(Kafka, OneTopicKeepsTheOrderOfTheSource) {
  const std::string flow = UniqueName("order");
  const auto destination = OpenKafka(KafkaConfig(flow));
  TestBatch batch;
  const RelationPtr orders = OrdersRelation(), items = TestRelation({{"id", 20}}, 1, "items");
  for (uint64_t i = 1; i <= 20; ++i) {
    batch.Begin(i * 100).Use(orders).Insert({absl::StrCat(i), "1.00", "a"});
    batch.Use(items).Insert({absl::StrCat(i)});
  }
  Deliver(*destination, batch.batch(), 2000);
  const auto messages = ReadTopic(Brokers(), flow);
  ASSERT_EQ(messages.size(), 40u);
  for (size_t i = 0; i < messages.size(); ++i) {
    EXPECT_EQ(messages[i].headers.at("wallaby-lsn"), absl::StrCat((i / 2 + 1) * 100));
    EXPECT_EQ(messages[i].headers.at("wallaby-seq"), absl::StrCat(i % 2));
  }
}

class KafkaCompression : public testing::TestWithParam<const char*> {};

TEST_P(KafkaCompression, RecordsAndBatchesComeBack) {
  for (const char* mode : {"record", "batch"}) {
    const std::string flow = UniqueName("compressed");
    const auto destination = OpenKafka(KafkaConfig(flow, {{"compression", GetParam()}, {"message_mode", mode}}));
    TestBatch batch;
    for (int i = 0; i < 500; ++i) batch.Insert({absl::StrCat(i), "1.00", std::string(100, 'x')});
    Deliver(*destination, batch.batch(), 100);
    size_t records = 0;
    for (const ReadMessage& message : ReadTopic(Brokers(), flow)) {
      const std::string& value = *message.value;
      if (mode == std::string("record")) {
        EXPECT_EQ(Json::parse(value).at("after").at("note"), std::string(100, 'x'));
        ++records;
      } else {
        records += static_cast<size_t>(std::count(value.begin(), value.end(), '\n'));
      }
    }
    EXPECT_EQ(records, 500u) << mode;
  }
}
INSTANTIATE_TEST_SUITE_P(All, KafkaCompression, testing::Values("none", "gzip", "snappy", "lz4", "zstd"));

TEST(Kafka, BatchesAreAsLargeAsTheyMayBe) {
  const std::string flow = UniqueName("batches");
  const auto destination = OpenKafka(KafkaConfig(flow, {{"message_mode", "batch"},
                                                        {"max_batch_bytes", "20KB"},
                                                        {"max_message_bytes", "40KB"},
                                                        {"topic_partitions", "3"}}));
  TestBatch batch;
  batch.Begin(100);
  for (int i = 0; i < 2000; ++i) {
    // Rows of many sizes; one alone is larger than a batch shall be, but no larger than a message may be.
    const size_t size = i == 1000 ? 30'000 : static_cast<size_t>(i * 37 % 500);
    batch.Insert({absl::StrCat(i), "1.00", std::string(size, 'x')});
  }
  Deliver(*destination, batch.batch(), 100);
  const auto messages = ReadTopic(Brokers(), flow);
  int next = 0;
  size_t full = 0;
  for (const ReadMessage& message : messages) {
    EXPECT_LE(message.value->size(), 31'000u);
    full += message.value->size() > 10'000;
    EXPECT_EQ(message.partition, messages[0].partition) << "batches of one table stand in order";
    EXPECT_EQ(*message.key, "shop.orders");
    const std::vector<std::string> lines = absl::StrSplit(*message.value, '\n', absl::SkipEmpty());
    EXPECT_EQ(message.headers.at("wallaby-changes"), absl::StrCat(lines.size()));
    for (const std::string& line : lines) EXPECT_EQ(Json::parse(line).at("key").at("id"), next++);
    EXPECT_EQ(message.headers.at("wallaby-seq"), absl::StrCat(next - 1)) << "the last change's";
  }
  EXPECT_EQ(next, 2000);
  EXPECT_GT(full, messages.size() / 2) << "of " << messages.size();
}

TEST(Kafka, WhatIsTooLargeStopsTheFlowOrIsLeftOut) {
  for (const char* mode : {"record", "batch"}) {
    const std::string flow = UniqueName("oversize");
    DestinationConfig config = KafkaConfig(flow, {{"message_mode", mode}, {"max_message_bytes", "10KB"}});
    TestBatch batch;
    batch.Begin(100)
        .Insert({"1", "1.00", "a"})
        .Insert({"2", "1.00", std::string(20'000, 'x')})
        .Insert({"3", "1.00", "c"});
    const absl::Status refused = OpenKafka(config)->Write(batch.batch());
    EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
    EXPECT_THAT(std::string(refused.message()),
                AllOf(HasSubstr("shop.orders"), HasSubstr("0/64:1"), HasSubstr("raise max_message_bytes")));

    std::vector<std::string> left_out;
    config.options["oversize_policy"] = "drop";
    config.left_out = [&](const std::string& table, std::string_view why) {
      left_out.push_back(absl::StrCat(table, ": ", why));
    };
    Deliver(*OpenKafka(config), batch.batch(), 100);
    EXPECT_THAT(left_out, ElementsAre(HasSubstr("shop.orders: the change at 0/64:1")));
    std::string all;
    for (const ReadMessage& message : ReadTopic(Brokers(), flow)) all += *message.value;
    EXPECT_THAT(all, AllOf(HasSubstr("\"id\":1"), Not(HasSubstr("\"id\":2")), HasSubstr("\"id\":3")));
  }
}

TEST(Kafka, EveryFormat) {
  for (const char* format : {"json", "avro", "proto"}) {
    for (const char* mode : {"record", "batch"}) {
      const std::string flow = UniqueName("format");
      TestBatch batch;
      batch.Begin(100).Insert({"1", "1.00", "a"}).Update({"1", "2.00", "b"});
      Deliver(*OpenKafka(KafkaConfig(flow, {{"format", format}, {"message_mode", mode}})), batch.batch(), 100);
      const auto messages = ReadTopic(Brokers(), flow);
      EXPECT_EQ(messages.size(), mode == std::string("record") ? 2u : 1u);
      EXPECT_EQ(messages.at(0).headers.at("wallaby-format"), format);
    }
  }
}

TEST(Kafka, DebeziumsTombstones) {
  for (const bool wanted : {true, false}) {
    const std::string flow = UniqueName("debezium");
    TestBatch batch;
    batch.Begin(100).Insert({"1", "1.00", "a"}).Delete({"1", {}, {}});
    Deliver(*OpenKafka(KafkaConfig(flow, {{"json_envelope", "debezium"}, {"tombstones", wanted ? "true" : "false"}})),
            batch.batch(), 100);
    const auto messages = ReadTopic(Brokers(), flow);
    ASSERT_EQ(messages.size(), wanted ? 3u : 2u);
    EXPECT_EQ(Json::parse(*messages[1].value).at("op"), "d");
    EXPECT_EQ(messages.back().value.has_value(), !wanted);
  }
}

TEST(Kafka, ARegistrysSchemaIsNamedInHeaders) {
  const std::string flow = UniqueName("registry"), folder = testing::TempDir() + flow;
  TestBatch batch;
  batch.Begin(100).Insert({"1", "1.00", "a"});
  const Options options = {{"format", "avro"}, {"schema_registry", "local"}, {"schema_registry_url", folder}};
  const auto destination = OpenKafka(KafkaConfig(flow, options));
  Deliver(*destination, batch.batch(), 100);
  const auto headers = ReadTopic(Brokers(), flow).at(0).headers;
  EXPECT_EQ(headers.at("wallaby-registry-subject"), flow + "-value");
  EXPECT_EQ(headers.at("wallaby-registry-id"), "2") << "the key's schema is the first";
  EXPECT_EQ(headers.at("wallaby-registry-version"), "1");

  // At the gate: the registry's reason, and nothing changes.
  TableShape before{.relation = *OrdersRelation()},
      after{.relation = *TestRelation({{"id", 20}, {"total", 16}, {"note", 25}})};
  before.details.resize(3), after.details.resize(3);
  const absl::Status refused = destination->ApplyDdl(CompareShapes(&before, &after));
  EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
  EXPECT_THAT(std::string(refused.message()), HasSubstr(flow + "-value"));
  after.relation = *TestRelation({{"id", 20}, {"total", 1700, (10 << 16 | 2) + 4}, {"note", 25}, {"more", 25}});
  after.details.resize(4);
  const absl::Status followed = destination->ApplyDdl(CompareShapes(&before, &after));
  EXPECT_TRUE(followed.ok()) << followed;
}

// ---- topics ----

std::string Refused(const DestinationConfig& config, const RelationPtr& relation = OrdersRelation()) {
  const absl::Status status = OpenKafka(config)->CheckTable(*relation);
  EXPECT_TRUE(absl::IsFailedPrecondition(status) || absl::IsInvalidArgument(status)) << status;
  return std::string(status.message());
}

TEST(Kafka, TopicsThatDoNotFitAreRefusedBeforeDataIsRead) {
  const std::string flow = UniqueName("check");
  EXPECT_THAT(Refused(KafkaConfig(flow, {{"create_topics", "false"}})), HasSubstr("create_topics"));
  MakeTopic(Brokers(), flow, 1, {{"max.message.bytes", "900000"}});
  EXPECT_THAT(Refused(KafkaConfig(flow)), HasSubstr("takes messages of 900000 bytes"));
  EXPECT_TRUE(OpenKafka(KafkaConfig(flow, {{"max_message_bytes", "800KB"}}))->CheckTable(*OrdersRelation()).ok());

  const std::string compacted = UniqueName("compacted");
  MakeTopic(Brokers(), compacted, 1, {{"cleanup.policy", "compact"}});
  EXPECT_THAT(Refused(KafkaConfig(compacted, {{"message_mode", "batch"}})), HasSubstr("only the last batch"));
  EXPECT_THAT(Refused(KafkaConfig(compacted), TestRelation({{"a", 25}}, 0)), HasSubstr("has no key"));
  EXPECT_THAT(Refused(KafkaConfig(flow, {{"topic", "{table}"}}), TestRelation({{"id", 20}}, 1, std::string(300, 't'))),
              HasSubstr("249"));
  EXPECT_THAT(Refused(KafkaConfig(flow, {{"topic", absl::StrCat("wallaby.progress.", flow, ".k")}})),
              HasSubstr("choose another"));
}

TEST(Kafka, TopicsAreMadeAsTheOptionsSay) {
  const std::string flow = UniqueName("made");
  const auto destination = OpenKafka(KafkaConfig(
      flow, {{"topic_partitions", "4"}, {"topic_config", "cleanup.policy=compact,delete,retention.ms=86400000"}}));
  ASSERT_TRUE(destination->CheckTable(*OrdersRelation()).ok());
  TestBatch batch;
  batch.Begin(100).Truncate();
  Deliver(*destination, batch.batch(), 100);
  EXPECT_EQ(ReadTopic(Brokers(), flow).size(), 4u) << "a truncate in each partition";
  EXPECT_THAT(Refused(KafkaConfig(flow, {{"message_mode", "batch"}})), HasSubstr("compacted"));
}

TEST(Kafka, AnUnknownPropertyIsRefusedWhenTheDestinationIsMade) {
  const auto made = KafkaDestination::Make(KafkaConfig("f", {{"client_config", "linger.mss=5"}}));
  EXPECT_TRUE(absl::IsInvalidArgument(made.status())) << made.status();
  EXPECT_THAT(std::string(made.status().message()), HasSubstr("linger.mss"));
  EXPECT_TRUE(KafkaDestination::Make(KafkaConfig("f", {{"client_config", "linger.ms=5"}})).ok());
}

TEST(Kafka, WhatASchemaChangeMeansInWords) {
  const auto destination = MakeKafka(KafkaConfig("f", {{"topic", "{table}"}}));
  TableShape before{.relation = *OrdersRelation()}, after{.relation = *OrdersRelation()};
  before.details.resize(3), after.details.resize(3);
  after.relation.name = "bills";
  EXPECT_THAT(destination->DdlStatements(CompareShapes(&before, &after)),
              ElementsAre("-- the next messages go to topic bills; those in orders stay"));
  EXPECT_THAT(destination->DdlStatements(CompareShapes(&before, nullptr)), ElementsAre("-- topic orders stays"));
}

}  // namespace
}  // namespace wallaby
