// What the tests of the kafka destination share: topics read back, and destinations with few words.
#ifndef WALLABY_DESTINATION_KAFKA_KAFKA_TEST_KIT_H_
#define WALLABY_DESTINATION_KAFKA_KAFKA_TEST_KIT_H_

#include <librdkafka/rdkafka.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "destination/destination.h"

namespace wallaby {

struct ReadMessage {
  int partition = 0;
  std::optional<std::string> key, value;
  std::map<std::string, std::string> headers;
};

// All messages of all partitions up to where they end now, by partition; as a read-committed consumer sees them, or
// with what is open or aborted.
std::vector<ReadMessage> ReadTopic(const std::string& brokers, const std::string& topic, bool committed = true);

// A topic with settings of its own.
void MakeTopic(const std::string& brokers, const std::string& name, int partitions,
               const std::vector<std::pair<std::string, std::string>>& config = {});

// Each test has names of its own in the broker that all share.
std::string UniqueName(const std::string& prefix);

using Options = std::map<std::string, std::string>;

// Of type kafka, on the shared broker, in record mode with raw keys and json, flow `flow`; `options` add and replace.
DestinationConfig KafkaConfig(const std::string& flow, const Options& options = {}, int64_t generation = 1);
std::unique_ptr<Destination> MakeKafka(const DestinationConfig& config);
// The same, opened.
std::unique_ptr<Destination> OpenKafka(const DestinationConfig& config);

CommitPoint PointAt(uint64_t commit, std::vector<std::string> parts = {});

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_KAFKA_KAFKA_TEST_KIT_H_
