// What a flow may say about a kafka or bufstream destination, parsed and checked. No Kafka library here: a flow file is
// checked by programs that do without one.
#ifndef WALLABY_DESTINATION_KAFKA_KAFKA_OPTIONS_H_
#define WALLABY_DESTINATION_KAFKA_KAFKA_OPTIONS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "destination/destination.h"
#include "destination/s3/bucket_options.h"

namespace wallaby {

enum class KafkaAcks { kAll, kLeader, kNone };
enum class OversizePolicy {
  kError,
  kDrop,
  kClaimCheck,  // the payload goes into a bucket, and the message says where
};
enum class MessageMode { kBatch, kRecord };
enum class KeyMode {
  kHash,  // 32 hexadecimal digits, whatever the key's length
  kRaw,   // the key as the codec writes it
};

// What stands before the names of a bucket's options here.
inline constexpr char kClaimCheckPrefix[] = "claim_check_";

using KafkaSettings = std::vector<std::pair<std::string, std::string>>;

struct KafkaSecurity {
  std::string protocol = "plaintext";
  std::string mechanism;
  std::string username, password;
  // Each a file's path or PEM text.
  std::string ca, certificate, key;
  std::string key_password;
};

struct KafkaOptions {
  std::string brokers;
  KafkaSecurity security;

  std::string topic = "{schema}.{table}";
  bool create_topics = true;
  int topic_partitions = -1;  // -1: the broker's default
  int topic_replication_factor = -1;
  KafkaSettings topic_config;

  KafkaAcks acks = KafkaAcks::kAll;
  std::string transactional_id;  // never empty where acks is kAll
  absl::Duration transaction_timeout = absl::Minutes(5);

  std::string compression;  // in librdkafka's words; empty for format parquet, whose files are compressed already
  int64_t max_message_bytes = 1'000'000;
  int64_t max_batch_bytes = 1'000'000;      // of a batch's payload; in record mode, of messages sent together
  std::optional<int64_t> max_record_bytes;  // of key and value, in record mode
  OversizePolicy oversize_policy = OversizePolicy::kError;
  std::optional<BucketOptions> claim_check;  // with kClaimCheck
  MessageMode message_mode = MessageMode::kBatch;
  KeyMode key_mode = KeyMode::kHash;
  bool tombstones = false;
  bool debezium = false;  // the codec is Debezium's, which makes tombstones itself
  std::string transaction_header = "wallaby-transaction-id";

  KafkaSettings client_config;       // for librdkafka, as they are
  const Event* cut_short = nullptr;  // of the DestinationConfig

  // With acks all the data and the progress go in Kafka transactions. Without, there is neither transaction nor
  // progress.
  bool transactional() const { return acks == KafkaAcks::kAll; }
};

// Reads what is `type`'s own (kafka or bufstream), not the table options. INVALID_ARGUMENT names the option and what is
// allowed.
absl::StatusOr<KafkaOptions> ParseKafkaOptions(std::string_view type, const DestinationConfig& config);

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_KAFKA_KAFKA_OPTIONS_H_
