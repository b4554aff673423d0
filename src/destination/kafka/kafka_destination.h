// KafkaDestination: changes as messages in topics, exactly once for read-committed consumers. Also for Bufstream, which
// speaks Kafka's protocol. docs/destinations/kafka.md is the user's page.
//
// Everything from one Commit() to the next is one Kafka transaction, and so is the progress (progress_topic.h). With
// acks other than all there is neither: at least once from the flow's checkpoint on, as far as the broker keeps what it
// has not promised.
#ifndef WALLABY_DESTINATION_KAFKA_KAFKA_DESTINATION_H_
#define WALLABY_DESTINATION_KAFKA_KAFKA_DESTINATION_H_

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "codec/codec.h"
#include "destination/destination.h"
#include "destination/kafka/claim_check.h"
#include "destination/kafka/kafka_options.h"
#include "destination/kafka/message_writer.h"
#include "destination/kafka/producer.h"
#include "destination/kafka/progress_topic.h"
#include "destination/kafka/topics.h"
#include "destination/options.h"

namespace wallaby {

class KafkaDestination : public Destination {
 public:
  static absl::StatusOr<std::unique_ptr<Destination>> Make(const DestinationConfig& config);

  Capabilities capabilities() const override { return {.keeps_progress = options_.transactional()}; }
  absl::StatusOr<Progress> Open() override;
  absl::Status CheckTable(const Relation& relation) override;
  absl::Status Write(const ChangeBatch& batch) override;
  absl::Status Commit(const CommitPoint& point) override;
  // A log keeps what it has. When anything of the table was sent before, a truncate is sent, so that whoever follows
  // the log drops it.
  absl::Status ResetSnapshot(const Relation& relation, std::string_view part_prefix) override;
  std::vector<std::string> DdlStatements(const SchemaChange& change) const override;
  // Registers the new schema, so that a registry that refuses it is heard before a row is sent.
  absl::Status ApplyDdl(const SchemaChange& change) override;

 private:
  // What is there between Open() and the next error.
  struct Session {
    std::unique_ptr<Producer> producer;
    std::optional<ProgressTopic> progress_topic;  // with transactions
    std::unique_ptr<Topics> topics;
    std::unique_ptr<MessageWriter> writer;
    KafkaProgress stored;  // as of the last commit
    KafkaProgress next;    // as of the next
    bool tables_changed = false;
  };

  KafkaDestination(DestinationConfig config, TableOptions table, KafkaOptions options);

  std::string TopicOf(const Relation& relation) const;
  // Names of the topics of progress begin with it and a dot.
  std::string ProgressPrefix() const;
  std::string ProgressTopicName() const;
  absl::StatusOr<std::unique_ptr<Codec>> MakeCodec(const DestinationConfig& config) const;
  absl::Status OpenProgress(Session* session);
  absl::Status WriteProgress();
  absl::Status Fence(const KafkaProgress& stored) const;
  absl::Status CheckOpen() const;
  // After an error nothing is known of the producer; Open() makes another.
  absl::Status Broken(absl::Status status);
  std::string DdlRemark(const SchemaStep& step, const SchemaChange& change) const;

  const DestinationConfig config_;
  const TableOptions table_;
  const KafkaOptions options_;
  std::unique_ptr<Codec> codec_;        // outlives sessions: what is registered is not asked for again
  std::unique_ptr<Codec> checker_;      // the same without a registry: checks change nothing
  std::unique_ptr<ClaimCheck> claims_;  // null: there is no place for them
  std::optional<Session> session_;
};

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_KAFKA_KAFKA_DESTINATION_H_
