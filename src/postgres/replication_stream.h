// ReplicationStream: the packets of a logical replication connection and the feedback to it. One thread.
//
// Source: PostgreSQL documentation, "Streaming Replication Protocol" (protocol-replication): XLogData, primary
// keepalive and standby status update messages. One of the four interfaces that the simulator replaces.
#ifndef WALLABY_POSTGRES_REPLICATION_STREAM_H_
#define WALLABY_POSTGRES_REPLICATION_STREAM_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/event.h"
#include "base/lsn.h"
#include "postgres/connection.h"

namespace wallaby {

struct Packet {
  enum class Kind {
    kNone,       // nothing has arrived
    kData,       // `payload` is one pgoutput message
    kKeepalive,  // the server has sent all that ends at or before `wal_end`
  };
  Kind kind = Kind::kNone;
  Lsn wal_end;
  bool reply_requested = false;
  std::string_view payload;  // valid until the next call
};

class ReplicationStream {
 public:
  virtual ~ReplicationStream() = default;

  // What has arrived, without waiting. UNAVAILABLE when the connection is lost or the server ended the stream.
  virtual absl::StatusOr<Packet> Next() = 0;

  // Waits until something arrives, `wake` is set, or `timeout` passes. Under load it lets packets gather for half a
  // millisecond first: the walsender sends one small packet per change, and waking for each is what costs.
  virtual absl::Status Wait(absl::Duration timeout, Event& wake) = 0;

  // Tells the server what was received and what is durable; it may drop the WAL before `flushed`.
  virtual absl::Status SendFeedback(Lsn received, Lsn flushed, bool request_reply) = 0;
};

struct StreamOptions {
  std::string dsn;
  std::string slot;
  std::string publication;
  Lsn start;  // 0/0: the slot's own confirmed position
  bool binary = false;
  bool messages = false;  // logical messages too
  // From this much WAL behind the server on, changes are read through SQL until the stream is near (catch_up_stream.h);
  // 0: never.
  int64_t catch_up_bytes = 0;
  // Asked how far the server is, on the thread that reads. Needed with catch_up_bytes; outlives the stream.
  PgConnection* sql = nullptr;
  // Told when the way of reading changes, on the thread that reads.
  std::function<void(std::string_view what)> on_switch;
};

// Connects and starts streaming. FAILED_PRECONDITION naming the pid when the slot is in use, or with the remedy when it
// is lost; NOT_FOUND when there is no such slot or publication.
absl::StatusOr<std::unique_ptr<ReplicationStream>> StartReplication(const StreamOptions& options);

}  // namespace wallaby

#endif  // WALLABY_POSTGRES_REPLICATION_STREAM_H_
