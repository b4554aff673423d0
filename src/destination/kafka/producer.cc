#include "destination/kafka/producer.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status.h"

namespace wallaby {
namespace {

// The library looks up from its waits at least so often.
constexpr absl::Duration kStep = absl::Seconds(2);

int Millis(absl::Duration duration) {
  return static_cast<int>(std::max<int64_t>(absl::ToInt64Milliseconds(duration), 0));
}

std::string Number(int64_t number) {
  return absl::StrCat(number);
}

KafkaSettings SettingsFor(const KafkaOptions& options, int64_t memory) {
  // Room for two of the largest, whatever the memory.
  const int64_t queue = std::max(memory, 2 * options.max_message_bytes);
  KafkaSettings settings = {
      {"partitioner", "murmur2_random"},  // as Kafka's own clients do it
      {"compression.codec", options.compression},
      {"message.max.bytes", Number(options.max_message_bytes)},
      {"batch.size", Number(options.max_batch_bytes)},
      // Nothing may overtake what has to be sent again. Numbers on the messages alone do not prevent it where a
      // partition has none of this producer yet: a leader that is just beginning refuses the first batch, takes the
      // second, and the library counts the first as delivered too.
      {"max.in.flight", "1"},
      {"batch.num.messages", "1000000"},  // bytes bound a batch
      {"queue.buffering.max.messages", "0"},
      {"queue.buffering.max.kbytes", Number(queue / 1024 + 1)},
      // For the end of the progress topic beyond the open transactions of others. No message is read by it.
      {"isolation.level", "read_uncommitted"},
  };
  if (options.transactional()) {
    settings.emplace_back("transactional.id", options.transactional_id);
    settings.emplace_back("transaction.timeout.ms", Number(absl::ToInt64Milliseconds(options.transaction_timeout)));
  } else {
    settings.emplace_back("acks", options.acks == KafkaAcks::kLeader ? "1" : "0");
  }
  return settings;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Producer>> Producer::Make(const KafkaOptions& options, int64_t memory) {
  ASSIGN_OR_RETURN(std::unique_ptr<KafkaClient> client,
                   KafkaClient::Make(RD_KAFKA_PRODUCER, options, SettingsFor(options, memory)));
  return std::unique_ptr<Producer>(new Producer(options, std::move(client)));
}

Producer::Producer(const KafkaOptions& options, std::unique_ptr<KafkaClient> client)
    : transactional_(options.transactional()),
      transactional_id_(options.transactional_id),
      transaction_timeout_(options.transaction_timeout),
      client_(std::move(client)) {}

Producer::~Producer() {
  if (open_ && rd_kafka_fatal_error(client_->get(), nullptr, 0) == RD_KAFKA_RESP_ERR_NO_ERROR) {
    // Best effort: InitTransactions() of the next does it, too, or the brokers after transaction_timeout.
    KafkaError(rd_kafka_abort_transaction(client_->get(), failed_ ? 500 : 5000));
  }
}

template <typename Step>
absl::Status Producer::Patiently(std::string_view what, Step step) {
  int left = rd_kafka_outq_len(client_->get());
  absl::Time deadline = absl::Now() + kKafkaPatience;
  for (;;) {
    KafkaError error(step(Millis(kStep)));
    if (error == nullptr) return absl::OkStatus();
    const int now_left = rd_kafka_outq_len(client_->get());
    if (now_left < left) deadline = absl::Now() + kKafkaPatience;
    left = now_left;
    const bool again = rd_kafka_error_is_retriable(error.get()) != 0 ||
                       rd_kafka_error_code(error.get()) == RD_KAFKA_RESP_ERR__TIMED_OUT;
    if (!again || absl::Now() > deadline || client_->cut_short()) return Failed(std::move(error), what);
    client_->Poll(absl::ZeroDuration());
  }
}

absl::Status Producer::Fenced(std::string_view text) const {
  if (open_ && absl::Now() - began_ > transaction_timeout_) {
    return absl::DeadlineExceededError(absl::StrCat(
        "the brokers have ended a transaction that was open for longer than transaction_timeout (",
        absl::FormatDuration(transaction_timeout_), "); raise it, up to the brokers' transaction.max.timeout.ms"));
  }
  return absl::FailedPreconditionError(
      absl::StrCat("fenced: another producer has taken over transactional.id ", transactional_id_, " (", text,
                   "); when it is not a newer worker of this flow, another flow or program has the same id: give each "
                   "its own by option transactional_id"));
}

absl::Status Producer::Failed(KafkaError error, std::string_view what) {
  failed_ = true;
  client_->Poll(absl::ZeroDuration());
  char text[512] = "";
  const auto fatal = rd_kafka_fatal_error(client_->get(), text, sizeof(text));
  if (IsFenced(fatal) || IsFenced(rd_kafka_error_code(error.get()))) {
    return Fenced(fatal == RD_KAFKA_RESP_ERR_NO_ERROR ? rd_kafka_error_string(error.get()) : text);
  }
  if (!client_->failed_delivery().ok()) return client_->failed_delivery();
  if (fatal != RD_KAFKA_RESP_ERR_NO_ERROR) return client_->Explain(fatal, text, what);
  return client_->Explain(error.get(), what);
}

absl::Status Producer::InitTransactions() {
  return Patiently("beginning with transactions",
                   [this](int millis) { return rd_kafka_init_transactions(client_->get(), millis); });
}

absl::Status Producer::Begin() {
  if (open_ || !transactional_) return absl::OkStatus();
  KafkaError error(rd_kafka_begin_transaction(client_->get()));
  if (error != nullptr) return Failed(std::move(error), "beginning a transaction");
  open_ = true;
  began_ = absl::Now();
  return absl::OkStatus();
}

absl::Status Producer::Send(KafkaMessage message) {
  // A key or value that is there has an address, even without bytes.
  const auto address = [](const std::optional<std::string_view>& bytes) {
    return bytes.has_value() ? const_cast<char*>(bytes->empty() ? "" : bytes->data()) : nullptr;
  };
  const auto size = [](const std::optional<std::string_view>& bytes) { return bytes.has_value() ? bytes->size() : 0; };
  int left = rd_kafka_outq_len(client_->get());
  absl::Time deadline = absl::InfiniteFuture();
  for (;;) {
    const auto code = rd_kafka_producev(
        client_->get(), RD_KAFKA_V_RKT(message.topic), RD_KAFKA_V_PARTITION(message.partition),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(address(message.key), size(message.key)),
        RD_KAFKA_V_VALUE(address(message.value), size(message.value)), RD_KAFKA_V_HEADERS(message.headers.get()),
        RD_KAFKA_V_END);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
      (void)message.headers.release();  // the library's now
      return absl::OkStatus();
    }
    const std::string what = absl::StrCat("sending to topic ", rd_kafka_topic_name(message.topic));
    if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
      return Failed(KafkaError(rd_kafka_error_new(code, "%s", rd_kafka_err2str(code))), what);
    }
    client_->Poll(absl::Milliseconds(100));  // until something was delivered
    if (!client_->failed_delivery().ok()) return failed_ = true, client_->failed_delivery();
    const int now_left = rd_kafka_outq_len(client_->get());
    if (now_left < left || deadline == absl::InfiniteFuture()) deadline = absl::Now() + kKafkaPatience;
    left = now_left;
    if (absl::Now() > deadline || client_->cut_short()) {
      return Failed(KafkaError(rd_kafka_error_new(RD_KAFKA_RESP_ERR__TIMED_OUT, "no broker takes messages")), what);
    }
  }
}

absl::Status Producer::Flush() {
  return Patiently("sending", [this](int millis) -> rd_kafka_error_t* {
    const auto code = rd_kafka_flush(client_->get(), millis);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return rd_kafka_error_new(code, "no answer to messages sent");
    return nullptr;
  });
}

absl::Status Producer::Commit() {
  if (!transactional_) {
    RETURN_IF_ERROR(Flush());
    return client_->failed_delivery();
  }
  RETURN_IF_ERROR(
      Patiently("committing", [this](int millis) { return rd_kafka_commit_transaction(client_->get(), millis); }));
  open_ = false;
  return absl::OkStatus();
}

}  // namespace wallaby
