// ProgressTopic: what a flow's destination holds, in a compacted topic. Its records go into the same transactions as
// the data, so that after a crash the last committed record tells exactly what is in. Each destination has a topic of
// its own: in a shared one, what a dead worker of another left open would hide the last record until its timeout.
//
// Two records, in partition 0:
//   key    {"flow":"F","destination":"D","kind":"position"}     one at each commit
//   value  {"generation":7,"commit":"0/16B3748","end":"0/16B3778"}
//   key    {"flow":"F","destination":"D","kind":"tables"}       when it changes
//   value  {"generation":7,"parts":["shop.orders/1"],"tables":["shop.orders"]}
// Compaction keeps the last of each. Offsets of consumer groups would not do: they expire.
#ifndef WALLABY_DESTINATION_KAFKA_PROGRESS_TOPIC_H_
#define WALLABY_DESTINATION_KAFKA_PROGRESS_TOPIC_H_

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "destination/destination.h"
#include "destination/kafka/kafka_client.h"
#include "destination/kafka/producer.h"

namespace wallaby {

struct KafkaProgress {
  int64_t generation = 0;
  Progress progress;
  std::set<std::string> tables;  // of which anything has been sent
};

class ProgressTopic {
 public:
  // `client` and `options` outlive the object. Does no I/O.
  ProgressTopic(KafkaClient* client, const KafkaOptions* options, std::string topic, const std::string& flow_id,
                const std::string& destination);

  // Makes the topic if it is missing. FAILED_PRECONDITION when it would forget records.
  absl::Status Ensure();

  // Where reading ends when a transaction is open in the topic.
  enum class Upto {
    kOpen,  // before it
    kEnd,   // it is waited for: whoever left it is shut out, and the broker is ending it
  };
  // The last committed records. Nothing: none yet. UNAVAILABLE when the end is not reached in time. DATA_LOSS for a
  // record that is none of ours.
  absl::StatusOr<KafkaProgress> Read(Upto upto) const;

  // Both go into the producer's open transaction.
  absl::Status WritePosition(Producer* producer, const KafkaProgress& progress) const;
  absl::Status WriteTables(Producer* producer, const KafkaProgress& progress) const;

 private:
  struct Records {
    std::optional<std::string> position, tables;
  };
  // Offsets where the partition begins and where it ends, open transactions included.
  absl::Status AskRange(int64_t* low, int64_t* end) const;
  // Takes from [begin, end) what `records` lacks.
  absl::Status ReadRange(KafkaClient* consumer, int64_t begin, int64_t end, Upto upto, Records* records) const;
  absl::Status WriteRecord(Producer* producer, const std::string& key, const std::string& value) const;

  KafkaClient* const client_;
  const KafkaOptions* const options_;
  const std::string topic_;
  const std::string position_key_, tables_key_;
  KafkaTopic handle_;
};

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_KAFKA_PROGRESS_TOPIC_H_
