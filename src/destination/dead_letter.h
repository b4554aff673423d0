// Requests to receivers (http, grpc), and what becomes of those that a receiver does not take: dead letters, which the
// control store keeps until somebody sends them again or drops them. For users: docs/destinations/http.md.
#ifndef WALLABY_DESTINATION_DEAD_LETTER_H_
#define WALLABY_DESTINATION_DEAD_LETTER_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "base/lsn.h"
#include "base/wire_format.h"

namespace wallaby {

// What is sent at once: a record, or a batch of records of one table.
struct PushRequest {
  // Names the request for ever: the same in every replay that sends the same records together. ASCII without spaces.
  std::string key;
  std::string schema;  // of the table, as the destination calls it
  std::string table;
  std::string operation;  // of the one record: "insert", "update", "delete", "truncate", "snapshot"; else "batch"
  Position first;         // of its records
  Position last;
  uint32_t transaction_id = 0;  // of the last record, at the source; 0 for a snapshot
  int64_t records = 1;
  std::string payload_mode;  // "wire", "record_json" or "wal"
  WireFormat format = WireFormat::kUnspecified;
  std::string content_type;
  std::string payload;
};

struct DeadLetter {
  PushRequest request;
  std::string destination;  // its name within the flow
  std::string reason;       // what the receiver answered
};

// Safe from any thread.
class DeadLetterSink {
 public:
  virtual ~DeadLetterSink() = default;
  // Durable on return. In the place of what is kept for the same destination and key. FAILED_PRECONDITION when the flow
  // has as many as are kept.
  virtual absl::Status Keep(const DeadLetter& letter) = 0;
};

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_DEAD_LETTER_H_
