// The options of destinations that push requests to a receiver: http and grpc (docs/destinations/http.md, grpc.md).
// Parsed here, in the room itself, so that a flow file is refused when it is created and not when it starts.
#ifndef WALLABY_DESTINATION_PUSH_OPTIONS_H_
#define WALLABY_DESTINATION_PUSH_OPTIONS_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "destination/destination.h"

namespace wallaby {

// What one request holds.
enum class PayloadMode {
  kWire,        // changes of one table as a batch of the codec
  kRecordJson,  // one record in JSON
  kWal,         // one change as messages of PostgreSQL's replication protocol (push/wal_messages.h)
};
// "wire", "record_json", "wal".
std::string_view PayloadModeName(PayloadMode mode);

struct PushOptions {
  PayloadMode payload_mode = PayloadMode::kWire;
  absl::Duration timeout = absl::Seconds(10);  // of one try
  int max_retries = 5;                         // after the first try
  absl::Duration backoff_base = absl::Milliseconds(200);
  absl::Duration backoff_max = absl::Seconds(30);
  absl::Duration retry_after_max = absl::Hours(1);  // the longest wait that a receiver may ask for
  double backoff_factor = 2;
  std::vector<std::pair<std::string, std::string>> headers;
  int64_t batch_records = 1000;  // most in a request of kWire
  int64_t batch_bytes = 1 << 20;
  int parallelism = 1;
  absl::Duration dedupe_window = absl::Minutes(1);  // zero: off
  bool keep_rejected = false;                       // as dead letters; else the flow fails
  bool keep_exhausted = false;                      // likewise; else the worker starts anew
  std::string tls_ca_file;
  std::string tls_cert_file;
  std::string tls_key_file;
};

struct HttpOptions {
  PushOptions push;
  std::string url;  // {schema} and {table} in it stand for the table's
  std::string method = "POST";
  std::string idempotency_header = "Idempotency-Key";
  std::string transaction_header = "X-Wallaby-Transaction-Id";
  std::vector<std::string> signing_keys;  // the secrets' bytes; each signs
};

struct GrpcOptions {
  PushOptions push;
  std::string endpoint;  // host:port
  bool insecure = false;
  std::string tls_server_name;
  std::string token;
  std::string flow_id;      // as the receiver is told
  std::string destination;  // likewise
  int64_t max_message_bytes = 4 << 20;
};

// INVALID_ARGUMENT names the option and what is allowed. References to secrets pass as they are, so that options can be
// checked before they are followed. Does no I/O.
absl::StatusOr<HttpOptions> ParseHttpOptions(const DestinationConfig& config);
absl::StatusOr<GrpcOptions> ParseGrpcOptions(const DestinationConfig& config);

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_PUSH_OPTIONS_H_
