#include "dispatch/local_dispatcher.h"

#include <signal.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/clock.h"
#include "base/failpoint.h"
#include "base/status.h"
#include "dispatch/worker_process.h"
#include "telemetry/log.h"

namespace wallaby {
LocalDispatcher::LocalDispatcher(ControlStore* store, LocalDispatcherOptions options)
    : store_(store), options_(std::move(options)), worker_(WorkerProgram(options_.worker)) {}

LocalDispatcher::~LocalDispatcher() {
  end_.Set();
  if (supervisor_.joinable()) supervisor_.join();
}

absl::Status LocalDispatcher::Start() {
  WarnWithoutWorker(worker_);
  ASSIGN_OR_RETURN(const std::vector<DispatchAttempt> attempts, store_->ActiveAttempts());
  std::lock_guard lock(mutex_);
  for (const DispatchAttempt& attempt : attempts) {
    if (attempt.kind == "local") Adopt(attempt);
  }
  review_at_ = Clock::Real()->Monotonic();
  supervisor_ = std::thread([this] { Supervise(); });
  return absl::OkStatus();
}

void LocalDispatcher::Adopt(const DispatchAttempt& attempt) {
  absl::StatusOr<std::unique_ptr<Process>> found = Process::Find(attempt.handle);
  if (!found.ok() && !absl::IsInvalidArgument(found.status())) {
    // Left as it is: whether it runs will be seen by its lease.
    Log(LogLevel::kWarn, "a worker of before cannot be looked at",
        {{"flow_id", attempt.flow_id}, {"error", std::string(found.status().message())}});
    return;
  }
  if (!found.ok() || *found == nullptr) {
    Process::Exit exit;
    exit.text = "ended while no server watched it";
    RecordEnd(attempt.id, exit);
    ReleaseLeaseOf(store_, attempt.flow_id, PidOfHandle(attempt.handle));
    return;
  }
  Watch& watch = WatchOf(attempt.flow_id);
  if (watch.process != nullptr) return;  // the lease keeps the two apart
  Log(LogLevel::kInfo, "found a running worker",
      {{"flow_id", attempt.flow_id}, {"pid", absl::StrCat((*found)->pid())}});
  watch.process = *std::move(found);
  watch.attempt = attempt.id;
  watch.started = Clock::Real()->Monotonic() - std::max(absl::Now() - attempt.started_at, absl::ZeroDuration());
}

LocalDispatcher::Watch& LocalDispatcher::WatchOf(const std::string& flow_id) {
  return watches_.try_emplace(flow_id, options_).first->second;
}

absl::Status LocalDispatcher::Ensure(const std::string& flow_id, const DispatchOptions& options) {
  std::lock_guard lock(mutex_);
  Watch& watch = WatchOf(flow_id);
  if (watch.process != nullptr) {
    const bool must_follow = watch.kill_at.has_value() || watch.process->ended() || watch.spool ||
                             (watch.probe && options.max_empty_reads == 0);
    if (must_follow) watch.next = options;
    if (watch.spool) AskToEnd(flow_id, watch);
    return absl::OkStatus();
  }
  // Somebody else runs it, perhaps by hand: as good as ours, and followed by ours.
  if (const absl::Duration left = LeaseLeft(store_, flow_id); left > absl::ZeroDuration()) {
    watch.due = Clock::Real()->Monotonic() + left;
    wake_.Set();
    return absl::OkStatus();
  }
  const absl::Status started = Spawn(flow_id, watch, options);
  if (!started.ok()) {
    watch.due = Clock::Real()->Monotonic() + watch.backoff.Next();
    wake_.Set();
  }
  return started;
}

absl::Status LocalDispatcher::Spawn(const std::string& flow_id, Watch& watch, const DispatchOptions& options) {
  std::vector<std::string> args = {"-flow-id", flow_id};
  if (options.max_empty_reads > 0) {
    args.insert(args.end(), {"-max-empty-reads", absl::StrCat(options.max_empty_reads)});
  }
  if (options.spool) args.insert(args.end(), {"-mode", "spool"});
  if (!options_.config_file.empty()) args.insert(args.end(), {"-config", options_.config_file});
  watch.next.reset();
  RETURN_IF_ERROR(ReachFailpoint(Failpoint::kWorkerSpawnBefore));
  absl::StatusOr<std::unique_ptr<Process>> process = Process::Spawn(worker_, args);
  if (!process.ok()) return process.status();
  watch.process = *std::move(process);
  watch.probe = options.max_empty_reads > 0;
  watch.spool = options.spool;
  watch.started = Clock::Real()->Monotonic();
  watch.kill_at.reset();
  watch.due.reset();
  watch.attempt = 0;
  wake_.Set();

  DispatchAttempt attempt;
  attempt.flow_id = flow_id;
  attempt.kind = "local";
  attempt.handle = watch.process->handle();
  attempt.started_at = absl::Now();
  const absl::Status reached = ReachFailpoint(Failpoint::kWorkerSpawnAfter);
  const absl::StatusOr<int64_t> id = reached.ok() ? store_->AddAttempt(attempt) : reached;
  if (id.ok()) {
    watch.attempt = *id;
  } else {
    // It runs all the same; a server that starts later will only see its lease.
    Log(LogLevel::kWarn, "the worker's start could not be recorded",
        {{"flow_id", flow_id}, {"error", std::string(id.status().message())}});
  }
  Log(LogLevel::kInfo, "worker process started", {{"flow_id", flow_id}, {"pid", absl::StrCat(watch.process->pid())}});
  return absl::OkStatus();
}

void LocalDispatcher::AskToEnd(const std::string& flow_id, Watch& watch) {
  const absl::Status asked = watch.process->Signal(SIGTERM);
  if (!asked.ok()) {
    Log(LogLevel::kWarn, "the worker could not be asked to end",
        {{"flow_id", flow_id}, {"error", std::string(asked.message())}});
  }
  if (!watch.kill_at) watch.kill_at = Clock::Real()->Monotonic() + options_.kill_after;
  wake_.Set();
}

void LocalDispatcher::Stop(const std::string& flow_id) {
  std::lock_guard lock(mutex_);
  Watch& watch = WatchOf(flow_id);
  watch.next.reset();
  if (watch.process != nullptr) {
    AskToEnd(flow_id, watch);
  } else {
    SettleOrForget(flow_id, absl::ZeroDuration());
    wake_.Set();
  }
}

void LocalDispatcher::Restart(const std::string& flow_id) {
  std::lock_guard lock(mutex_);
  const auto found = watches_.find(flow_id);
  if (found == watches_.end()) return;
  Watch& watch = found->second;
  if (watch.process != nullptr) {
    watch.next = DispatchOptions();
    AskToEnd(flow_id, watch);
  } else if (watch.due) {
    watch.due = Clock::Real()->Monotonic();
    wake_.Set();
  }
}

bool LocalDispatcher::IsActive(const std::string& flow_id) {
  std::lock_guard lock(mutex_);
  const auto found = watches_.find(flow_id);
  return found != watches_.end() && found->second.process != nullptr && !found->second.spool &&
         !found->second.process->ended();
}

std::unique_ptr<Dispatcher> MakeLocalDispatcher(ControlStore* store, LocalDispatcherOptions options) {
  return std::make_unique<LocalDispatcher>(store, std::move(options));
}

}  // namespace wallaby
