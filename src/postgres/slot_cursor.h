// SlotCursor: reads a logical slot's changes through SQL, from a temporary copy of the slot. One thread.
//
// Decoding by the SQL functions costs a fraction of what the walsender's packet per change does. The copy may run ahead
// of what is durable: the slot itself stays where it is and keeps the WAL.
//
// Source: PostgreSQL documentation, "Replication Management Functions" (functions-replication):
// pg_copy_logical_replication_slot, pg_logical_slot_get_binary_changes, pg_replication_slot_advance; "COPY", "Binary
// Format". A call ends at the end of a commit record, and the copy is then confirmed up to there: a stream that starts
// at that position brings the next transaction and nothing before it.
#ifndef WALLABY_POSTGRES_SLOT_CURSOR_H_
#define WALLABY_POSTGRES_SLOT_CURSOR_H_

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/lsn.h"
#include "postgres/connection.h"
#include "postgres/replication_stream.h"

namespace wallaby {

class SlotCursor {
 public:
  struct Where {
    Lsn confirmed;  // everything that committed before is read
    Lsn restart;    // the next call decodes from here again
  };

  // Copies the slot and moves the copy to `options.start`. `sql` outlives the object; the copy goes with its session.
  static absl::StatusOr<std::unique_ptr<SlotCursor>> Open(PgConnection* sql, const StreamOptions& options);
  ~SlotCursor();

  // Asks for the transactions whose commit records begin before `upto`.
  absl::Status Begin(Lsn upto);

  enum class Step {
    kNone,     // nothing has arrived yet
    kMessage,  // one pgoutput message
    kEnd,      // all that was asked for has been read
  };
  // Without waiting. `message` is valid until the next call. After an error the object is of no use.
  absl::StatusOr<Step> Next(std::string_view* message);

  // Between kEnd and Begin().
  absl::StatusOr<Where> Look();
  // Between kEnd and Begin(): drops the copy at once, instead of some time after the session's end.
  absl::Status Drop();

 private:
  SlotCursor(PgConnection* sql, std::string name, std::string query_head, std::string query_tail)
      : sql_(sql), name_(std::move(name)), head_(std::move(query_head)), tail_(std::move(query_tail)) {}

  enum class State { kStarting, kCopying, kEnding };

  absl::StatusOr<Step> Start();
  absl::StatusOr<Step> Copy(std::string_view* message);
  absl::StatusOr<Step> End();
  // Takes the next message out of rest_; false when there is none.
  absl::StatusOr<bool> Parse(std::string_view* message);
  void FreeBuffer();

  PgConnection* const sql_;
  const std::string name_;
  const std::string head_, tail_;  // the query, around `upto`
  State state_ = State::kEnding;
  bool header_seen_ = false;
  bool ended_ = false;  // the trailer was read
  char* buffer_ = nullptr;
  std::string_view rest_;  // of buffer_
};

}  // namespace wallaby

#endif  // WALLABY_POSTGRES_SLOT_CURSOR_H_
