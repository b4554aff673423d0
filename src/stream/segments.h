// Segments of a stream: reading messages out of them, finding a place in them, dropping them.
#ifndef WALLABY_STREAM_SEGMENTS_H_
#define WALLABY_STREAM_SEGMENTS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/lsn.h"
#include "postgres/connection.h"
#include "stream/claims.h"
#include "stream/stream_tables.h"

namespace wallaby {

struct Segment {
  IdRange ids;  // last < first: it is empty
  std::string wire_format;
};

// In order, the first of those that end at or behind `from`; not all when there are many.
absl::StatusOr<std::vector<Segment>> LoadSegments(PgConnection& sql, const StreamTables& tables, int64_t stream_id,
                                                  int64_t from);

// One message as it is stored; valid until the sink returns.
struct MessageRow {
  int64_t id = 0;
  Lsn lsn;
  int64_t seq = 0;
  std::optional<absl::Time> committed_at;
  absl::Time created_at;
  std::string_view operation;
  std::string_view space;
  std::string_view table;
  std::string_view key;  // empty: none
  std::string_view payload;
  std::string_view wire_format;
  int deliveries = 1;
};

// Reads ranges of ids, one after the other, until it has enough.
class MessageReader {
 public:
  using Sink = absl::FunctionRef<absl::Status(const MessageRow&)>;

  // Pointers and the sink outlive the object. `max_bytes` does not hold for the first message.
  MessageReader(PgConnection& sql, const StreamTables& tables, int64_t stream_id, std::vector<Segment> segments,
                int64_t max_messages, int64_t max_bytes, Sink sink);

  bool full() const { return full_; }
  // Up to where the segments reach that it knows.
  int64_t reach() const { return segments_.empty() ? 0 : segments_.back().ids.last; }
  // The id at or behind `id` from which on there may be messages: retention may have removed what was before.
  int64_t FirstKept(int64_t id) const;

  // Gives the sink the messages of the range, with these deliveries, and appends their ids to `read`. The answer is up
  // to where the range is read: its end, unless the reader is full or its reach is shorter.
  absl::StatusOr<int64_t> Read(IdRange range, const Claim& like, std::vector<Claim>* read);

 private:
  // The same within one segment.
  absl::StatusOr<int64_t> ReadSegment(const Segment& segment, IdRange range, const Claim& like,
                                      std::vector<Claim>* read);

  PgConnection& sql_;
  const StreamTables& tables_;
  const int64_t stream_id_;
  const std::vector<Segment> segments_;
  int64_t messages_left_;
  int64_t bytes_left_;
  bool first_ = true;
  bool full_ = false;
  const Sink sink_;
};

// The first message with this or a higher commit LSN; the id behind the last when there is none.
absl::StatusOr<int64_t> FindByLsn(PgConnection& sql, const StreamTables& tables, int64_t stream_id, Lsn lsn);
// The first that was stored at or after `time`; as above.
absl::StatusOr<int64_t> FindByTime(PgConnection& sql, const StreamTables& tables, int64_t stream_id, absl::Time time);

// How long messages are kept; without any, for ever. Segments are dropped as a whole, so somewhat more is kept.
struct Retention {
  std::optional<absl::Duration> age;
  std::optional<int64_t> bytes;
  std::optional<int64_t> messages;
  bool drop_unread = false;  // also what some group has not acknowledged

  bool keeps_all() const { return !age && !bytes && !messages; }
};
// Drops what retention lets go of, never the newest segment. Waits a moment for readers of each, and leaves it for
// another time where they do not end. Gives how many were dropped.
absl::StatusOr<int> DropSegments(PgConnection& sql, const StreamTables& tables, int64_t stream_id,
                                 const Retention& retention);

}  // namespace wallaby

#endif  // WALLABY_STREAM_SEGMENTS_H_
