#include "destination/kafka/progress_topic.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status.h"
#include "destination/kafka/topics.h"
#include "nlohmann/json.hpp"

namespace wallaby {
namespace {

using Json = nlohmann::json;
using MessageFromKafka = std::unique_ptr<rd_kafka_message_t, Freer<rd_kafka_message_destroy>>;

constexpr int kPartition = 0;

// The same bytes for ever.
std::string Key(const std::string& flow_id, const std::string& destination, std::string_view kind) {
  return absl::StrCat("{\"flow\":", Json(flow_id).dump(), ",\"destination\":", Json(destination).dump(), ",\"kind\":\"",
                      kind, "\"}");
}

int Millis(absl::Duration duration) {
  return static_cast<int>(absl::ToInt64Milliseconds(duration));
}

// Small segments, so that compaction, which leaves the last one alone, keeps the topic short.
NewTopic Definition(const std::string& name, int replication_factor) {
  return {.name = name,
          .partitions = 1,
          .replication_factor = replication_factor,
          .config = {{"cleanup.policy", "compact"},
                     {"segment.bytes", "16777216"},
                     {"segment.ms", "3600000"},
                     {"min.cleanable.dirty.ratio", "0.1"}}};
}

// Names are as the database has them, which need not be UTF-8; JSON must.
std::vector<std::string> Escaped(const std::set<std::string>& names) {
  std::vector<std::string> escaped;
  for (const std::string& name : names) escaped.push_back(absl::CHexEscape(name));
  return escaped;
}

absl::StatusOr<std::set<std::string>> Unescaped(const Json& names) {
  std::set<std::string> plain;
  for (const std::string& name : names.get<std::vector<std::string>>()) {
    std::string one;
    if (!absl::CUnescape(name, &one)) return absl::DataLossError(absl::StrCat("'", name, "' is no name"));
    plain.insert(std::move(one));
  }
  return plain;
}

absl::Status Parse(const std::string& position, const std::string& tables, KafkaProgress* out) {
  try {
    const Json first = Json::parse(position), second = Json::parse(tables);
    out->generation = std::max(first.at("generation").get<int64_t>(), second.at("generation").get<int64_t>());
    ASSIGN_OR_RETURN(out->progress.commit, Lsn::Parse(first.at("commit").get<std::string>()));
    ASSIGN_OR_RETURN(out->progress.end, Lsn::Parse(first.at("end").get<std::string>()));
    ASSIGN_OR_RETURN(out->progress.snapshot_parts, Unescaped(second.at("parts")));
    ASSIGN_OR_RETURN(out->tables, Unescaped(second.at("tables")));
    return absl::OkStatus();
  } catch (const Json::exception& error) {
    return absl::DataLossError(error.what());
  }
}

}  // namespace

ProgressTopic::ProgressTopic(KafkaClient* client, const KafkaOptions* options, std::string topic,
                             const std::string& flow_id, const std::string& destination)
    : client_(client),
      options_(options),
      topic_(std::move(topic)),
      position_key_(Key(flow_id, destination, "position")),
      tables_key_(Key(flow_id, destination, "tables")) {}

absl::Status ProgressTopic::Ensure() {
  ASSIGN_OR_RETURN(const std::optional<TopicSettings> found, DescribeTopic(client_, topic_));
  if (!found.has_value()) {
    RETURN_IF_ERROR(CreateTopic(client_, Definition(topic_, options_->topic_replication_factor)));
  } else if (found->described && !found->compacted) {
    return absl::FailedPreconditionError(absl::StrCat("topic ", topic_,
                                                      ", which holds the flow's progress, would forget it in time: its "
                                                      "cleanup.policy must be compact"));
  }
  handle_.reset(rd_kafka_topic_new(client_->get(), topic_.c_str(), nullptr));
  if (handle_ == nullptr) return client_->Explain(rd_kafka_last_error(), absl::StrCat("topic ", topic_));
  return absl::OkStatus();
}

absl::Status ProgressTopic::AskRange(int64_t* low, int64_t* end) const {
  const absl::Time deadline = absl::Now() + kKafkaPatience;
  for (;;) {
    const auto code =
        rd_kafka_query_watermark_offsets(client_->get(), topic_.c_str(), kPartition, low, end, Millis(kKafkaStep));
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) return absl::OkStatus();
    const absl::Status status = client_->Explain(code, absl::StrCat("asking for the end of topic ", topic_));
    // A broker may be named as the leader before it knows that it is.
    if (!IsTransient(status) || absl::Now() > deadline || client_->cut_short()) return status;
    client_->Poll(absl::Milliseconds(50));
  }
}

absl::StatusOr<KafkaProgress> ProgressTopic::Read(Upto upto) const {
  int64_t low = 0, end = 0;
  RETURN_IF_ERROR(AskRange(&low, &end));
  ASSIGN_OR_RETURN(const std::unique_ptr<KafkaClient> consumer,
                   KafkaClient::Make(RD_KAFKA_CONSUMER, *options_,
                                     {{"isolation.level", "read_committed"},
                                      {"enable.partition.eof", "true"},
                                      {"auto.offset.reset", "earliest"},
                                      {"fetch.wait.max.ms", "10"}}));
  // From the end backwards: the last record of each kind counts, and mostly stands there.
  Records records;
  int64_t length = 1'000;
  for (int64_t begin = end; begin > low && !(records.position && records.tables); length *= 10) {
    const int64_t from = std::max(low, begin - length);
    RETURN_IF_ERROR(ReadRange(consumer.get(), from, begin, upto, &records));
    begin = from;
  }
  KafkaProgress progress;
  if (!records.position && !records.tables) return progress;
  // They are written together at first.
  if (!records.position || !records.tables)
    return absl::DataLossError(absl::StrCat("topic ", topic_, " has lost records"));
  const absl::Status parsed = Parse(*records.position, *records.tables, &progress);
  if (!parsed.ok()) return Annotate(parsed, absl::StrCat("topic ", topic_, ", record ", position_key_));
  return progress;
}

absl::Status ProgressTopic::ReadRange(KafkaClient* consumer, int64_t begin, int64_t end, Upto upto,
                                      Records* records) const {
  const std::string what = absl::StrCat("reading topic ", topic_);
  const KafkaTopic topic(rd_kafka_topic_new(consumer->get(), topic_.c_str(), nullptr));
  if (topic == nullptr || rd_kafka_consume_start(topic.get(), kPartition, begin) != 0) {
    return consumer->Explain(rd_kafka_last_error(), what);
  }
  const absl::Cleanup stop = [&] { rd_kafka_consume_stop(topic.get(), kPartition); };
  Records found;
  const absl::Time deadline = absl::Now() + kKafkaPatience;
  for (;;) {
    const MessageFromKafka message(rd_kafka_consume(topic.get(), kPartition, 1000));
    consumer->Poll(absl::ZeroDuration());
    if (message == nullptr || message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
      // A read-committed consumer is told of the end where an open transaction begins, too.
      if (message != nullptr && (message->offset >= end || upto == Upto::kOpen)) break;
      if (absl::Now() > deadline || consumer->cut_short()) {
        return consumer->Explain(RD_KAFKA_RESP_ERR__TIMED_OUT,
                                 "the end was not reached; somebody else's transaction may be open in it", what);
      }
      continue;
    }
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
      return consumer->Explain(message->err, rd_kafka_message_errstr(message.get()), what);
    }
    if (message->offset >= end) break;
    const std::string_view key(static_cast<const char*>(message->key), message->key_len);
    std::optional<std::string>* record = key == position_key_ ? &found.position
                                         : key == tables_key_ ? &found.tables
                                                              : nullptr;
    if (record != nullptr) {
      record->emplace(message->payload == nullptr ? "" : static_cast<const char*>(message->payload), message->len);
    }
  }
  if (!records->position) records->position = std::move(found.position);
  if (!records->tables) records->tables = std::move(found.tables);
  return absl::OkStatus();
}

absl::Status ProgressTopic::WritePosition(Producer* producer, const KafkaProgress& progress) const {
  return WriteRecord(
      producer, position_key_,
      absl::StrCat("{\"generation\":", progress.generation, ",\"commit\":\"", progress.progress.commit.ToString(),
                   "\",\"end\":\"", progress.progress.end.ToString(), "\"}"));
}

absl::Status ProgressTopic::WriteTables(Producer* producer, const KafkaProgress& progress) const {
  const Json value = {{"generation", progress.generation},
                      {"parts", Escaped(progress.progress.snapshot_parts)},
                      {"tables", Escaped(progress.tables)}};
  return WriteRecord(producer, tables_key_, value.dump());
}

absl::Status ProgressTopic::WriteRecord(Producer* producer, const std::string& key, const std::string& value) const {
  return producer->Send({.topic = handle_.get(), .partition = kPartition, .key = key, .value = value});
}

}  // namespace wallaby
