#include "dispatch/dbos/executor.h"

#include <poll.h>

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "base/clock.h"
#include "base/status.h"
#include "telemetry/log.h"

namespace wallaby {
namespace {

constexpr absl::Duration kRetainInterval = absl::Minutes(10);

absl::Duration Now() {
  return Clock::Real()->Monotonic();
}

}  // namespace

DbosExecutor::DbosExecutor(DbosDatabase* database, DbosStore* dbos, DbosRun::Context context,
                           DbosExecutorOptions options)
    : dbos_(dbos), context_(std::move(context)), options_(options), alive_(database, dbos->identity().instance) {
  context_.on_end = [this, told = std::move(context_.on_end)] {
    if (told) told();
    wake_.Set();
  };
  context_.take_place = [this](DbosRun* run) { return TakePlace(run); };
}

DbosExecutor::~DbosExecutor() {
  Stop();
}

absl::Status DbosExecutor::Start() {
  RETURN_IF_ERROR(alive_.Keep());
  RETURN_IF_ERROR(dbos_->Register());
  ASSIGN_OR_RETURN(const std::vector<std::string> recovered, dbos_->RecoverDead(dbos_->identity().executor));
  for (const std::string& id : recovered) {
    Log(LogLevel::kInfo, "workflow recovered at the start", {{"workflow_id", id}});
  }
  wake_.Set();
  loop_ = std::thread([this] { Loop(); });
  return absl::OkStatus();
}

void DbosExecutor::Stop() {
  end_.Set();
  wake_.Set();
  if (loop_.joinable()) loop_.join();
  // Without the loop the list stays as it is; not locked, because the runs still use the lock.
  if (runs_.empty()) return;
  std::vector<std::string> tokens;
  for (const auto& run : runs_) tokens.push_back(run->claimed().token);
  // First, so that nothing is lost when this process is killed meanwhile; the flow's lease keeps the next worker
  // waiting.
  const auto released = dbos_->Release(tokens, /*count_attempt=*/false);
  if (released.ok()) {
    Log(LogLevel::kInfo, "workflows handed back", {{"workflow_ids", absl::StrJoin(*released, ", ")}});
  } else {
    Log(LogLevel::kWarn, "workflows could not be handed back; the next start recovers them",
        {{"error", std::string(released.status().message())}});
  }
  for (const auto& run : runs_) run->Abandon();
  const absl::Duration limit = Now() + options_.stop_limit;
  for (const auto& run : runs_) {
    while (!run->ended() && Now() < limit) {
      wake_.Clear();
      if (!run->ended()) wake_.Wait(limit - Now());
    }
  }
  for (const auto& run : runs_) run->Kill();
  std::list<std::unique_ptr<DbosRun>> ending;
  {
    std::lock_guard lock(mutex_);
    ending.swap(runs_);
  }
  ending.clear();  // waits
}

void DbosExecutor::Wake() {
  wake_.Set();
}

bool DbosExecutor::HasWorker(const std::string& flow_id) {
  std::lock_guard lock(mutex_);
  return std::any_of(runs_.begin(), runs_.end(),
                     [&](const auto& run) { return run->flow_id() == flow_id && run->has_worker(); });
}

bool DbosExecutor::TakePlace(DbosRun* run) {
  std::lock_guard lock(mutex_);
  for (const auto& other : runs_) {
    if (other.get() != run && other->has_worker() && other->flow_id() == run->flow_id()) return false;
  }
  run->SetWorker();
  return true;
}

void DbosExecutor::AbandonRuns(const std::string& flow_id) {
  std::lock_guard lock(mutex_);
  for (const auto& run : runs_) {
    if (run->flow_id() == flow_id) run->Abandon();
  }
}

void DbosExecutor::Loop() {
  absl::Duration chores_at = Now(), progress_at = Now(), retain_at = Now() + kRetainInterval;
  while (!end_.Wait(absl::ZeroDuration())) {
    const bool woken = wake_.Wait(options_.watch_interval);
    wake_.Clear();
    if (end_.Wait(absl::ZeroDuration())) return;
    const bool chores = woken || Now() >= chores_at;
    if (chores) chores_at = Now() + options_.poll_interval;
    const absl::Status status = Turn(chores);
    if (status.ok() != answers_) {
      answers_ = status.ok();
      Log(answers_ ? LogLevel::kInfo : LogLevel::kWarn,
          answers_ ? "the DBOS system database answers again"
                   : "the DBOS system database does not answer; workers go on",
          {{"error", std::string(status.message())}});
    }
    if (Now() >= progress_at) {
      NoteProgress();
      progress_at = Now() + options_.progress_interval;
    }
    if (Now() >= retain_at) {
      Retain();
      retain_at = Now() + kRetainInterval;
    }
  }
}

absl::Status DbosExecutor::Turn(bool chores) {
  RemoveEnded();
  if (chores) {
    RETURN_IF_ERROR(alive_.Keep());
    RETURN_IF_ERROR(dbos_->Sweep());
  }
  RETURN_IF_ERROR(Watch());
  return chores ? Claim() : absl::OkStatus();
}

absl::Status DbosExecutor::Watch() {
  {
    std::lock_guard lock(mutex_);
    if (runs_.empty() && answers_) return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(const auto owned, dbos_->Owned());
  std::set<std::string> tokens;
  for (const auto& [id, token] : owned) tokens.insert(token);
  std::lock_guard lock(mutex_);
  for (const auto& run : runs_) {
    // What is left are rows that were claimed though this process was not told, when the connection broke.
    if (tokens.erase(run->claimed().token) > 0 || run->ended()) continue;
    run->Abandon();
  }
  if (tokens.empty()) return absl::OkStatus();
  return dbos_->Release({tokens.begin(), tokens.end()}, /*count_attempt=*/true).status();
}

absl::Status DbosExecutor::Claim() {
  for (const std::string& queue : {dbos_->queue(), std::string(kDbosInternalQueue)}) {
    int room = 0;
    {
      std::lock_guard lock(mutex_);
      room = options_.max_runs - static_cast<int>(runs_.size());
    }
    if (room <= 0) return absl::OkStatus();
    ASSIGN_OR_RETURN(std::vector<DbosStore::ClaimedRun> claimed, dbos_->Claim(queue, room));
    std::lock_guard lock(mutex_);
    for (DbosStore::ClaimedRun& run : claimed) {
      runs_.push_back(std::make_unique<DbosRun>(&context_, std::move(run)));
    }
  }
  return absl::OkStatus();
}

void DbosExecutor::RemoveEnded() {
  std::lock_guard lock(mutex_);
  runs_.remove_if([](const auto& run) { return run->ended(); });
}

void DbosExecutor::NoteProgress() {
  std::lock_guard lock(mutex_);
  for (const auto& run : runs_) run->NoteProgress();
}

void DbosExecutor::Retain() {
  const auto deleted = dbos_->DeleteEnded(absl::Now() - options_.retention, 0);
  if (deleted.ok() && *deleted > 0) {
    Log(LogLevel::kInfo, "old workflows deleted", {{"count", absl::StrCat(*deleted)}});
  }
}

}  // namespace wallaby
