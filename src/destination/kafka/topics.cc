#include "destination/kafka/topics.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status.h"

namespace wallaby {
namespace {

// What a broker adds to the largest message: the record batch around it (61 bytes), and lengths.
constexpr int64_t kFraming = 512;

int Millis(absl::Duration duration) {
  return static_cast<int>(absl::ToInt64Milliseconds(duration));
}

using KafkaMetadata = std::unique_ptr<const rd_kafka_metadata_t, Freer<rd_kafka_metadata_destroy>>;
using AdminOptions = std::unique_ptr<rd_kafka_AdminOptions_t, Freer<rd_kafka_AdminOptions_destroy>>;
using AdminEvent = std::unique_ptr<rd_kafka_event_t, Freer<rd_kafka_event_destroy>>;

AdminOptions OptionsFor(KafkaClient* client, rd_kafka_admin_op_t operation) {
  AdminOptions options(rd_kafka_AdminOptions_new(client->get(), operation));
  char why[128];
  rd_kafka_AdminOptions_set_request_timeout(options.get(), Millis(kKafkaPatience), why, sizeof(why));
  if (operation == RD_KAFKA_ADMIN_OP_CREATETOPICS) {
    // Until the controller has made it everywhere.
    rd_kafka_AdminOptions_set_operation_timeout(options.get(), Millis(kKafkaPatience), why, sizeof(why));
  }
  return options;
}

// The answer to what was asked with `queue`. The library ends each request by itself in time, but who is refused at the
// door need not wait so long.
absl::StatusOr<AdminEvent> Answer(KafkaClient* client, rd_kafka_queue_t* queue, const std::string& what) {
  AdminEvent event;
  while (event == nullptr) {
    event.reset(rd_kafka_queue_poll(queue, 100));
    client->Poll(absl::ZeroDuration());
    if (event == nullptr && (client->refused() || client->cut_short()))
      return client->Explain(RD_KAFKA_RESP_ERR__TIMED_OUT, what);
  }
  if (const auto code = rd_kafka_event_error(event.get()); code != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return client->Explain(code, rd_kafka_event_error_string(event.get()), what);
  }
  return event;
}

// The topic's partitions as a broker knows them, which may be before all are led by one.
absl::StatusOr<KafkaMetadata> AskMetadata(KafkaClient* client, rd_kafka_topic_t* topic) {
  const std::string what = absl::StrCat("asking for the partitions of topic ", rd_kafka_topic_name(topic));
  const rd_kafka_metadata_t* metadata = nullptr;
  const absl::Time deadline = absl::Now() + kKafkaPatience;
  rd_kafka_resp_err_t code;
  do {
    code = rd_kafka_metadata(client->get(), 0, topic, &metadata, Millis(kKafkaStep));
  } while (code == RD_KAFKA_RESP_ERR__TIMED_OUT && absl::Now() < deadline && !client->cut_short());
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return client->Explain(code, what);
  KafkaMetadata owned(metadata);
  if (metadata->topic_cnt != 1) return absl::UnavailableError(absl::StrCat(what, ": an empty answer"));
  if (metadata->topics[0].err != RD_KAFKA_RESP_ERR_NO_ERROR) return client->Explain(metadata->topics[0].err, what);
  return owned;
}

bool IsLed(const rd_kafka_metadata_topic_t& topic) {
  return std::all_of(topic.partitions, topic.partitions + topic.partition_cnt,
                     [](const rd_kafka_metadata_partition_t& partition) { return partition.leader >= 0; });
}

// A topic that was just made becomes known to the brokers one by one, and nobody says when to all.
absl::Status AwaitTopic(KafkaClient* client, const std::string& name) {
  const KafkaTopic topic(rd_kafka_topic_new(client->get(), name.c_str(), nullptr));
  const absl::Time deadline = absl::Now() + kKafkaPatience;
  for (;;) {
    const auto metadata = AskMetadata(client, topic.get());
    if (metadata.ok() && IsLed((*metadata)->topics[0])) return absl::OkStatus();
    const bool late = absl::Now() > deadline || client->cut_short();
    if (!metadata.ok() && (!IsTransient(metadata.status()) || late)) return metadata.status();
    if (late) return absl::UnavailableError(absl::StrCat("topic ", name, " has no leader"));
    client->Poll(absl::Milliseconds(50));
  }
}

TopicSettings ReadSettings(const rd_kafka_ConfigResource_t* resource) {
  TopicSettings settings{.described = true};
  size_t count = 0;
  const rd_kafka_ConfigEntry_t** entries = rd_kafka_ConfigResource_configs(resource, &count);
  for (size_t i = 0; i < count; ++i) {
    const std::string_view name = rd_kafka_ConfigEntry_name(entries[i]);
    const char* value = rd_kafka_ConfigEntry_value(entries[i]);
    if (value == nullptr) continue;
    int64_t number = 0;
    if (name == "max.message.bytes" && absl::SimpleAtoi(value, &number)) settings.max_message_bytes = number;
    if (name == "cleanup.policy") settings.compacted = absl::StrContains(value, "compact");
  }
  return settings;
}

}  // namespace

absl::StatusOr<std::optional<TopicSettings>> DescribeTopic(KafkaClient* client, const std::string& name) {
  const std::string what = absl::StrCat("describing topic ", name);
  const std::unique_ptr<rd_kafka_ConfigResource_t, Freer<rd_kafka_ConfigResource_destroy>> asked(
      rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, name.c_str()));
  const AdminOptions options = OptionsFor(client, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
  const KafkaQueue queue(rd_kafka_queue_new(client->get()));
  rd_kafka_ConfigResource_t* resources[] = {asked.get()};
  rd_kafka_DescribeConfigs(client->get(), resources, 1, options.get(), queue.get());
  ASSIGN_OR_RETURN(const AdminEvent event, Answer(client, queue.get(), what));
  size_t count = 0;
  const rd_kafka_ConfigResource_t** answers =
      rd_kafka_DescribeConfigs_result_resources(rd_kafka_event_DescribeConfigs_result(event.get()), &count);
  if (count != 1) return absl::UnavailableError(absl::StrCat(what, ": an empty answer"));
  switch (const auto code = rd_kafka_ConfigResource_error(answers[0])) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
      return ReadSettings(answers[0]);
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
      return std::nullopt;
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
      return TopicSettings{};  // whoever may not look can still write
    default: {
      const char* text = rd_kafka_ConfigResource_error_string(answers[0]);
      return client->Explain(code, text != nullptr ? text : rd_kafka_err2str(code), what);
    }
  }
}

absl::Status CreateTopic(KafkaClient* client, const NewTopic& topic) {
  const std::string what = absl::StrCat("creating topic ", topic.name);
  char why[256];
  const std::unique_ptr<rd_kafka_NewTopic_t, Freer<rd_kafka_NewTopic_destroy>> asked(
      rd_kafka_NewTopic_new(topic.name.c_str(), topic.partitions, topic.replication_factor, why, sizeof(why)));
  if (asked == nullptr) return absl::InvalidArgumentError(absl::StrCat(what, ": ", why));
  for (const auto& [name, value] : topic.config) {
    rd_kafka_NewTopic_set_config(asked.get(), name.c_str(), value.c_str());
  }
  const AdminOptions options = OptionsFor(client, RD_KAFKA_ADMIN_OP_CREATETOPICS);
  const KafkaQueue queue(rd_kafka_queue_new(client->get()));
  rd_kafka_NewTopic_t* topics[] = {asked.get()};
  rd_kafka_CreateTopics(client->get(), topics, 1, options.get(), queue.get());
  ASSIGN_OR_RETURN(const AdminEvent event, Answer(client, queue.get(), what));
  size_t count = 0;
  const rd_kafka_topic_result_t** answers =
      rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event.get()), &count);
  if (count != 1) return absl::UnavailableError(absl::StrCat(what, ": an empty answer"));
  const auto code = rd_kafka_topic_result_error(answers[0]);
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR || code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) {
    return AwaitTopic(client, topic.name);
  }
  const char* text = rd_kafka_topic_result_error_string(answers[0]);
  return client->Explain(code, text != nullptr ? text : rd_kafka_err2str(code), what);
}

absl::Status Topics::CheckSettings(const std::string& name, const TopicSettings& settings) const {
  if (settings.max_message_bytes.has_value() && *settings.max_message_bytes < options_->max_message_bytes + kFraming) {
    return absl::FailedPreconditionError(
        absl::StrCat("topic ", name, " takes messages of ", *settings.max_message_bytes,
                     " bytes, and max_message_bytes is ", options_->max_message_bytes, " and ", kFraming,
                     " for what frames them; raise the topic's max.message.bytes or lower the option"));
  }
  if (settings.compacted && options_->message_mode == MessageMode::kBatch) {
    return absl::FailedPreconditionError(
        absl::StrCat("topic ", name,
                     " is compacted and would keep only the last batch of a table; use message_mode "
                     "record, or a topic with cleanup.policy delete"));
  }
  return absl::OkStatus();
}

absl::StatusOr<TopicSettings> Topics::Check(const std::string& name) const {
  ASSIGN_OR_RETURN(const std::optional<TopicSettings> found, DescribeTopic(client_, name));
  if (found.has_value()) {
    RETURN_IF_ERROR(CheckSettings(name, *found));
    return *found;
  }
  if (options_->create_topics) return TopicSettings{.missing = true};
  return absl::FailedPreconditionError(
      absl::StrCat("topic ", name, " is missing; create it, or set create_topics to true"));
}

absl::StatusOr<const Topic*> Topics::Find(const std::string& name) {
  if (const auto known = topics_.find(name); known != topics_.end()) return known->second.get();
  ASSIGN_OR_RETURN(TopicSettings settings, Check(name));
  if (settings.missing) {
    RETURN_IF_ERROR(CreateTopic(client_, {.name = name,
                                          .partitions = options_->topic_partitions,
                                          .replication_factor = options_->topic_replication_factor,
                                          .config = options_->topic_config}));
    // The brokers' defaults count for what topic_config leaves open.
    ASSIGN_OR_RETURN(settings, Check(name));
  }
  auto topic = std::make_unique<Topic>(Topic{.name = name, .settings = settings});
  topic->handle.reset(rd_kafka_topic_new(client_->get(), name.c_str(), nullptr));
  if (topic->handle == nullptr) return client_->Explain(rd_kafka_last_error(), absl::StrCat("topic ", name));
  return topics_.emplace(name, std::move(topic)).first->second.get();
}

absl::StatusOr<int> Topics::Partitions(const Topic& topic) const {
  ASSIGN_OR_RETURN(const KafkaMetadata metadata, AskMetadata(client_, topic.handle.get()));
  return metadata->topics[0].partition_cnt;
}

}  // namespace wallaby
