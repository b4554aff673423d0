#include "destination/kafka/kafka_client.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/status.h"

namespace wallaby {
namespace {

absl::Status Set(rd_kafka_conf_t* conf, const std::string& name, const std::string& value) {
  char why[512];
  if (rd_kafka_conf_set(conf, name.c_str(), value.c_str(), why, sizeof(why)) == RD_KAFKA_CONF_OK) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat("Kafka client property ", name, ": ", why));
}

// A path, or the text itself.
absl::Status SetPem(rd_kafka_conf_t* conf, const std::string& name, const std::string& value) {
  if (value.empty()) return absl::OkStatus();
  const bool text = value.find("-----BEGIN") != std::string::npos;
  return Set(conf, absl::StrCat(name, text ? ".pem" : ".location"), value);
}

absl::Status SetSecurity(rd_kafka_conf_t* conf, const KafkaSecurity& security) {
  RETURN_IF_ERROR(Set(conf, "security.protocol", security.protocol));
  if (!security.mechanism.empty()) {
    RETURN_IF_ERROR(Set(conf, "sasl.mechanism", security.mechanism));
    RETURN_IF_ERROR(Set(conf, "sasl.username", security.username));
    RETURN_IF_ERROR(Set(conf, "sasl.password", security.password));
  }
  // Before what it opens.
  if (!security.key_password.empty()) RETURN_IF_ERROR(Set(conf, "ssl.key.password", security.key_password));
  RETURN_IF_ERROR(SetPem(conf, "ssl.ca", security.ca));
  RETURN_IF_ERROR(SetPem(conf, "ssl.certificate", security.certificate));
  return SetPem(conf, "ssl.key", security.key);
}

}  // namespace

absl::StatusOr<std::unique_ptr<KafkaClient>> KafkaClient::Make(rd_kafka_type_t type, const KafkaOptions& options,
                                                               const KafkaSettings& settings) {
  auto client = std::make_unique<KafkaClient>();
  client->cut_short_ = options.cut_short;
  KafkaConf conf(rd_kafka_conf_new());
  RETURN_IF_ERROR(Set(conf.get(), "bootstrap.servers", options.brokers));
  RETURN_IF_ERROR(Set(conf.get(), "client.id", "wallaby"));
  RETURN_IF_ERROR(Set(conf.get(), "allow.auto.create.topics", "false"));
  RETURN_IF_ERROR(Set(conf.get(), "reconnect.backoff.max.ms", "2000"));
  RETURN_IF_ERROR(SetSecurity(conf.get(), options.security));
  for (const auto& [name, value] : settings) RETURN_IF_ERROR(Set(conf.get(), name, value));
  for (const auto& [name, value] : options.client_config) {
    const absl::Status set = Set(conf.get(), name, value);
    // The library shows a value that it does not take, which may be a secret.
    if (!set.ok()) {
      const std::string shown = absl::StrCat("\"", value, "\"");
      return absl::Status(set.code(), absl::StrReplaceAll(set.message(), {{shown, "the value"}}));
    }
  }
  rd_kafka_conf_set_opaque(conf.get(), client.get());
  rd_kafka_conf_set_error_cb(conf.get(), &KafkaClient::OnError);
  // What matters comes as an error; the library's own lines on stderr would be in nobody's format.
  rd_kafka_conf_set_log_cb(conf.get(), [](const rd_kafka_t*, int, const char*, const char*) {});
  if (type == RD_KAFKA_PRODUCER) rd_kafka_conf_set_dr_msg_cb(conf.get(), &KafkaClient::OnDelivery);
  char why[512];
  client->handle_.reset(rd_kafka_new(type, conf.get(), why, sizeof(why)));
  if (client->handle_ == nullptr) return absl::InvalidArgumentError(absl::StrCat("Kafka client: ", why));
  (void)conf.release();  // the client's now
  return client;
}

void KafkaClient::OnError(rd_kafka_t*, int code, const char* reason, void* self) {
  auto* client = static_cast<KafkaClient*>(self);
  client->noticed_code_ = static_cast<rd_kafka_resp_err_t>(code);
  client->noticed_ = reason;
}

void KafkaClient::OnDelivery(rd_kafka_t*, const rd_kafka_message_t* message, void* self) {
  auto* client = static_cast<KafkaClient*>(self);
  // Purged messages are the consequence of another error.
  if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR || message->err == RD_KAFKA_RESP_ERR__PURGE_QUEUE ||
      message->err == RD_KAFKA_RESP_ERR__PURGE_INFLIGHT || !client->failed_delivery_.ok()) {
    return;
  }
  const char* topic = rd_kafka_topic_name(message->rkt);
  client->failed_delivery_ =
      Annotate(KafkaStatus(message->err, rd_kafka_err2str(message->err)), absl::StrCat("topic ", topic));
}

absl::Status KafkaClient::Explain(rd_kafka_resp_err_t code, std::string_view text, std::string_view what) {
  Poll(absl::ZeroDuration());
  const bool waited = code == RD_KAFKA_RESP_ERR__TIMED_OUT || code == RD_KAFKA_RESP_ERR__TRANSPORT ||
                      code == RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE;
  if (waited && !noticed_.empty()) {
    return Annotate(KafkaStatus(noticed_code_, absl::StrCat(text, " (", noticed_, ")")), what);
  }
  return Annotate(KafkaStatus(code, text), what);
}

bool IsFenced(rd_kafka_resp_err_t code) {
  switch (code) {
    case RD_KAFKA_RESP_ERR__FENCED:
    case RD_KAFKA_RESP_ERR_PRODUCER_FENCED:
    case RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH:
      return true;
    default:
      return false;
  }
}

absl::Status KafkaStatus(rd_kafka_resp_err_t code, std::string_view text) {
  const std::string said = absl::StrCat("Kafka: ", text);
  switch (code) {
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
    case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
      return absl::UnauthenticatedError(absl::StrCat(said, "; check sasl_mechanism, sasl_username and sasl_password"));
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
      return absl::PermissionDeniedError(
          absl::StrCat(said, "; the rights that a flow needs are listed in docs/destinations/kafka.md"));
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
      return absl::FailedPreconditionError(absl::StrCat(
          said, "; raise the topic's max.message.bytes, or lower max_message_bytes to at least 512 bytes below it"));
    case RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE:
    case RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION:
    case RD_KAFKA_RESP_ERR_UNSUPPORTED_FOR_MESSAGE_FORMAT:
      return absl::FailedPreconditionError(
          absl::StrCat(said, "; exactly once needs brokers with transactions (Kafka 0.11 or later)"));
    case RD_KAFKA_RESP_ERR_INVALID_TRANSACTION_TIMEOUT:
      return absl::InvalidArgumentError(
          absl::StrCat(said, "; lower transaction_timeout, or raise the brokers' transaction.max.timeout.ms"));
    case RD_KAFKA_RESP_ERR_INVALID_RECORD:
    case RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
    case RD_KAFKA_RESP_ERR_INVALID_CONFIG:
    case RD_KAFKA_RESP_ERR_INVALID_PARTITIONS:
    case RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR:
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
    case RD_KAFKA_RESP_ERR_INVALID_REQUIRED_ACKS:
      return absl::FailedPreconditionError(said);
    case RD_KAFKA_RESP_ERR__INVALID_ARG:
    case RD_KAFKA_RESP_ERR__STATE:
    case RD_KAFKA_RESP_ERR__NOT_CONFIGURED:
      return absl::InternalError(said);
    default:
      // Of the many others, nearly all are of brokers that come, go or elect.
      return absl::UnavailableError(said);
  }
}

}  // namespace wallaby
