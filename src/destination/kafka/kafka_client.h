// What producer, consumer and administration share of librdkafka: handles that free themselves, a client's
// configuration, and errors as Status.
#ifndef WALLABY_DESTINATION_KAFKA_KAFKA_CLIENT_H_
#define WALLABY_DESTINATION_KAFKA_KAFKA_CLIENT_H_

#include <librdkafka/rdkafka.h>

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/event.h"
#include "base/freer.h"
#include "destination/kafka/kafka_options.h"

namespace wallaby {

using KafkaConf = std::unique_ptr<rd_kafka_conf_t, Freer<rd_kafka_conf_destroy>>;
using KafkaTopic = std::unique_ptr<rd_kafka_topic_t, Freer<rd_kafka_topic_destroy>>;
using KafkaQueue = std::unique_ptr<rd_kafka_queue_t, Freer<rd_kafka_queue_destroy>>;
using KafkaError = std::unique_ptr<rd_kafka_error_t, Freer<rd_kafka_error_destroy>>;

// How long a broker may stay silent before an operation is given up, to be tried again from the start.
inline constexpr absl::Duration kKafkaPatience = absl::Seconds(30);
// How long one call of the library waits for a broker, where it cannot be called off.
inline constexpr absl::Duration kKafkaStep = absl::Seconds(5);

// One connection to the brokers, for one thread.
class KafkaClient {
 public:
  KafkaClient() = default;
  // `settings` are librdkafka's properties beside those that `options` asks for. Connects later, by itself.
  // INVALID_ARGUMENT names the property.
  static absl::StatusOr<std::unique_ptr<KafkaClient>> Make(rd_kafka_type_t type, const KafkaOptions& options,
                                                           const KafkaSettings& settings);

  KafkaClient(const KafkaClient&) = delete;
  KafkaClient& operator=(const KafkaClient&) = delete;

  rd_kafka_t* get() const { return handle_.get(); }

  // Hears of what the library noticed, and of deliveries that failed.
  void Poll(absl::Duration timeout) {
    rd_kafka_poll(handle_.get(), static_cast<int>(absl::ToInt64Milliseconds(timeout)));
  }

  // The worker is cut short (see DestinationConfig): whoever waits gives up.
  bool cut_short() const { return cut_short_ != nullptr && cut_short_->Wait(absl::ZeroDuration()); }

  // A broker did not take the password, or what else it asks for.
  bool refused() const { return noticed_code_ == RD_KAFKA_RESP_ERR__AUTHENTICATION; }

  // The first delivery that failed since ForgetFailures().
  const absl::Status& failed_delivery() const { return failed_delivery_; }
  void ForgetFailures() { failed_delivery_ = absl::OkStatus(); }

  // The error with what the library last noticed behind it, which tells why nothing goes on: a refused password, a
  // certificate, a name that does not resolve. `what` stands in front.
  absl::Status Explain(rd_kafka_resp_err_t code, std::string_view text, std::string_view what);
  absl::Status Explain(const rd_kafka_error_t* error, std::string_view what) {
    return Explain(rd_kafka_error_code(error), rd_kafka_error_string(error), what);
  }
  absl::Status Explain(rd_kafka_resp_err_t code, std::string_view what) {
    return Explain(code, rd_kafka_err2str(code), what);
  }

 private:
  static void OnError(rd_kafka_t*, int code, const char* reason, void* self);
  static void OnDelivery(rd_kafka_t*, const rd_kafka_message_t* message, void* self);

  const Event* cut_short_ = nullptr;
  rd_kafka_resp_err_t noticed_code_ = RD_KAFKA_RESP_ERR_NO_ERROR;
  std::string noticed_;
  absl::Status failed_delivery_;
  std::unique_ptr<rd_kafka_t, Freer<rd_kafka_destroy>> handle_;  // goes first: its callbacks use the rest
};

// What an error of the library or of a broker means to a flow: transient ones can pass; PERMISSION_DENIED,
// UNAUTHENTICATED, INVALID_ARGUMENT and FAILED_PRECONDITION need somebody.
absl::Status KafkaStatus(rd_kafka_resp_err_t code, std::string_view text);

// A producer of the same transactional.id has begun after this one, or the broker has forgotten this one.
bool IsFenced(rd_kafka_resp_err_t code);

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_KAFKA_KAFKA_CLIENT_H_
