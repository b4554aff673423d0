// What the supervising thread does: ends of workers, restarts, and the comparison of the store with what runs.
#include <poll.h>
#include <signal.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/clock.h"
#include "dispatch/local_dispatcher.h"
#include "dispatch/worker_process.h"
#include "store/for_each_flow.h"
#include "telemetry/log.h"

namespace wallaby {
namespace {

constexpr size_t kMaxUnrecorded = 1000;
// A worker that met another's lease which is gone meanwhile.
constexpr absl::Duration kMinLeaseWait = absl::Milliseconds(200);
// A store that cannot be asked is asked again after this.
constexpr absl::Duration kStoreRetry = absl::Seconds(1);

absl::Duration Now() {
  return Clock::Real()->Monotonic();
}

std::string Text(const absl::Status& status) {
  return std::string(status.message());
}

}  // namespace

void LocalDispatcher::Supervise() {
  while (!end_.Wait(absl::ZeroDuration())) {
    Await();
    std::lock_guard lock(mutex_);
    HandleExits();
    HandleDeadlines();
    if (Now() >= review_at_) {
      Review();
      review_at_ = Now() + options_.review_interval;
    }
  }
}

void LocalDispatcher::Await() {
  std::vector<pollfd> fds = {{end_.fd(), POLLIN, 0}, {wake_.fd(), POLLIN, 0}};
  absl::Duration until;
  {
    std::lock_guard lock(mutex_);
    until = review_at_;
    for (const auto& [flow_id, watch] : watches_) {
      if (watch.process != nullptr) {
        fds.push_back({watch.process->fd(), POLLIN, 0});
        if (watch.kill_at) until = std::min(until, *watch.kill_at);
      } else if (watch.due) {
        until = std::min(until, *watch.due);
      }
    }
  }
  const timespec timeout = absl::ToTimespec(std::max(until - Now(), absl::ZeroDuration()));
  ppoll(fds.data(), fds.size(), &timeout, nullptr);
  wake_.Clear();
}

void LocalDispatcher::HandleExits() {
  std::vector<std::string> ended;
  for (const auto& [flow_id, watch] : watches_) {
    if (watch.process != nullptr && watch.process->ended()) ended.push_back(flow_id);
  }
  for (const std::string& flow_id : ended) HandleExit(flow_id, WatchOf(flow_id));
}

void LocalDispatcher::HandleExit(const std::string& flow_id, Watch& watch) {
  const pid_t pid = watch.process->pid();
  const Process::Exit exit = watch.process->Reap();
  const bool asked = watch.kill_at.has_value();
  watch.process.reset();
  watch.kill_at.reset();
  const absl::Duration lived = Now() - watch.started;
  const bool expected = exit.code == 0 || exit.code == kExitLeaseHeld || (asked && exit.code < 0 && !exit.crashed);
  Log(expected ? LogLevel::kInfo : LogLevel::kWarn, "worker process ended",
      {{"flow_id", flow_id},
       {"pid", absl::StrCat(pid)},
       {"how", exit.text},
       {"lived", absl::FormatDuration(absl::Trunc(lived, absl::Milliseconds(1)))}});
  if (watch.attempt != 0) RecordEnd(watch.attempt, exit);
  ReleaseLeaseOf(store_, flow_id, pid);
  if (exit.crashed) {
    store_->SetLastError(flow_id, absl::StrCat("the worker was ", exit.text)).IgnoreError();
  }
  if (lived >= options_.stable_after) watch.backoff.Reset();
  const absl::Duration wait =
      exit.code == kExitLeaseHeld ? std::max(LeaseLeft(store_, flow_id), kMinLeaseWait) : watch.backoff.Next();
  SettleOrForget(flow_id, wait);
}

void LocalDispatcher::SettleOrForget(const std::string& flow_id, absl::Duration wait) {
  if (!Settle(flow_id, WatchOf(flow_id), wait)) watches_.erase(flow_id);
}

bool LocalDispatcher::Settle(const std::string& flow_id, Watch& watch, absl::Duration wait) {
  watch.due.reset();
  const absl::StatusOr<StoredFlow> flow = store_->FindFlow(flow_id);
  if (absl::IsNotFound(flow.status())) return false;
  if (!flow.ok()) {
    Log(LogLevel::kWarn, "the control store does not answer", {{"flow_id", flow_id}, {"error", Text(flow.status())}});
    watch.due = Now() + std::max(wait, kStoreRetry);
    return true;
  }
  if (flow->state == FlowState::kStopping) return !options_.only_spools && SettleStopping(flow_id, watch);
  std::optional<DispatchOptions> wanted = Wanted(*flow);
  // Of a flow that does not run, only a probe was asked for.
  const bool running = flow->state == FlowState::kRunning;
  if (!running && watch.next && watch.next->max_empty_reads > 0) wanted = watch.next;
  if (!wanted) return false;
  if (!watch.next && wait > absl::ZeroDuration()) {
    Log(LogLevel::kInfo, "the worker will be started again",
        {{"flow_id", flow_id}, {"in", absl::FormatDuration(absl::Trunc(wait, absl::Milliseconds(1)))}});
    watch.due = Now() + wait;
    return true;
  }
  StartOrRetry(flow_id, watch, *wanted);
  return true;
}

std::optional<DispatchOptions> LocalDispatcher::Wanted(const StoredFlow& flow) const {
  const std::optional<DispatchOptions> wanted = WantedWorker(flow, options_.spools);
  return wanted && options_.only_spools && !wanted->spool ? std::nullopt : wanted;
}

bool LocalDispatcher::SettleStopping(const std::string& flow_id, Watch& watch) {
  if (const absl::Duration left = LeaseLeft(store_, flow_id); left > absl::ZeroDuration()) {
    // A worker that is not ours; it sees the state by itself.
    watch.due = Now() + std::min(left, absl::Seconds(1));
    return true;
  }
  const absl::Status stopped = store_->Transition(flow_id, {FlowState::kStopping}, FlowState::kStopped, "");
  if (stopped.ok() || absl::IsFailedPrecondition(stopped) || absl::IsNotFound(stopped)) return false;
  watch.due = Now() + kStoreRetry;
  return true;
}

void LocalDispatcher::StartOrRetry(const std::string& flow_id, Watch& watch, const DispatchOptions& options) {
  if (const absl::Duration left = LeaseLeft(store_, flow_id); left > absl::ZeroDuration()) {
    watch.due = Now() + left;
    return;
  }
  const absl::Status started = Spawn(flow_id, watch, options);
  if (started.ok()) return;
  Log(LogLevel::kError, "no worker could be started", {{"flow_id", flow_id}, {"error", Text(started)}});
  store_->SetLastError(flow_id, Text(started)).IgnoreError();
  watch.due = Now() + watch.backoff.Next();
}

void LocalDispatcher::HandleDeadlines() {
  std::vector<std::string> due;
  for (auto& [flow_id, watch] : watches_) {
    if (watch.process == nullptr) {
      if (watch.due && *watch.due <= Now()) due.push_back(flow_id);
    } else if (watch.kill_at && *watch.kill_at <= Now()) {
      Log(LogLevel::kError, "the worker does not end; killing it",
          {{"flow_id", flow_id}, {"pid", absl::StrCat(watch.process->pid())}});
      watch.process->Signal(SIGKILL).IgnoreError();
      watch.kill_at = Now() + options_.kill_after;
    }
  }
  for (const std::string& flow_id : due) SettleOrForget(flow_id, absl::ZeroDuration());
}

void LocalDispatcher::Review() {
  std::vector<UnrecordedEnd> unrecorded;
  unrecorded.swap(unrecorded_);
  for (const UnrecordedEnd& end : unrecorded) RecordEnd(end.attempt, end.exit);
  const absl::Status status = ForEachFlow(*store_, [this](const StoredFlow& flow) {
    ReviewFlow(flow);
    return absl::OkStatus();
  });
  if (!status.ok()) Log(LogLevel::kWarn, "the flows cannot be reviewed", {{"error", Text(status)}});
}

void LocalDispatcher::ReviewFlow(const StoredFlow& flow) {
  const std::optional<DispatchOptions> wanted = Wanted(flow);
  const bool stopping = flow.state == FlowState::kStopping;
  if (!wanted && !stopping && !watches_.contains(flow.flow.id)) return;
  Watch& watch = WatchOf(flow.flow.id);
  if (watch.process != nullptr) {
    // A stop that was asked for before this server began, or a resume.
    const bool spooled_enough = watch.spool && !(wanted && wanted->spool);
    if ((stopping || spooled_enough) && !watch.kill_at) AskToEnd(flow.flow.id, watch);
  } else if (!watch.due) {
    SettleOrForget(flow.flow.id, absl::ZeroDuration());
  }
}

void LocalDispatcher::RecordEnd(int64_t attempt, const Process::Exit& exit) {
  const absl::Status recorded = store_->EndAttempt(attempt, exit.code, exit.text);
  if (recorded.ok() || absl::IsNotFound(recorded)) return;
  Log(LogLevel::kWarn, "a worker's end could not be recorded", {{"error", Text(recorded)}});
  if (unrecorded_.size() < kMaxUnrecorded) unrecorded_.push_back({attempt, exit});
}

}  // namespace wallaby
