#include "stream/stream_database.h"

#include <libpq-fe.h>
#include <poll.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/backoff.h"
#include "base/status.h"
#include "stream/stream_tables.h"

namespace wallaby {
namespace {

constexpr int kMostConnections = 16;
constexpr size_t kMostIdle = 4;
// How often a waiting consumer looks whether its call still is there.
constexpr absl::Duration kSlice = absl::Milliseconds(500);
// Without anybody waiting, for so long the listening connection stays.
constexpr absl::Duration kListenAlone = absl::Seconds(30);

std::chrono::nanoseconds Chrono(absl::Duration duration) {
  return absl::ToChronoNanoseconds(duration);
}

}  // namespace

bool ParseStreamNotice(std::string_view text, StreamKey* stream, int64_t* last_id) {
  const size_t first = text.find(' ');
  if (first == text.npos) return false;
  const size_t second = text.find(' ', first + 1);
  if (second == text.npos || !absl::SimpleAtoi(text.substr(0, first), &stream->second) ||
      !absl::SimpleAtoi(text.substr(first + 1, second - first - 1), last_id)) {
    return false;
  }
  stream->first = text.substr(second + 1);
  return true;
}

StreamDatabase::StreamDatabase(std::string dsn) : dsn_(std::move(dsn)), listener_([this] { Listen(); }) {}

StreamDatabase::~StreamDatabase() {
  end_.Set();
  Wake(/*end=*/true);
  listener_.join();
}

// ---- connections ----

absl::StatusOr<std::unique_ptr<PgConnection>> StreamDatabase::Connect() const {
  ConnectOptions options;
  options.application_name = "wallaby streams";
  options.settings = {{"lock_timeout", "20s"}, {"statement_timeout", "50s"}};
  options.answer_limit = kSilenceLimit;
  return PgConnection::Connect(dsn_, options);
}

absl::Status StreamDatabase::Run(absl::FunctionRef<absl::Status(PgConnection&)> work) {
  std::unique_ptr<PgConnection> sql;
  {
    std::unique_lock lock(pool_mutex_);
    pool_changed_.wait(lock, [this] { return in_use_ < kMostConnections; });
    ++in_use_;
    if (!idle_.empty()) {
      sql = std::move(idle_.back());
      idle_.pop_back();
    }
  }
  const absl::Cleanup give_back = [&] {
    std::lock_guard lock(pool_mutex_);
    --in_use_;
    if (sql != nullptr && idle_.size() < kMostIdle) idle_.push_back(std::move(sql));
    pool_changed_.notify_one();
  };
  const bool used_before = sql != nullptr;
  if (!used_before) {
    ASSIGN_OR_RETURN(sql, Connect());
  }
  absl::Status status = work(*sql);
  if (used_before && absl::IsUnavailable(status)) {
    sql.reset();
    ASSIGN_OR_RETURN(sql, Connect());
    status = work(*sql);
  }
  if (!status.ok()) sql.reset();
  return status;
}

// ---- waiting ----

StreamDatabase::Woken StreamDatabase::Wait(const StreamKey& stream, absl::FunctionRef<int64_t()> next_id,
                                           absl::Duration limit, absl::FunctionRef<bool()> give_up) {
  const absl::Time deadline = absl::Now() + limit;
  std::unique_lock lock(mutex_);
  ++waiting_;
  const absl::Cleanup done = [this] { --waiting_; };
  changed_.notify_all();  // the listener may sleep
  const int64_t wakes = wakes_;
  while (true) {
    if (const auto told = last_ids_.find(stream); told != last_ids_.end() && told->second >= next_id()) {
      return Woken::kMessages;
    }
    if (wakes_ != wakes) return Woken::kPerhaps;
    const absl::Duration left = deadline - absl::Now();
    if (ended_ || left <= absl::ZeroDuration() || give_up()) return Woken::kNot;
    const bool was_listening = listening_;
    changed_.wait_for(lock, Chrono(std::min(left, kSlice)));
    // While nobody listens, it is looked at now and then.
    if (!was_listening && !listening_) return Woken::kPerhaps;
  }
}

int64_t StreamDatabase::LastTold(const StreamKey& stream) const {
  std::lock_guard lock(mutex_);
  const auto told = last_ids_.find(stream);
  return told == last_ids_.end() ? 0 : told->second;
}

void StreamDatabase::Forget(const StreamKey& stream, int64_t last_id) {
  std::lock_guard lock(mutex_);
  const auto told = last_ids_.find(stream);
  if (told != last_ids_.end() && told->second <= last_id) last_ids_.erase(told);
}

void StreamDatabase::Wake(bool end) {
  std::lock_guard lock(mutex_);
  ++wakes_;
  ended_ = ended_ || end;
  changed_.notify_all();
}

// ---- the listening thread ----

bool StreamDatabase::SomebodyWaits(absl::Duration limit) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, Chrono(limit), [this] { return waiting_ > 0 || ended_; });
  return waiting_ > 0 && !ended_;
}

void StreamDatabase::Listen() {
  Backoff backoff(absl::Milliseconds(200), absl::Seconds(5));
  while (!end_.Wait(absl::ZeroDuration())) {
    if (!SomebodyWaits(absl::Minutes(10))) continue;
    const absl::Status status = ListenOnce();
    {
      std::lock_guard lock(mutex_);
      listening_ = false;
      last_ids_.clear();
    }
    // Why it failed is told to whoever pulls.
    if (status.ok()) {
      backoff.Reset();
    } else {
      end_.Wait(backoff.Next());
    }
  }
}

absl::Status StreamDatabase::ListenOnce() {
  ASSIGN_OR_RETURN(const std::unique_ptr<PgConnection> sql, Connect());
  RETURN_IF_ERROR(sql->Execute(absl::StrCat("LISTEN ", kStreamChannel)));
  {
    // What came before nobody was told of: all look once.
    std::lock_guard lock(mutex_);
    listening_ = true;
    ++wakes_;
    changed_.notify_all();
  }
  absl::Time last_wait = absl::Now();
  while (absl::Now() - last_wait < kListenAlone) {
    pollfd fds[] = {{PQsocket(sql->raw()), POLLIN, 0}, {end_.fd(), POLLIN, 0}};
    poll(fds, 2, static_cast<int>(absl::ToInt64Milliseconds(kListenAlone)));
    if (end_.Wait(absl::ZeroDuration())) break;
    RETURN_IF_ERROR(TakeNotices(*sql));
    std::lock_guard lock(mutex_);
    if (waiting_ > 0) last_wait = absl::Now();
  }
  return absl::OkStatus();
}

absl::Status StreamDatabase::TakeNotices(PgConnection& sql) {
  if (PQconsumeInput(sql.raw()) == 0) return sql.LastError("waiting for messages");
  std::lock_guard lock(mutex_);
  while (PGnotify* notice = PQnotifies(sql.raw())) {
    const absl::Cleanup free = [notice] { PQfreemem(notice); };
    StreamKey stream;
    int64_t last_id = 0;
    if (!ParseStreamNotice(notice->extra, &stream, &last_id)) continue;
    int64_t& told = last_ids_[stream];
    told = std::max(told, last_id);
  }
  changed_.notify_all();
  return absl::OkStatus();
}

}  // namespace wallaby
