#include "dispatch/dbos/dbos_dispatcher.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/status.h"
#include "dispatch/dbos/schema.h"
#include "dispatch/worker_process.h"
#include "store/for_each_flow.h"
#include "telemetry/log.h"

namespace wallaby {
namespace {

// While a flow stops, its lease is looked at so often.
constexpr absl::Duration kStoppingInterval = absl::Milliseconds(300);
// A run that lasted so long begins the backoff anew.
constexpr absl::Duration kStable = absl::Seconds(20);

absl::Duration Now() {
  return Clock::Real()->Monotonic();
}

DbosRunOptions WithProgram(DbosRunOptions options) {
  options.worker = WorkerProgram(options.worker);
  return options;
}

LocalDispatcherOptions ForSpools(const DbosOptions& options) {
  LocalDispatcherOptions spooling;
  spooling.worker = options.run.worker;
  spooling.config_file = options.run.config_file;
  spooling.spools = spooling.only_spools = true;
  spooling.kill_after = options.run.kill_after;
  spooling.review_interval = options.review_interval;
  spooling.backoff_base = options.backoff_base;
  spooling.backoff_cap = options.backoff_cap;
  return spooling;
}

void Warn(std::string_view what, const std::string& flow_id, const absl::Status& status) {
  Log(LogLevel::kWarn, what, {{"flow_id", flow_id}, {"error", std::string(status.message())}});
}

}  // namespace

DbosDispatcher::DbosDispatcher(ControlStore* store, ControlStore* checkpoints, DbosOptions options)
    : store_(store),
      options_(std::move(options)),
      database_(options_.dsn),
      dbos_(&database_, MakeDbosIdentity(options_.application, options_.queue)),
      flow_runs_(&dbos_, store, !options_.schedule.empty()),
      executor_(&database_, &dbos_,
                {&dbos_, store, checkpoints, &flow_runs_, WithProgram(options_.run), [this] { review_wake_.Set(); }},
                options_.executor),
      scheduler_(&dbos_, options_.schedule, [this] { executor_.Wake(); }),
      admin_(&dbos_, &executor_, &scheduler_) {
  if (options_.spools) spoolers_ = MakeLocalDispatcher(store_, ForSpools(options_));
}

DbosDispatcher::~DbosDispatcher() {
  end_.Set();
  review_wake_.Set();
  if (reviewer_.joinable()) reviewer_.join();
  scheduler_.Deactivate();
  // Before the members go that its runs use.
  executor_.Stop();
}

absl::Status DbosDispatcher::Prepare() {
  ASSIGN_OR_RETURN(const auto sql, database_.Connect());
  return PrepareDbosSchema(*sql);
}

absl::Status DbosDispatcher::Start() {
  WarnWithoutWorker(WorkerProgram(options_.run.worker));
  RETURN_IF_ERROR(Prepare());
  RETURN_IF_ERROR(executor_.Start());
  RETURN_IF_ERROR(Annotate(scheduler_.Start(), "setting WALLABY_DBOS_SCHEDULE"));
  const DbosIdentity& identity = dbos_.identity();
  Log(LogLevel::kInfo, "DBOS executor",
      {{"application", identity.application},
       {"queue", identity.queue},
       {"executor", identity.executor},
       {"version", identity.version},
       {"schedule", options_.schedule}});
  reviewer_ = std::thread([this] { ReviewLoop(); });
  return spoolers_ == nullptr ? absl::OkStatus() : spoolers_->Start();
}

absl::Status DbosDispatcher::Ensure(const std::string& flow_id, const DispatchOptions& options) {
  ASSIGN_OR_RETURN(const bool queued, flow_runs_.Ensure(flow_id, options.max_empty_reads));
  if (spoolers_ != nullptr) spoolers_->Stop(flow_id);
  if (queued) executor_.Wake();
  return absl::OkStatus();
}

bool DbosDispatcher::CancelRuns(const std::string& flow_id, int* cancelled) {
  *cancelled = 0;
  const auto runs = dbos_.ActiveRuns(flow_id);
  absl::Status status = runs.status();
  if (status.ok() && !runs->empty()) {
    std::vector<std::string> ids;
    for (const DbosStore::FlowRun& run : *runs) ids.push_back(run.id);
    const auto done = dbos_.Cancel(ids);
    status = done.status();
    if (done.ok()) *cancelled = static_cast<int>(done->size());
  }
  if (!status.ok()) Warn("the runs of the flow could not be cancelled; trying again", flow_id, status);
  return status.ok();
}

void DbosDispatcher::Stop(const std::string& flow_id) {
  int cancelled = 0;
  if (CancelRuns(flow_id, &cancelled)) executor_.AbandonRuns(flow_id);
  if (spoolers_ != nullptr) spoolers_->Stop(flow_id);
  SettleStopping(flow_id);
  review_wake_.Set();
}

void DbosDispatcher::Restart(const std::string& flow_id) {
  int cancelled = 0;
  if (!CancelRuns(flow_id, &cancelled) || cancelled == 0) return;
  executor_.AbandonRuns(flow_id);
  const absl::Status next = Ensure(flow_id, {});
  if (!next.ok()) Warn("the next run of the flow could not be queued; trying again", flow_id, next);
}

bool DbosDispatcher::IsActive(const std::string& flow_id) {
  if (executor_.HasWorker(flow_id)) return true;
  const auto runs = dbos_.ActiveRuns(flow_id);
  if (!runs.ok()) return false;
  for (const DbosStore::FlowRun& run : *runs) {
    if (run.status == "PENDING") return true;
  }
  return false;
}

// ---- review ----

bool DbosDispatcher::SettleStopping(const std::string& flow_id) {
  // A cancelled run frees its place in the queue at once, but its worker still has the lease.
  if (executor_.HasWorker(flow_id) || LeaseLeft(store_, flow_id) > absl::ZeroDuration()) return false;
  const absl::Status stopped = store_->Transition(flow_id, {FlowState::kStopping}, FlowState::kStopped, "");
  return stopped.ok() || absl::IsFailedPrecondition(stopped) || absl::IsNotFound(stopped);
}

void DbosDispatcher::ReviewLoop() {
  absl::Duration wait = absl::ZeroDuration();
  while (true) {
    review_wake_.Wait(wait);
    review_wake_.Clear();
    if (end_.Wait(absl::ZeroDuration())) return;
    const absl::StatusOr<bool> stopping = Review();
    if (!stopping.ok()) {
      Log(LogLevel::kWarn, "the flows cannot be reviewed", {{"error", std::string(stopping.status().message())}});
    }
    wait = stopping.ok() && *stopping ? kStoppingInterval : options_.review_interval;
    for (const auto& [flow_id, missing] : missing_) {
      if (missing.due > absl::ZeroDuration() && missing.left_alone.empty())
        wait = std::clamp(missing.due - Now(), kStoppingInterval, wait);
    }
  }
}

absl::StatusOr<bool> DbosDispatcher::Review() {
  bool stopping = false;
  ASSIGN_OR_RETURN(const auto active, dbos_.ActiveFlows());
  RETURN_IF_ERROR(ForEachFlow(*store_, [&](const StoredFlow& flow) {
    const std::string& id = flow.flow.id;
    if (flow.state == FlowState::kStopping) {
      int cancelled = 0;
      if (CancelRuns(id, &cancelled)) executor_.AbandonRuns(id);
      stopping |= !SettleStopping(id);
    }
    if (!WantedWorker(flow, /*spools=*/false) || active.contains(id) || flow_runs_.scheduled()) {
      // The backoff goes on while runs end soon after they began.
      if (flow.state != FlowState::kRunning) missing_.erase(id);
      return absl::OkStatus();
    }
    return ReviewRunning(flow);
  }));
  return stopping;
}

absl::Status DbosDispatcher::ReviewRunning(const StoredFlow& flow) {
  const std::string& id = flow.flow.id;
  ASSIGN_OR_RETURN(const std::optional<DbosStore::FlowRun> newest, dbos_.NewestRun(id));
  const auto [found, added] = missing_.try_emplace(id, options_);
  Missing& missing = found->second;
  if (newest && IsLeftAlone(flow, *newest, missing)) return absl::OkStatus();
  missing.left_alone.clear();
  if (added || missing.due == absl::ZeroDuration()) {
    if (Now() - missing.queued >= kStable) missing.backoff.Reset();
    // A flow that never had a run, as after a change to DBOS, need not wait.
    missing.due = newest ? Now() + missing.backoff.Next() : Now();
  }
  if (Now() < missing.due) return absl::OkStatus();
  missing.due = absl::ZeroDuration();
  missing.queued = Now();
  ASSIGN_OR_RETURN(const bool queued, flow_runs_.Ensure(id, 0));
  if (queued) {
    Log(LogLevel::kInfo, "the flow should run and has no run; the next one was queued", {{"flow_id", id}});
    executor_.Wake();
  }
  return absl::OkStatus();
}

bool DbosDispatcher::IsLeftAlone(const StoredFlow& flow, const DbosStore::FlowRun& newest, Missing& missing) {
  const bool cancelled = newest.status == "CANCELLED";
  const bool dead = newest.status == "MAX_RECOVERY_ATTEMPTS_EXCEEDED";
  if ((!cancelled && !dead) || newest.generation != flow.revision) return false;
  if (missing.left_alone == newest.id) return true;
  missing.left_alone = newest.id;
  const std::string why =
      absl::StrCat("workflow ", newest.id, cancelled ? " was cancelled" : " was recovered too often",
                   ": resume it with a DBOS client, or call RunFlowOnce, or stop and start the flow");
  store_->SetLastError(flow.flow.id, why).IgnoreError();
  Log(LogLevel::kWarn, "the flow should run, but its run was ended on purpose",
      {{"flow_id", flow.flow.id}, {"why", why}});
  return true;
}

}  // namespace wallaby
