// CatchUpStream: the stream of a slot that reads a backlog through SQL and all else from the walsender.
//
// The walsender's packet per change is what limits its readers; through SQL (slot_cursor.h) a backlog comes several
// times faster, in pieces of some hundred MiB. So: when the reader is far behind, read through SQL until it is near,
// and stream from exactly there. When load makes the reader fall behind again, and a transaction has just ended, the
// same once more. Where the server refuses (no slot to spare, no right, a limit on temporary files, a version that
// cannot), it streams, and does not try again.
//
// While it reads through SQL nobody holds the slot itself; it is moved from here, to what is durable.
#ifndef WALLABY_POSTGRES_CATCH_UP_STREAM_H_
#define WALLABY_POSTGRES_CATCH_UP_STREAM_H_

#include <cstdint>
#include <memory>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "postgres/connection.h"
#include "postgres/gather.h"
#include "postgres/replication_stream.h"
#include "postgres/slot_cursor.h"

namespace wallaby {

class CatchUpStream : public ReplicationStream {
 public:
  // Begins at `options.start`, which must not be 0/0 here. Errors as StartReplication().
  static absl::StatusOr<std::unique_ptr<ReplicationStream>> Start(const StreamOptions& options);

  // Ends what the server still does for it.
  ~CatchUpStream() override;

  absl::StatusOr<Packet> Next() override;
  absl::Status Wait(absl::Duration timeout, Event& wake) override;
  absl::Status SendFeedback(Lsn received, Lsn flushed, bool request_reply) override;

 private:
  explicit CatchUpStream(StreamOptions options) : options_(std::move(options)), position_(options_.start) {}

  // ---- from the walsender ----
  absl::StatusOr<Packet> NextStreamed();
  // True when the reader is so far behind that it should read through SQL.
  bool IsFarBehind();

  // ---- through SQL ----
  // From position_ on. False: it cannot be done here.
  bool OpenCursor();
  absl::Status TryToOpenCursor();
  absl::StatusOr<Packet> NextRead();
  absl::Status BeginPiece();
  absl::StatusOr<Packet> EndPiece();
  // What follows position_ comes from the walsender.
  absl::Status SwitchToWalsender(std::string_view why);
  // Lets the server forget what is durable.
  void MoveSlot();

  const StreamOptions options_;
  Lsn position_;       // everything that committed before has been read
  Lsn flushed_;        // as the last feedback says
  Lsn moved_;          // where the slot was put from here
  bool tries_ = true;  // reading through SQL has not been refused

  std::unique_ptr<PgConnection> sql_;   // while reading through SQL
  std::unique_ptr<SlotCursor> cursor_;  // uses sql_
  bool reading_ = false;                // a piece was asked for
  bool piece_began_ = false;            // and something of it has come
  bool stuck_ = false;                  // the last one did not move the cursor: there was no record to read
  int64_t piece_wal_;                   // how much WAL the next piece shall cover
  int64_t piece_bytes_ = 0;             // what this one has brought
  SlotCursor::Where where_;
  Gather gather_;

  std::unique_ptr<ReplicationStream> walsender_;
  bool in_transaction_ = false;
  int64_t streamed_ = 0;  // bytes since the server's end was last looked at
};

}  // namespace wallaby

#endif  // WALLABY_POSTGRES_CATCH_UP_STREAM_H_
