// PgConnection: one connection to PostgreSQL through libpq. RAII, one thread at a time.
//
// Errors carry the server's primary message, SQLSTATE and hint, never the DSN's password. By SQLSTATE: class 08, 57P0x,
// 53xxx (too many connections, disk full), 40xxx, 55P03 (lock not available) and a lost socket are UNAVAILABLE; 28xxx
// UNAUTHENTICATED; 42501 PERMISSION_DENIED; 42P01/42704/3D000/3F000 NOT_FOUND; 42710/42P07/42P06/42P04/42701
// ALREADY_EXISTS; 55xxx (object in use or not in the needed state) and 25xxx FAILED_PRECONDITION; 57014 CANCELLED;
// 0A000 UNIMPLEMENTED; 22xxx and 23xxx INVALID_ARGUMENT; all else INTERNAL. The server's detail is added except for
// 22xxx and 23xxx, where it shows the users' data.
#ifndef WALLABY_POSTGRES_CONNECTION_H_
#define WALLABY_POSTGRES_CONNECTION_H_

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

struct pg_cancel;
struct pg_conn;
struct pg_result;

namespace wallaby {

// Rows of a finished statement. Owns the memory.
class PgRows {
 public:
  PgRows() = default;
  explicit PgRows(pg_result* result) : result_(result) {}
  int size() const;
  int columns() const;
  bool IsNull(int row, int column) const;
  std::string_view Text(int row, int column) const;  // "" for null
  int64_t Int(int row, int column) const;            // 0 for null
  bool Bool(int row, int column) const;
  // Rows affected by INSERT, UPDATE, DELETE, COPY.
  int64_t affected() const;

 private:
  struct Free {
    void operator()(pg_result* result) const;
  };
  std::unique_ptr<pg_result, Free> result_;
};

// For ConnectOptions::answer_limit: the connection's silence_limit().
inline constexpr absl::Duration kSilenceLimit = absl::ZeroDuration();

struct ConnectOptions {
  bool replication = false;                            // walsender: replication=database
  absl::Duration connect_timeout = absl::Seconds(10);  // for each host of the DSN; the DSN's connect_timeout wins
  std::string application_name = "wallaby";
  // For a connection whose statements are all short: how long to wait for an answer before the server, or what stands
  // between, is taken for gone (UNAVAILABLE; the connection is closed then). Waiting for a lock ends at half of it.
  absl::Duration answer_limit = absl::InfiniteDuration();
  // Session settings, sent in the startup packet. The ones that fix text forms (change/type.h) are always added.
  std::map<std::string, std::string> settings;
};

using SqlParam = std::optional<std::string>;  // nullopt is NULL

class PgConnection {
 public:
  // `dsn` is a URI or key=value string; what it leaves out comes from libpq's environment (PGPASSWORD, PGSSLMODE).
  // Adds TCP keepalives and tcp_user_timeout where the DSN sets none, so that a peer that is gone without a word is
  // noticed after about a minute. INVALID_ARGUMENT names the DSN's bad keyword, never a value.
  static absl::StatusOr<std::unique_ptr<PgConnection>> Connect(const std::string& dsn,
                                                               const ConnectOptions& options = {});
  ~PgConnection();
  PgConnection(const PgConnection&) = delete;
  PgConnection& operator=(const PgConnection&) = delete;

  // One or more statements, simple protocol; the rows are the last statement's. Not for COPY.
  absl::StatusOr<PgRows> Query(const std::string& sql);
  // One statement with $1.. parameters as text.
  absl::StatusOr<PgRows> Query(const std::string& sql, const std::vector<SqlParam>& params);
  // One statement whose values come in their types' binary form (network byte order), as PgRows::Text() gives them.
  absl::StatusOr<PgRows> QueryBinary(const std::string& sql);
  absl::Status Execute(const std::string& sql);

  // COPY ... FROM STDIN. Begin, then data in pieces of any size, then End (returns rows) or Abort.
  absl::Status BeginCopyIn(const std::string& sql);
  absl::Status PutCopyData(std::string_view data);
  absl::StatusOr<int64_t> EndCopyIn();
  void AbortCopyIn(const std::string& reason);

  // COPY ... TO STDOUT. `row` is valid until the next call; false at the end.
  absl::Status BeginCopyOut(const std::string& sql);
  absl::StatusOr<bool> GetCopyRow(std::string_view* row);

  // The DSN's tcp_user_timeout, a minute where it has none: a server that was asked and is silent for longer is gone.
  // Infinite when the DSN sets 0.
  absl::Duration silence_limit() const { return silence_limit_; }
  void set_answer_limit(absl::Duration limit) { answer_limit_ = limit; }
  // Waits until the result of what was sent can be taken without blocking, by the connection's answer_limit.
  absl::Status AwaitResult(std::string_view doing);

  int server_version() const;  // 150004
  int server_major() const { return server_version() / 10000; }
  int backend_pid() const;
  // For replication and other uses of libpq itself (postgres room only).
  pg_conn* raw() const { return conn_; }
  // The connection's state as an error, in the mapping above.
  absl::Status LastError(std::string_view doing) const;
  // From any thread: asks the server to cancel what runs.
  absl::Status Cancel();
  // From now on `calls` is raised at the begin and at the end of each call that may wait for the server: odd while one
  // lasts. Null: no more. For SessionWatch.
  void CountCalls(std::atomic<uint64_t>* calls) { calls_ = calls; }

 private:
  PgConnection(pg_conn* conn, absl::Duration silence_limit, absl::Duration answer_limit);
  // Reads what is left of the statement: its error, or the last result.
  absl::StatusOr<PgRows> Drain(std::string_view doing);
  void FreeCopyBuffer();

  pg_conn* conn_;
  const absl::Duration silence_limit_;
  absl::Duration answer_limit_;
  pg_cancel* cancel_;  // made at the start, so that Cancel() does not touch conn_
  char* copy_buffer_ = nullptr;
  std::atomic<uint64_t>* calls_ = nullptr;
};

// A status out of a failed result, by the mapping above.
absl::Status StatusFromResult(const pg_result* result, std::string_view doing);

// The database that a DSN names; empty when it names none or cannot be read.
std::string DatabaseOfDsn(const std::string& dsn);

}  // namespace wallaby

#endif  // WALLABY_POSTGRES_CONNECTION_H_
