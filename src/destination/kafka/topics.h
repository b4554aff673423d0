// Topics: what the destination knows of the topics that it writes to, and makes those that are missing.
#ifndef WALLABY_DESTINATION_KAFKA_TOPICS_H_
#define WALLABY_DESTINATION_KAFKA_TOPICS_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "destination/kafka/kafka_client.h"

namespace wallaby {

// As a broker tells it; where it does not tell (no right to describe), what forbids nothing.
struct TopicSettings {
  std::optional<int64_t> max_message_bytes;
  bool compacted = false;
  bool described = false;
  bool missing = false;  // or not known yet to the broker that was asked
};

// Asks a broker; nothing: there is no such topic. Makes no topic.
absl::StatusOr<std::optional<TopicSettings>> DescribeTopic(KafkaClient* client, const std::string& name);

struct NewTopic {
  std::string name;
  int partitions = -1;  // -1: the broker's default
  int replication_factor = -1;
  KafkaSettings config;
};
// Also OK when it is there already.
absl::Status CreateTopic(KafkaClient* client, const NewTopic& topic);

struct Topic {
  std::string name;
  TopicSettings settings;
  KafkaTopic handle;
};

class Topics {
 public:
  // Both outlive the object.
  Topics(KafkaClient* client, const KafkaOptions* options) : client_(client), options_(options) {}

  // For rows of a table: made if it is missing and may be made. The pointer stays valid. FAILED_PRECONDITION says what
  // of the topic does not fit the options.
  absl::StatusOr<const Topic*> Find(const std::string& name);

  // The same checks without making anything; a missing topic is an error only where none is made.
  absl::StatusOr<TopicSettings> Check(const std::string& name) const;

  // How many partitions the topic has now.
  absl::StatusOr<int> Partitions(const Topic& topic) const;

 private:
  absl::Status CheckSettings(const std::string& name, const TopicSettings& settings) const;

  KafkaClient* const client_;
  const KafkaOptions* const options_;
  std::map<std::string, std::unique_ptr<Topic>> topics_;
};

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_KAFKA_TOPICS_H_
