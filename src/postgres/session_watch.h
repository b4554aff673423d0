// SessionWatch: ends a call that waits for a server which has forgotten it.
//
// What stands between, such as a proxy or a load balancer, may confirm bytes that the server never gets. TCP has
// nothing to complain of then, and a statement may well take hours, so waiting has no bound of its own. When one call
// has lasted for the connection's silence_limit(), a thread asks the server over a second connection what the session
// does (PostgreSQL documentation, "The Statistics Collector": pg_stat_activity, pg_stat_progress_copy). If it is gone,
// or has waited for its client and got no further between two looks, it is terminated, so that it holds no locks, and
// the connection is cut: the call fails as UNAVAILABLE. A server that cannot be asked is waited for.
#ifndef WALLABY_POSTGRES_SESSION_WATCH_H_
#define WALLABY_POSTGRES_SESSION_WATCH_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/event.h"
#include "postgres/connection.h"

namespace wallaby {

class SessionWatch {
 public:
  // Asks the connection, which must outlive the object, who it is. `dsn` is the one that it was made with. Without a
  // silence_limit() nothing is watched.
  static absl::StatusOr<std::unique_ptr<SessionWatch>> Start(PgConnection* connection, std::string dsn);
  // Joins the thread, which may be in the middle of a look: at most a few seconds.
  ~SessionWatch();
  SessionWatch(const SessionWatch&) = delete;
  SessionWatch& operator=(const SessionWatch&) = delete;

  // UNAVAILABLE: why the connection was cut. OK: it was not.
  absl::Status status() const;

 private:
  SessionWatch(PgConnection* connection, std::string dsn, int socket)
      : connection_(connection), dsn_(std::move(dsn)), limit_(connection->silence_limit()), socket_(socket) {}
  void Run();
  // What the session does, in words, if it cannot go on by itself; "" where it works or nobody knows.
  std::string Look(PgConnection& sql) const;
  void Cut(PgConnection& sql, const std::string& why);

  PgConnection* const connection_;
  const std::string dsn_;
  const absl::Duration limit_;
  const int socket_;  // a duplicate, so that the number is not another's when libpq has closed its own
  std::string pid_;
  std::string server_start_;
  std::atomic<uint64_t> calls_ = 0;  // odd: one is under way
  Event end_;
  mutable std::mutex mutex_;
  std::string cut_;
  std::thread thread_;
};

}  // namespace wallaby

#endif  // WALLABY_POSTGRES_SESSION_WATCH_H_
