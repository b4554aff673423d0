// MessageWriter: a batch of changes as Kafka messages: which topic, key, headers and payload. One message for each
// record, or for as many changes of a table as fit; docs/destinations/kafka.md has the form.
#ifndef WALLABY_DESTINATION_KAFKA_MESSAGE_WRITER_H_
#define WALLABY_DESTINATION_KAFKA_MESSAGE_WRITER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "change/change_batch.h"
#include "codec/codec.h"
#include "codec/relation_cache.h"
#include "destination/kafka/claim_check.h"
#include "destination/kafka/kafka_options.h"
#include "destination/kafka/producer.h"
#include "destination/kafka/topics.h"

namespace wallaby {

class MessageWriter {
 public:
  using TopicOf = std::function<std::string(const Relation&)>;
  using LeftOut = std::function<void(const std::string& table, std::string_view why)>;

  // All pointers outlive the object. `claims` may be null.
  MessageWriter(const KafkaOptions* options, Codec* codec, Producer* producer, Topics* topics, ClaimCheck* claims,
                TopicOf topic_of, LeftOut left_out);

  // Into the producer's open transaction, in the batch's order; in batch mode, in its order within each table.
  // FAILED_PRECONDITION names the change that is too large and what to do.
  absl::Status Write(const ChangeBatch& batch);

 private:
  struct Table {
    RelationPtr relation;
    const Topic* topic = nullptr;
    std::vector<std::pair<std::string, std::string>> headers;  // the same in every message
    size_t headers_bytes = 0;
    std::string batch_key;
    double bytes_per_change = 0;  // in batches, as last seen
  };

  absl::StatusOr<Table*> FindTable(const RelationPtr& relation);
  absl::StatusOr<std::unique_ptr<Table>> MakeTable(const RelationPtr& relation);
  absl::Status WriteRecords(Table* table, const BatchSlice& slice);
  absl::Status WriteRecord(const Table& table, const EncodedRecord& record);
  absl::Status WriteBatches(Table* table, const ChangeBatch& batch, uint32_t relation);
  // The payload is payload_, or stands where `claim` says.
  absl::Status SendBatch(const Table& table, const ChangeBatch& batch, const Change& last, size_t changes,
                         const Claim* claim);
  // Puts a payload where claim checks are kept. Nothing when there is no such place, or no room in the message even so:
  // `rest` is what it takes without its payload.
  absl::StatusOr<std::optional<Claim>> TryClaim(const Table& table, Position position, std::string_view operation,
                                                std::string_view payload, size_t rest);
  KafkaHeaders Headers(const Table& table, const Transaction& transaction, uint32_t seq, ChangeKind kind) const;
  // The key by key_mode; valid until the next call.
  std::string_view KeyOf(std::string_view key);
  absl::Status TooLarge(const Table& table, Position position, size_t bytes, int64_t limit, std::string_view option);

  const KafkaOptions* const options_;
  Codec* const codec_;
  Producer* const producer_;
  Topics* const topics_;
  ClaimCheck* const claims_;
  const TopicOf topic_of_;
  const LeftOut left_out_;
  RelationCache<Table> tables_;
  std::string key_;
  std::string payload_;
  std::vector<size_t> places_;  // of a table's changes in the batch at hand
};

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_KAFKA_MESSAGE_WRITER_H_
