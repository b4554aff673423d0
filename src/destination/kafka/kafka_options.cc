#include "destination/kafka/kafka_options.h"

#include <algorithm>
#include <initializer_list>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/status.h"
#include "base/units.h"
#include "destination/kafka/topic_name.h"
#include "destination/option_reader.h"
#include "destination/options.h"

namespace wallaby {
namespace {

class Reader : public OptionReader {
 public:
  using OptionReader::OptionReader;

  void Text(const std::string& name, std::string* out) const {
    if (const std::string* value = Find(name)) *out = *value;
  }

  template <typename T>
  absl::Status Choice(const std::string& name, std::initializer_list<std::pair<std::string_view, T>> choices,
                      T* out) const {
    const std::string* value = Find(name);
    if (value == nullptr) return absl::OkStatus();
    for (const auto& [text, meaning] : choices) {
      if (text == *value) return *out = meaning, absl::OkStatus();
    }
    return Bad(name, absl::StrJoin(choices, ", ", [](std::string* to, const auto& one) { to->append(one.first); }));
  }

  absl::Status Number(const std::string& name, int least, int most, int* out) const {
    const std::string* value = Find(name);
    if (value == nullptr) return absl::OkStatus();
    if (!absl::SimpleAtoi(*value, out) || *out < least || *out > most) {
      return Bad(name, absl::StrCat("a number from ", least, " to ", most));
    }
    return absl::OkStatus();
  }

  absl::Status Bytes(const std::string& name, int64_t least, int64_t most, int64_t* out) const {
    const std::string* value = Find(name);
    if (value == nullptr) return absl::OkStatus();
    const auto bytes = ParseBytes(*value);
    if (!bytes.ok() || *bytes < least || *bytes > most) {
      return Bad(name, absl::StrCat("a size from ", SizeText(least), " to ", SizeText(most)));
    }
    return *out = *bytes, absl::OkStatus();
  }

  // "name=value,name=value". A comma within a value is written as it is where no '=' follows it: lists of policies.
  absl::Status Settings(const std::string& name, bool show, KafkaSettings* out) const {
    const std::string* value = Find(name);
    if (value == nullptr) return absl::OkStatus();
    for (std::string_view part : absl::StrSplit(*value, ',')) {
      part = absl::StripAsciiWhitespace(part);
      const size_t equals = part.find('=');
      if (equals == part.npos && !out->empty()) {
        absl::StrAppend(&out->back().second, ",", part);
      } else if (equals == part.npos || equals == 0) {
        return Wrong(name, absl::StrCat(show ? absl::StrCat("got '", WithoutSecrets(part), "'; ") : "",
                                        "allowed: name=value, separated by commas"));
      } else {
        out->emplace_back(absl::StripAsciiWhitespace(part.substr(0, equals)),
                          absl::StripAsciiWhitespace(part.substr(equals + 1)));
      }
    }
    return absl::OkStatus();
  }
};

absl::Status ReadSecurity(const Reader& reader, KafkaSecurity* out) {
  RETURN_IF_ERROR(reader.Choice<std::string>(
      "security_protocol",
      {{"plaintext", "plaintext"}, {"ssl", "ssl"}, {"sasl_plaintext", "sasl_plaintext"}, {"sasl_ssl", "sasl_ssl"}},
      &out->protocol));
  RETURN_IF_ERROR(reader.Choice<std::string>(
      "sasl_mechanism", {{"PLAIN", "PLAIN"}, {"SCRAM-SHA-256", "SCRAM-SHA-256"}, {"SCRAM-SHA-512", "SCRAM-SHA-512"}},
      &out->mechanism));
  const std::pair<const char*, std::string*> texts[] = {{"sasl_username", &out->username},
                                                        {"sasl_password", &out->password},
                                                        {"ssl_ca", &out->ca},
                                                        {"ssl_certificate", &out->certificate},
                                                        {"ssl_key", &out->key},
                                                        {"ssl_key_password", &out->key_password}};
  for (const auto& [name, field] : texts) reader.Text(name, field);

  const bool sasl = out->protocol.starts_with("sasl_"), tls = out->protocol.ends_with("ssl");
  for (const char* name : {"sasl_mechanism", "sasl_username", "sasl_password"}) {
    if (sasl == (reader.Find(name) != nullptr)) continue;
    return reader.Wrong(name, sasl ? absl::StrCat("is missing; security_protocol ", out->protocol, " needs it")
                                   : "it is for security_protocol sasl_plaintext or sasl_ssl");
  }
  for (const char* name : {"ssl_ca", "ssl_certificate", "ssl_key", "ssl_key_password"}) {
    if (tls || reader.Find(name) == nullptr) continue;
    return reader.Wrong(name, "it is for security_protocol ssl or sasl_ssl");
  }
  if (out->certificate.empty() != out->key.empty()) {
    return reader.Wrong(out->key.empty() ? "ssl_key" : "ssl_certificate", "ssl_certificate and ssl_key go together");
  }
  return absl::OkStatus();
}

absl::Status ReadTopics(const Reader& reader, KafkaOptions* out) {
  reader.Text("topic", &out->topic);
  if (const absl::Status status = CheckTopicTemplate(out->topic); !status.ok()) {
    return reader.Wrong("topic", status.message());
  }
  RETURN_IF_ERROR(reader.Flag("create_topics", &out->create_topics));
  RETURN_IF_ERROR(reader.Number("topic_partitions", 1, 100'000, &out->topic_partitions));
  RETURN_IF_ERROR(reader.Number("topic_replication_factor", 1, 1'000, &out->topic_replication_factor));
  RETURN_IF_ERROR(reader.Settings("topic_config", /*show=*/true, &out->topic_config));
  if (out->create_topics) return absl::OkStatus();
  for (const char* name : {"topic_partitions", "topic_config"}) {
    if (reader.Find(name) != nullptr)
      return reader.Wrong(name, "it is for topics that are created: create_topics=true");
  }
  return absl::OkStatus();
}

// The flow's id has a suffix for tables that wait for a schema change, whose writer runs beside the flow's own.
std::string TransactionalId(const Reader& reader, const DestinationConfig& config) {
  const std::string* given = reader.Find("transactional_id");
  if (given == nullptr) return absl::StrCat("wallaby-", config.flow_id, "-", config.name);
  const size_t suffix = config.flow_id.find('/');
  return absl::StrCat(*given, suffix == std::string::npos ? "" : config.flow_id.substr(suffix));
}

absl::Status ReadDelivery(std::string_view type, const Reader& reader, const DestinationConfig& config,
                          KafkaOptions* out) {
  RETURN_IF_ERROR(reader.Choice<KafkaAcks>(
      "acks", {{"all", KafkaAcks::kAll}, {"leader", KafkaAcks::kLeader}, {"none", KafkaAcks::kNone}}, &out->acks));
  if (type == "bufstream" && !out->transactional()) {
    return reader.Bad("acks", "all: Bufstream answers when a message is durable in its object store, never before");
  }
  if (const std::string* timeout = reader.Find("transaction_timeout")) {
    const auto duration = ParseDuration(*timeout);
    if (!duration.ok() || *duration < absl::Seconds(1) || *duration > absl::Hours(24)) {
      return reader.Bad("transaction_timeout",
                        "a duration from 1s to 24h, not above the brokers' "
                        "transaction.max.timeout.ms, which is 15m where nobody has changed it");
    }
    out->transaction_timeout = *duration;
  }
  if (out->transactional()) {
    out->transactional_id = TransactionalId(reader, config);
    return absl::OkStatus();
  }
  for (const char* name : {"transactional_id", "transaction_timeout"}) {
    if (reader.Find(name) != nullptr) return reader.Wrong(name, "there are transactions with acks all only");
  }
  return absl::OkStatus();
}

absl::Status ReadOversize(const Reader& reader, KafkaOptions* out) {
  RETURN_IF_ERROR(reader.Choice<OversizePolicy>("oversize_policy",
                                                {{"error", OversizePolicy::kError},
                                                 {"drop", OversizePolicy::kDrop},
                                                 {"claim_check", OversizePolicy::kClaimCheck}},
                                                &out->oversize_policy));
  if (out->oversize_policy == OversizePolicy::kClaimCheck) {
    const std::string bucket = absl::StrCat(kClaimCheckPrefix, "bucket");
    if (reader.Find(bucket) == nullptr) {
      return reader.Wrong(bucket, "is missing; oversize_policy claim_check needs the bucket that payloads go into");
    }
    ASSIGN_OR_RETURN(out->claim_check, ParseBucketOptions(reader, kClaimCheckPrefix));
    return absl::OkStatus();
  }
  for (const char* option : kBucketOptionNames) {
    const std::string name = absl::StrCat(kClaimCheckPrefix, option);
    if (reader.Find(name) != nullptr) return reader.Wrong(name, "it is for oversize_policy claim_check");
  }
  return absl::OkStatus();
}

absl::Status ReadMessages(const Reader& reader, const CodecConfig& codec, KafkaOptions* out) {
  // Debezium's consumers know single records, with their keys as they are.
  out->debezium = codec.codec.json_envelope == JsonEnvelope::kDebezium;
  if (out->debezium) {
    out->message_mode = MessageMode::kRecord;
    out->key_mode = KeyMode::kRaw;
    out->tombstones = true;
  }
  RETURN_IF_ERROR(reader.Choice<MessageMode>(
      "message_mode", {{"batch", MessageMode::kBatch}, {"record", MessageMode::kRecord}}, &out->message_mode));
  RETURN_IF_ERROR(
      reader.Choice<KeyMode>("key_mode", {{"hash", KeyMode::kHash}, {"raw", KeyMode::kRaw}}, &out->key_mode));
  RETURN_IF_ERROR(reader.Flag("tombstones", &out->tombstones));
  RETURN_IF_ERROR(ReadOversize(reader, out));
  const std::string own = out->transaction_header;
  reader.Text("transaction_header", &out->transaction_header);
  if (out->transaction_header != own && out->transaction_header.starts_with("wallaby-")) {
    return reader.Bad("transaction_header", absl::StrCat("names that do not begin with wallaby-, and ", own,
                                                         "; the others are headers of the destination itself"));
  }

  const bool batch = out->message_mode == MessageMode::kBatch;
  if (batch && out->debezium) return reader.Bad("message_mode", "record: json_envelope debezium is for single records");
  if (batch && out->tombstones) return reader.Wrong("tombstones", "they are for message_mode record");
  if (!batch && codec.codec.format == WireFormat::kParquet) {
    return reader.Bad("message_mode", "batch: format parquet has no form for a single record");
  }

  // Headers alone take some hundred bytes.
  constexpr int64_t kLeast = 4'000, kMost = 1'000'000'000;
  RETURN_IF_ERROR(reader.Bytes("max_message_bytes", kLeast, kMost, &out->max_message_bytes));
  const int64_t whole = out->max_message_bytes;
  out->max_batch_bytes = whole;
  RETURN_IF_ERROR(reader.Bytes("max_batch_bytes", kLeast, whole, &out->max_batch_bytes));
  if (reader.Find("max_record_bytes") != nullptr) {
    if (batch) return reader.Wrong("max_record_bytes", "it is for message_mode record");
    RETURN_IF_ERROR(reader.Bytes("max_record_bytes", 1, whole, &out->max_record_bytes.emplace()));
  }

  out->compression = codec.codec.format == WireFormat::kParquet ? "none" : "lz4";
  if (codec.codec.format == WireFormat::kParquet) return absl::OkStatus();
  return reader.Choice<std::string>(
      "compression", {{"none", "none"}, {"gzip", "gzip"}, {"snappy", "snappy"}, {"lz4", "lz4"}, {"zstd", "zstd"}},
      &out->compression);
}

// What other options say, and what the delivery rests on.
constexpr std::string_view kOwnProperties[] = {"acks",
                                               "batch.size",
                                               "bootstrap.servers",
                                               "compression.codec",
                                               "compression.type",
                                               "delivery.report.only.error",
                                               "delivery.timeout.ms",
                                               "enable.idempotence",
                                               "enable.partition.eof",
                                               "group.id",
                                               "isolation.level",
                                               "max.in.flight",
                                               "max.in.flight.requests.per.connection",
                                               "message.max.bytes",
                                               "message.timeout.ms",
                                               "metadata.broker.list",
                                               "partitioner",
                                               "queue.buffering.max.kbytes",
                                               "queue.buffering.max.messages",
                                               "request.required.acks",
                                               "retries",
                                               "message.send.max.retries",
                                               "sasl.mechanism",
                                               "sasl.mechanisms",
                                               "sasl.password",
                                               "sasl.username",
                                               "security.protocol",
                                               "ssl.ca.location",
                                               "ssl.ca.pem",
                                               "ssl.certificate.location",
                                               "ssl.certificate.pem",
                                               "ssl.key.location",
                                               "ssl.key.password",
                                               "ssl.key.pem",
                                               "transaction.timeout.ms",
                                               "transactional.id",
                                               "allow.auto.create.topics",
                                               "plugin.library.paths",
                                               "enable.gapless.guarantee",
                                               "opaque",
                                               "log_level",
                                               "log.queue"};

absl::Status CheckClientConfig(const Reader& reader, const KafkaSettings& settings) {
  for (const auto& [name, value] : settings) {
    if (std::find(std::begin(kOwnProperties), std::end(kOwnProperties), name) == std::end(kOwnProperties)) continue;
    return reader.Wrong("client_config",
                        absl::StrCat(name, " is set by the destination itself; another option may be for it"));
  }
  return absl::OkStatus();
}

absl::Status CheckWriteMode(const Reader& reader) {
  const std::string* mode = reader.Find("write_mode");
  if (mode == nullptr || *mode != "target") return absl::OkStatus();
  return reader.Bad("write_mode",
                    "append. A topic is a log of changes; a compacted one keeps the last message of each key "
                    "(docs/destinations/kafka.md)");
}

}  // namespace

absl::StatusOr<KafkaOptions> ParseKafkaOptions(std::string_view type, const DestinationConfig& config) {
  const Reader reader(config);
  KafkaOptions options;
  options.cut_short = config.cut_short;
  reader.Text("brokers", &options.brokers);
  ASSIGN_OR_RETURN(const CodecConfig codec, ParsePayloadOptions(config));
  RETURN_IF_ERROR(CheckWriteMode(reader));
  RETURN_IF_ERROR(ReadSecurity(reader, &options.security));
  RETURN_IF_ERROR(ReadTopics(reader, &options));
  RETURN_IF_ERROR(ReadDelivery(type, reader, config, &options));
  RETURN_IF_ERROR(ReadMessages(reader, codec, &options));
  RETURN_IF_ERROR(reader.Settings("client_config", /*show=*/false, &options.client_config));
  RETURN_IF_ERROR(CheckClientConfig(reader, options.client_config));
  return options;
}

}  // namespace wallaby
