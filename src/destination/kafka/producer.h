// Producer: messages to Kafka in transactions, or without any where acks is not all. For one thread.
//
// Kafka's transactions (KIP-98): everything between Begin() and Commit() becomes visible to read-committed consumers at
// once, in all topics. InitTransactions() shuts out an earlier producer of the same transactional.id, which learns it
// at its next call ("fenced"), and ends what that one had left open.
#ifndef WALLABY_DESTINATION_KAFKA_PRODUCER_H_
#define WALLABY_DESTINATION_KAFKA_PRODUCER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "destination/kafka/kafka_client.h"

namespace wallaby {

using KafkaHeaders = std::unique_ptr<rd_kafka_headers_t, Freer<rd_kafka_headers_destroy>>;

struct KafkaMessage {
  rd_kafka_topic_t* topic = nullptr;
  int partition = RD_KAFKA_PARTITION_UA;  // unassigned: by the key, or any without one
  std::optional<std::string_view> key;
  std::optional<std::string_view> value;  // nothing: a tombstone
  KafkaHeaders headers;
};

class Producer {
 public:
  // `memory`: bytes that may wait to be sent. Connects later, by itself.
  static absl::StatusOr<std::unique_ptr<Producer>> Make(const KafkaOptions& options, int64_t memory);
  // Aborts an open transaction, so that no consumer waits for it; after an error only where that takes no time.
  ~Producer();
  Producer(const Producer&) = delete;
  Producer& operator=(const Producer&) = delete;

  KafkaClient* client() { return client_.get(); }

  // Once, before all else. UNAVAILABLE when no broker answers in time.
  absl::Status InitTransactions();

  // Begins a transaction, unless one is open.
  absl::Status Begin();

  // Takes a copy. Waits while the memory is used up. An error can be about an earlier message.
  absl::Status Send(KafkaMessage message);

  // Returns when everything sent is durable as `acks` says, and the transaction committed. After UNAVAILABLE it may be
  // committed or not: whoever comes next sees it by what the transaction holds.
  absl::Status Commit();

 private:
  Producer(const KafkaOptions& options, std::unique_ptr<KafkaClient> client);

  // The status of a failed call, with what made it fail in front of what followed from it.
  absl::Status Failed(KafkaError error, std::string_view what);
  absl::Status Fenced(std::string_view text) const;
  // Calls `step(milliseconds)` until it succeeds, fails for good or gets nowhere any more.
  template <typename Step>
  absl::Status Patiently(std::string_view what, Step step);
  // Without transactions: until all has been answered.
  absl::Status Flush();

  const bool transactional_;
  const std::string transactional_id_;
  const absl::Duration transaction_timeout_;
  const std::unique_ptr<KafkaClient> client_;
  bool open_ = false;    // a transaction is
  bool failed_ = false;  // no use any more
  absl::Time began_;
};

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_KAFKA_PRODUCER_H_
