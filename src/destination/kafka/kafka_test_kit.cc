#include "destination/kafka/kafka_test_kit.h"

#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "destination/kafka/kafka_client.h"
#include "destination/kafka/kafka_destination.h"
#include "destination/kafka/topics.h"
#include "gtest/gtest.h"
#include "test/support/test_kafka.h"

namespace wallaby {
namespace {

std::unique_ptr<KafkaClient> Client(rd_kafka_type_t type, const std::string& brokers, const KafkaSettings& settings) {
  KafkaOptions options;
  options.brokers = brokers;
  auto client = KafkaClient::Make(type, options, settings);
  EXPECT_TRUE(client.ok()) << client.status();
  return *std::move(client);
}

std::optional<std::string> Bytes(const void* data, size_t size) {
  if (data == nullptr) return std::nullopt;
  return std::string(static_cast<const char*>(data), size);
}

ReadMessage Copy(const rd_kafka_message_t& message) {
  ReadMessage copy{.partition = message.partition,
                   .key = Bytes(message.key, message.key_len),
                   .value = Bytes(message.payload, message.len)};
  rd_kafka_headers_t* headers = nullptr;
  if (rd_kafka_message_headers(&message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR) return copy;
  const char* name = nullptr;
  const void* value = nullptr;
  size_t size = 0;
  for (size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR; ++i) {
    copy.headers[name] = std::string(static_cast<const char*>(value), size);
  }
  return copy;
}

}  // namespace

std::vector<ReadMessage> ReadTopic(const std::string& brokers, const std::string& topic, bool committed) {
  const auto consumer = Client(RD_KAFKA_CONSUMER, brokers,
                               {{"isolation.level", committed ? "read_committed" : "read_uncommitted"},
                                {"enable.partition.eof", "true"},
                                {"auto.offset.reset", "earliest"},
                                {"fetch.wait.max.ms", "10"}});
  const KafkaTopic handle(rd_kafka_topic_new(consumer->get(), topic.c_str(), nullptr));
  const rd_kafka_metadata_t* metadata = nullptr;
  EXPECT_EQ(rd_kafka_metadata(consumer->get(), 0, handle.get(), &metadata, 30'000), RD_KAFKA_RESP_ERR_NO_ERROR);
  const int partitions = metadata->topics[0].partition_cnt;
  rd_kafka_metadata_destroy(metadata);
  std::vector<ReadMessage> messages;
  for (int partition = 0; partition < partitions; ++partition) {
    EXPECT_EQ(rd_kafka_consume_start(handle.get(), partition, RD_KAFKA_OFFSET_BEGINNING), 0);
    for (;;) {
      rd_kafka_message_t* message = rd_kafka_consume(handle.get(), partition, 30'000);
      const bool got = message != nullptr && message->err == RD_KAFKA_RESP_ERR_NO_ERROR;
      EXPECT_TRUE(message != nullptr) << "no answer from " << topic;
      if (got) messages.push_back(Copy(*message));
      if (message != nullptr) rd_kafka_message_destroy(message);
      if (!got) break;
    }
    rd_kafka_consume_stop(handle.get(), partition);
  }
  return messages;
}

void MakeTopic(const std::string& brokers, const std::string& name, int partitions,
               const std::vector<std::pair<std::string, std::string>>& config) {
  const auto client = Client(RD_KAFKA_PRODUCER, brokers, {});
  const absl::Status status =
      CreateTopic(client.get(), {.name = name, .partitions = partitions, .config = {config.begin(), config.end()}});
  ASSERT_TRUE(status.ok()) << status;
}

std::string UniqueName(const std::string& prefix) {
  static int count = 0;
  return absl::StrCat(prefix, "-", getpid(), "-", ++count);
}

DestinationConfig KafkaConfig(const std::string& flow, const Options& options, int64_t generation) {
  DestinationConfig config{.type = "kafka", .flow_id = flow, .name = "k", .generation = generation};
  config.options = {
      {"brokers", TestKafka::Shared().brokers()}, {"topic", flow}, {"message_mode", "record"}, {"key_mode", "raw"}};
  for (const auto& [name, value] : options) config.options[name] = value;
  return config;
}

std::unique_ptr<Destination> MakeKafka(const DestinationConfig& config) {
  auto made = KafkaDestination::Make(config);
  EXPECT_TRUE(made.ok()) << made.status();
  return *std::move(made);
}

std::unique_ptr<Destination> OpenKafka(const DestinationConfig& config) {
  auto made = MakeKafka(config);
  const auto progress = made->Open();
  EXPECT_TRUE(progress.ok()) << progress.status();
  return made;
}

CommitPoint PointAt(uint64_t commit, std::vector<std::string> parts) {
  if (commit == 0) return {.finished_parts = std::move(parts)};
  return {.commit = Lsn{commit}, .end = Lsn{commit + 8}, .finished_parts = std::move(parts)};
}

}  // namespace wallaby
