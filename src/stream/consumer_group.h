// ConsumerGroup: what a group of consumers does with a stream: take messages, acknowledge them, go back.
//
// The group's row says which id comes next; claims say which ids before it are in flight. All other ids before it are
// acknowledged. So a pull and the acknowledgement of what it gave cost a row each, however many messages there are. A
// claim that nobody acknowledges in time is handed out again, before what is new, by the server's clock.
//
// Every call is one transaction under the lock of the group's row, so consumers of one group take turns; those of
// others are not in the way. An acknowledgement is on disk when it returns. What a pull stores may be lost with the
// database server; its messages then come again.
//
// Errors: an error leaves the connection unusable. NOT_FOUND: a segment or the tables went away meanwhile.
#ifndef WALLABY_STREAM_CONSUMER_GROUP_H_
#define WALLABY_STREAM_CONSUMER_GROUP_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/lsn.h"
#include "postgres/connection.h"
#include "stream/claims.h"
#include "stream/segments.h"
#include "stream/stream_tables.h"

namespace wallaby {

// The id of the stream's row; nothing when its writer has not made it yet.
absl::StatusOr<std::optional<int64_t>> FindStreamId(PgConnection& sql, const StreamTables& tables,
                                                    const std::string& name);

struct PullOptions {
  std::string consumer;
  int64_t max_messages = 100;
  int64_t max_bytes = 1 << 20;  // of all messages; one alone may be larger
  absl::Duration visibility = absl::Seconds(30);
};

struct PullResult {
  int64_t messages = 0;
  int64_t redelivered = 0;  // of those, how many not for the first time
  int64_t next_id = 1;      // the group's
  bool more = false;        // there are more right now
  // Without messages: until the first claim runs out.
  absl::Duration until_visible = absl::InfiniteDuration();
};

// Where a group is set to: the first message whose commit LSN is at or above `lsn`, or that was stored at or after
// `since`.
struct ReplayPlace {
  std::optional<Lsn> lsn;
  std::optional<absl::Time> since;
};

class ConsumerGroup {
 public:
  static constexpr int kMostGroups = 1000;  // of one stream

  // `sql` outlives the object.
  ConsumerGroup(PgConnection& sql, StreamTables tables, int64_t stream_id, std::string_view name);

  // Gives `sink` messages in order of their ids. Makes the group, at the oldest message, where there is none. An error
  // of the sink ends the pull, and nothing is claimed.
  absl::StatusOr<PullResult> Pull(const PullOptions& options, absl::FunctionRef<absl::Status(const MessageRow&)> sink);

  // How many of `ids` were in flight.
  absl::StatusOr<int64_t> Ack(std::vector<int64_t> ids);

  // How many messages the group had already and gets again. What is in flight before the place stays so.
  absl::StatusOr<int64_t> Replay(const ReplayPlace& place);

  absl::StatusOr<bool> Delete();

 private:
  struct Taken;
  // Begins the transaction; gives the group's next id. `set` is a statement behind BEGIN.
  absl::StatusOr<int64_t> Lock(std::string_view set);
  absl::StatusOr<std::vector<Claim>> LoadClaims(std::string_view condition);
  absl::Status TakeExpired(const std::vector<Claim>& expired, MessageReader& reader, Taken* taken);
  absl::Status TakeNew(MessageReader& reader, Taken* taken);
  absl::Status StorePull(const PullOptions& options, const Taken& taken);
  std::string ChangeSql(const ClaimChange& change) const;
  absl::StatusOr<absl::Duration> UntilVisible();

  PgConnection& sql_;
  const StreamTables tables_;
  const int64_t stream_id_;
  const std::string where_;   // of the group's claims
  const std::string values_;  // the first two of a claim
  const std::string name_;    // a literal
};

struct GroupState {
  std::string name;
  int64_t lag_messages = 0;  // kept and not acknowledged, those in flight included
  absl::Duration lag;        // since the oldest of them was stored; zero when there is none
  int64_t in_flight = 0;
  int64_t redelivered = 0;  // of those in flight, how many not for the first time
  int64_t next_id = 1;
  int64_t skipped = 0;  // removed by retention before the group had or acknowledged them
};
// In order of name.
absl::StatusOr<std::vector<GroupState>> ListGroups(PgConnection& sql, const StreamTables& tables, int64_t stream_id);

}  // namespace wallaby

#endif  // WALLABY_STREAM_CONSUMER_GROUP_H_
