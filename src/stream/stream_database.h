// StreamDatabase: the connections of one process to a database that has streams, and the wait for new messages there.
//
// Writers tell of messages by NOTIFY. One connection listens while anybody waits, so a consumer that waits costs
// neither a connection nor a query. Safe from any thread.
#ifndef WALLABY_STREAM_STREAM_DATABASE_H_
#define WALLABY_STREAM_STREAM_DATABASE_H_

#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/event.h"
#include "postgres/connection.h"

namespace wallaby {

// A stream within its database: schema and id.
using StreamKey = std::pair<std::string, int64_t>;

// Out of "<stream id> <last id> <schema>" (stream_tables.h); false for what is not one.
bool ParseStreamNotice(std::string_view text, StreamKey* stream, int64_t* last_id);

class StreamDatabase {
 public:
  // Connects when it is first used.
  explicit StreamDatabase(std::string dsn);
  // Nobody waits any more.
  ~StreamDatabase();
  StreamDatabase(const StreamDatabase&) = delete;
  StreamDatabase& operator=(const StreamDatabase&) = delete;

  // Calls `work` with a connection, which it has for itself. Waits for one when all are in use. When a connection that
  // had been used before turns out to be lost, `work` is called again with a new one.
  absl::Status Run(absl::FunctionRef<absl::Status(PgConnection&)> work);

  enum class Woken {
    kMessages,  // the stream reaches next_id()
    kPerhaps,   // it may: something happened that nobody told exactly
    kNot,       // the time is up, or give_up()
  };
  // Waits until the stream has a message with id next_id(), at most for `limit`. Both functions are called under a lock
  // and from time to time: they must be quick.
  Woken Wait(const StreamKey& stream, absl::FunctionRef<int64_t()> next_id, absl::Duration limit,
             absl::FunctionRef<bool()> give_up);
  // The newest id of the stream, as was told; 0 before that.
  int64_t LastTold(const StreamKey& stream) const;
  // What was told up to `last_id` turned out to be nothing: anybody may NOTIFY. It wakes nobody any more.
  void Forget(const StreamKey& stream, int64_t last_id);
  // Wakes all who wait: a group was set back. With `end`, for good.
  void Wake(bool end = false);

 private:
  absl::StatusOr<std::unique_ptr<PgConnection>> Connect() const;
  bool SomebodyWaits(absl::Duration limit);
  void Listen();
  absl::Status ListenOnce();
  absl::Status TakeNotices(PgConnection& sql);

  const std::string dsn_;

  std::mutex pool_mutex_;  // guards what follows
  std::condition_variable pool_changed_;
  std::vector<std::unique_ptr<PgConnection>> idle_;
  int in_use_ = 0;

  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::map<StreamKey, int64_t> last_ids_;  // as told
  int64_t wakes_ = 0;                      // of everybody
  int waiting_ = 0;
  bool listening_ = false;
  bool ended_ = false;

  Event end_;
  std::thread listener_;
};

}  // namespace wallaby

#endif  // WALLABY_STREAM_STREAM_DATABASE_H_
