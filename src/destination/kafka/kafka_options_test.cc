#include "destination/kafka/kafka_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "destination/kafka/topic_name.h"
#include "destination/options.h"

namespace wallaby {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::Pair;

using Options = std::map<std::string, std::string>;

absl::StatusOr<KafkaOptions> Parse(Options options, std::string_view type = "kafka", WireFormat format = {}) {
  options.emplace("brokers", "a:9092");
  DestinationConfig config{.flow_id = "f", .name = "k", .options = std::move(options), .wire_format = format};
  // As a flow file is checked: the names as well.
  if (absl::Status status = ParseTableOptions(type, config).status(); !status.ok()) return status;
  return ParseKafkaOptions(type, config);
}

std::string Said(const absl::StatusOr<KafkaOptions>& parsed) {
  EXPECT_TRUE(absl::IsInvalidArgument(parsed.status())) << parsed.status();
  return std::string(parsed.status().message());
}

TEST(KafkaOptions, Defaults) {
  const auto parsed = Parse({});
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->topic, "{schema}.{table}");
  EXPECT_TRUE(parsed->transactional());
  EXPECT_EQ(parsed->transactional_id, "wallaby-f-k");
  EXPECT_EQ(parsed->message_mode, MessageMode::kBatch);
  EXPECT_EQ(parsed->key_mode, KeyMode::kHash);
  EXPECT_EQ(parsed->compression, "lz4");
  EXPECT_FALSE(parsed->tombstones);
}

TEST(KafkaOptions, DebeziumsConsumersFindWhatTheyKnow) {
  const auto parsed = Parse({{"json_envelope", "debezium"}});
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->message_mode, MessageMode::kRecord);
  EXPECT_EQ(parsed->key_mode, KeyMode::kRaw);
  EXPECT_TRUE(parsed->tombstones);
  EXPECT_FALSE(Parse({{"json_envelope", "debezium"}, {"tombstones", "false"}})->tombstones);
  EXPECT_THAT(Said(Parse({{"json_envelope", "debezium"}, {"message_mode", "batch"}})), HasSubstr("single records"));
}

TEST(KafkaOptions, EachRefusalNamesTheOptionAndWhatIsAllowed) {
  const std::pair<Options, const char*> cases[] = {
      {{{"message_mode", "bulk"}}, "option message_mode of destination 'k': got 'bulk'; allowed: batch, record"},
      {{{"key_mode", "md5"}}, "hash, raw"},
      {{{"acks", "1"}}, "all, leader, none"},
      {{{"compression", "brotli"}}, "none, gzip, snappy, lz4, zstd"},
      {{{"max_message_bytes", "10"}}, "option max_message_bytes"},
      {{{"max_message_bytes", "100KB"}, {"max_batch_bytes", "101KB"}, {"message_mode", "record"}}, "max_batch_bytes"},
      {{{"max_record_bytes", "10KB"}}, "it is for message_mode record"},
      {{{"message_mode", "record"}, {"format", "parquet"}}, "no form for a single record"},
      {{{"tombstones", "true"}}, "message_mode record"},
      {{{"transaction_timeout", "100ms"}}, "transaction.max.timeout.ms"},
      {{{"acks", "leader"}, {"transactional_id", "x"}}, "acks all"},
      {{{"topic", "a b"}}, "{schema} and {table}"},
      {{{"topic", std::string(250, 'x')}}, "249"},
      {{{"topic_partitions", "0"}}, "a number from 1"},
      {{{"create_topics", "false"}, {"topic_partitions", "3"}}, "create_topics=true"},
      {{{"topic_config", "compact"}}, "name=value"},
      {{{"write_mode", "target"}}, "allowed: append"},
      {{{"security_protocol", "tls"}}, "sasl_plaintext, sasl_ssl"},
      {{{"security_protocol", "sasl_ssl"}}, "sasl_mechanism"},
      {{{"sasl_username", "u"}}, "it is for security_protocol"},
      {{{"ssl_ca", "/ca.pem"}}, "it is for security_protocol ssl"},
      {{{"security_protocol", "ssl"}, {"ssl_certificate", "/c.pem"}}, "go together"},
      {{{"client_config", "acks=0"}}, "set by the destination itself"},
      {{{"topics", "x"}}, "does not exist"},
      {{{"transaction_header", "wallaby-lsn"}}, "option transaction_header of destination 'k': got 'wallaby-lsn'"},
      {{{"oversize_policy", "split"}}, "error, drop, claim_check"},
      {{{"oversize_policy", "claim_check"}}, "option claim_check_bucket of destination 'k': is missing"},
      {{{"claim_check_bucket", "b"}}, "it is for oversize_policy claim_check"},
      {{{"oversize_policy", "claim_check"}, {"claim_check_bucket", "b"}, {"claim_check_access_key", "a"}},
       "option claim_check_secret_key of destination 'k': is missing; give claim_check_access_key and"},
      {{{"oversize_policy", "claim_check"}, {"claim_check_bucket", "b"}, {"claim_check_endpoint", "h/b"}},
       "option claim_check_endpoint"},
  };
  for (const auto& [options, words] : cases) EXPECT_THAT(Said(Parse(options)), HasSubstr(words));
}

TEST(KafkaOptions, SecretsAreNotInErrors) {
  EXPECT_THAT(Said(Parse({{"client_config", "s3cret"}})), Not(HasSubstr("s3cret")));
}

TEST(KafkaOptions, SettingsKeepListsTogether) {
  const auto parsed = Parse({{"topic_config", "cleanup.policy=compact,delete, retention.ms=1000"}});
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_THAT(parsed->topic_config,
              ElementsAre(Pair("cleanup.policy", "compact,delete"), Pair("retention.ms", "1000")));
}

TEST(KafkaOptions, FilesOfParquetAreCompressedOnce) {
  const auto parsed = Parse({{"compression", "zstd"}}, "kafka", WireFormat::kParquet);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->compression, "none");
}

TEST(KafkaOptions, Bufstream) {
  EXPECT_TRUE(Parse({}, "bufstream").ok());
  EXPECT_THAT(Said(Parse({{"acks", "leader"}}, "bufstream")), HasSubstr("object store"));
}

// The writer of tables that waited for a schema change runs beside the flow's own.
TEST(KafkaOptions, TablesThatWaitHaveATransactionalIdOfTheirOwn) {
  DestinationConfig config{
      .flow_id = "f/0/10", .name = "k", .options = {{"brokers", "a"}, {"transactional_id", "mine"}}};
  EXPECT_EQ(ParseKafkaOptions("kafka", config)->transactional_id, "mine/0/10");
}

TEST(TopicName, OfATable) {
  EXPECT_EQ(TopicName("cdc.{schema}.{table}", "public", "orders"), "cdc.public.orders");
  EXPECT_EQ(TopicName("{table}", "public", "Order Items"), "Order_Items");
  EXPECT_EQ(TopicName("all", "public", "orders"), "all");
  EXPECT_FALSE(CheckTopicName("..").ok());
}

}  // namespace
}  // namespace wallaby
