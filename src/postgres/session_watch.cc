#include "postgres/session_watch.h"

#include <libpq-fe.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace wallaby {
namespace {

constexpr absl::Duration kLongestLook = absl::Seconds(10);

}  // namespace

absl::StatusOr<std::unique_ptr<SessionWatch>> SessionWatch::Start(PgConnection* connection, std::string dsn) {
  const bool watched = connection->silence_limit() < absl::InfiniteDuration();
  const int socket = watched ? dup(PQsocket(connection->raw())) : -1;
  std::unique_ptr<SessionWatch> watch(new SessionWatch(connection, std::move(dsn), socket));
  if (socket < 0) return watch;
  // Not backend_pid(): a pooler tells one of its own.
  ASSIGN_OR_RETURN(const PgRows who, connection->Query("SELECT pg_backend_pid(), pg_postmaster_start_time()"));
  watch->pid_ = who.Text(0, 0);
  watch->server_start_ = who.Text(0, 1);
  connection->CountCalls(&watch->calls_);
  watch->thread_ = std::thread([self = watch.get()] { self->Run(); });
  return watch;
}

SessionWatch::~SessionWatch() {
  connection_->CountCalls(nullptr);
  end_.Set();
  if (thread_.joinable()) thread_.join();
  if (socket_ >= 0) close(socket_);
}

absl::Status SessionWatch::status() const {
  std::lock_guard lock(mutex_);
  return cut_.empty() ? absl::OkStatus() : absl::UnavailableError(cut_);
}

void SessionWatch::Run() {
  uint64_t seen = 0;
  std::string before;
  while (!end_.Wait(limit_)) {
    const uint64_t call = calls_.load();
    if (call % 2 == 0 || std::exchange(seen, call) != call) {
      before.clear();
      continue;
    }
    const absl::Duration patience = std::min(limit_, kLongestLook);
    const auto sql = PgConnection::Connect(
        dsn_, {.connect_timeout = patience, .application_name = "wallaby watch", .answer_limit = patience});
    if (!sql.ok()) continue;
    const std::string now = Look(**sql);
    if (!now.empty() && now == before && calls_.load() == call) return Cut(**sql, now);
    before = now;
  }
}

std::string SessionWatch::Look(PgConnection& sql) const {
  const auto rows =
      sql.Query(absl::StrCat("SELECT pg_postmaster_start_time(), a.pid, a.wait_event_type, a.wait_event, a.state, "
                             "a.state_change, p.bytes_processed "
                             "FROM (SELECT 1) AS one LEFT JOIN pg_stat_activity a ON a.pid = ",
                             pid_, " LEFT JOIN pg_stat_progress_copy p ON p.pid = a.pid"));
  if (!rows.ok() || rows->size() != 1) return "";
  if (rows->Text(0, 0) != server_start_) return "the server has been started anew";
  if (rows->IsNull(0, 1)) return "the server does not have the session any more";
  if (rows->Text(0, 2) != "Client") return "";
  return absl::StrCat("the server waits for its client (", rows->Text(0, 3), ", ", rows->Text(0, 4), " since ",
                      rows->Text(0, 5), rows->IsNull(0, 6) ? "" : absl::StrCat(", ", rows->Text(0, 6), " bytes copied"),
                      ")");
}

void SessionWatch::Cut(PgConnection& sql, const std::string& why) {
  // What it holds is held no longer. The pid of a server that was started anew is another's.
  sql.Execute(absl::StrCat("SELECT pg_terminate_backend(", pid_, ") WHERE pg_postmaster_start_time() = '",
                           server_start_, "'"))
      .IgnoreError();
  {
    std::lock_guard lock(mutex_);
    cut_ = absl::StrCat("no answer for ", absl::FormatDuration(2 * limit_), " or more, while ", why,
                        ": something between has lost what was sent; the connection is given up");
  }
  shutdown(socket_, SHUT_RDWR);
}

}  // namespace wallaby
