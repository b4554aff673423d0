#include "pipeline/worker.h"

#include <unistd.h>

#include <random>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/backoff.h"
#include "base/deliberate_bug.h"
#include "base/failpoint.h"
#include "base/process_name.h"
#include "base/retry_after.h"
#include "base/status.h"
#include "flow/fan_out.h"
#include "flow/secret_reference.h"
#include "pipeline/ddl_apply.h"
#include "pipeline/instruments.h"
#include "telemetry/log.h"
#include "telemetry/trace_events.h"

namespace wallaby {
namespace {

// give_up_policy on_retry_exhaustion: so many failed attempts in a row that delivered nothing.
constexpr int kMaxTries = 10;

std::string Holder() {
  return absl::StrFormat("%s:%08x", ProcessName(getpid()), std::random_device{}());
}

}  // namespace

Worker::Worker(ControlStore* store, ControlStore* checkpoints, Clock* clock, int64_t memory_limit, DdlPolicy ddl,
               WorkerOptions options, MakeSource make_source)
    : store_(store),
      checkpoints_(checkpoints),
      clock_(clock),
      memory_limit_(memory_limit),
      ddl_settings_(ddl),
      options_(std::move(options)),
      make_source_(std::move(make_source)) {}

Worker::~Worker() = default;

void Worker::Stop() {
  stop_event_.Set();
}

absl::Status Worker::Run() {
  ASSIGN_OR_RETURN(stored_, store_->GetFlow(options_.flow_id));
  if (stored_.state == FlowState::kStopping) {
    return absl::FailedPreconditionError(
        absl::StrCat("flow ", options_.flow_id, " is stopping; its worker may not run"));
  }
  if (stored_.state == FlowState::kPaused && stored_.reason == kDdlPending && options_.mode != WorkerMode::kSpool) {
    RETURN_IF_ERROR(Annotate(CheckDdlSettled(*store_, options_.flow_id),
                             absl::StrCat("flow ", options_.flow_id, " is paused (", kDdlPending, ")")));
  }
  ASSIGN_OR_RETURN(source_options_, ParseSourceOptions(stored_.flow.source.name, stored_.flow.source.options));
  source_ = make_source_(source_options_);
  if (options_.mode == WorkerMode::kSpool) return KeepSpooling();
  RETURN_IF_ERROR(ReachFailpoint(Failpoint::kLeaseAcquire));
  ASSIGN_OR_RETURN(lease_, store_->AcquireLease(options_.flow_id, Holder(), kLeaseTtl));
  absl::Cleanup release = [this] {
    const absl::Status status = store_->ReleaseLease(lease_);
    if (!status.ok()) Log(LogLevel::kWarn, "the lease was not released", {{"error", std::string(status.message())}});
  };
  Log(LogLevel::kInfo, "worker started", {{"generation", absl::StrCat(lease_.generation)}});
  PrepareInstruments(stored_.flow, options_.checkpoint_backend);
  TraceBegin();
  Lease fence = lease_;
  if (HasBug(DeliberateBug::kIgnoreGeneration)) fence.generation = INT64_MAX;
  fenced_ = store_->FencedBy(fence);
  const bool fenced = checkpoints_ == store_ && !HasBug(DeliberateBug::kIgnoreGeneration);
  checkpoint_store_ = std::make_unique<MeasuredCheckpointStore>(
      std::make_unique<FlowCheckpointStore>(checkpoints_ == store_ ? fenced_.get() : checkpoints_, options_.flow_id,
                                            fenced ? lease_.generation : 0),
      clock_, options_.checkpoint_backend);
  context_.flow = &stored_.flow;
  context_.source = source_.get();
  context_.source_options = &source_options_;
  context_.options = &options_;
  context_.store = fenced_.get();
  context_.checkpoints = checkpoint_store_.get();
  context_.clock = clock_;
  context_.cut_short = &cut_short_;
  context_.generation = lease_.generation;
  context_.memory_limit = memory_limit_;
  context_.ddl = ResolveDdlPolicy(stored_.flow.config.ddl, ddl_settings_);

  // Behind the lease, so that a secret that is not there is the flow's failure, and shown.
  absl::Status status = FollowReferences();
  if (status.ok()) status = CheckDdlScope(context_.ddl, options_.spool.has_value());
  if (status.ok()) status = CheckFanOut(stored_.flow, context_.ddl, options_.spool.has_value());
  if (FansOut(stored_.flow)) context_.lanes = &lanes_;
  if (status.ok() && options_.mode == WorkerMode::kCdc) {
    MakeSpooler([this](const absl::Status& failure) { Finish(failure); });
  }
  pulse_ = std::thread([this] { Pulse(); });
  if (status.ok()) status = RunAttempts();
  lanes_.Stop();
  pulse_end_.Set();
  pulse_.join();
  spooler_.reset();
  {
    std::lock_guard lock(mutex_);
    if (!end_.ok()) status = end_;
  }
  WriteReport(*fenced_);
  TraceEvent(spec::kStop, status.ok() ? "Stopped" : "Failed", {});
  if (status.ok()) {
    SettleEnd();
    Log(LogLevel::kInfo, Summary());
  } else if (!IsFenced(status)) {
    SettleFailure(status);
  } else {
    // Not stored when a newer worker of this flow did it; else somebody outside, and who starts the worker again shows
    // why it ended.
    Log(LogLevel::kWarn, "the worker was shut out and ends", {{"reason", std::string(status.message())}});
    fenced_->SetLastError(options_.flow_id, std::string(status.message())).IgnoreError();
  }
  return status;
}

absl::Status Worker::FollowReferences() {
  const Endpoint& source = stored_.flow.source;
  ASSIGN_OR_RETURN(const Options options, ResolvedOptions(source, EndpointKind::kSource));
  ASSIGN_OR_RETURN(source_options_, ParseSourceOptions(source.name, options));  // source_ looks at them
  return absl::OkStatus();
}

void Worker::TraceBegin() {
  SetTraceFlow(options_.flow_id, lease_.generation);
  TraceEvent(spec::kStart, "Running", {});
  // What the store calls settled holds nobody any more, whoever settled it and however the flow was started again.
  if (IsTracingEvents() && CheckDdlSettled(*store_, options_.flow_id).ok()) TraceEvent(spec::kResume, "Running", {});
}

absl::Status Worker::RunAttempts() {
  Backoff backoff(absl::Milliseconds(500), absl::Seconds(30));
  while (true) {
    const int64_t before = [this] {
      std::lock_guard lock(mutex_);
      return changes_before_;
    }();
    look_again_ = false;
    context_.again = false;
    context_.copy_now = copy_now_.exchange(false);
    absl::Status status = ApplyRequested();
    if (status.ok()) status = RunAttempt();
    if (ending_) return absl::OkStatus();
    if (status.ok() && context_.held) {
      const absl::StatusOr<bool> settled = SettleHeld();
      context_.held.reset();
      if (settled.ok() && *settled) {
        backoff.Reset();
        continue;
      }
      status = settled.status();
    }
    if (status.ok() && (context_.again || look_again_)) {
      backoff.Reset();
      continue;
    }
    if (status.ok() && options_.max_empty_reads > 0 && context_.lanes != nullptr) {
      const absl::StatusOr<bool> drained = LanesDrained();
      if (drained.ok() && !*drained && !ending_) continue;
      status = drained.status();
    }
    if (status.ok()) return status;
    CountError(status);
    {
      std::lock_guard lock(mutex_);
      if (changes_before_ > before) backoff.Reset();
      waiting_ = absl::StrCat("reconnecting: ", status.message());
      // An aborted attempt only begins anew another way.
      if (!failing_since_ && !absl::IsAborted(status)) failing_since_ = clock_->Now();
    }
    if (!TryAgain(status, backoff.tries() + 1)) return status;
    const absl::Duration wait = std::max(backoff.Next(), RetryAfterOf(status));
    Log(LogLevel::kWarn, "the attempt failed; trying again",
        {{"error", std::string(status.message())}, {"in", absl::FormatDuration(wait)}});
    if (!absl::IsAborted(status)) {
      fenced_->SetLastError(options_.flow_id, std::string(status.message())).IgnoreError();
    }
    if (stop_event_.Wait(wait)) return absl::OkStatus();
  }
}

absl::Status Worker::RunAttempt() {
  auto attempt = std::make_shared<Attempt>(&context_);
  {
    std::lock_guard lock(mutex_);
    attempt_ = attempt;
    waiting_.clear();
  }
  if (ending_) return absl::OkStatus();
  absl::Status status = attempt->Run();
  std::lock_guard lock(mutex_);
  last_report_ = attempt->report();
  copy_waited_ = attempt->copy_waits();
  changes_before_ += last_report_.changes;
  attempt_.reset();
  return status;
}

absl::StatusOr<bool> Worker::SettleHeld() {
  const EffectiveDdlPolicy& policy = context_.ddl;
  std::vector<DdlEvent> events = context_.held->events;
  for (DdlEvent& event : events) {
    event.gated = policy.pauses();
    event.status = policy.auto_approve ? DdlStatus::kApproved : DdlStatus::kPending;
  }
  // The holds first: an event that holds tables must never be found without them, since it would hold the flow.
  const bool tables_only = policy.holds_tables() || context_.held->group.valid();
  if (tables_only) RETURN_IF_ERROR(HoldTables(*context_.held));
  RETURN_IF_ERROR(ReachFailpoint(Failpoint::kDdlRecord));
  ASSIGN_OR_RETURN(const auto recorded, fenced_->RecordDdl(events));
  if (policy.pauses() && tables_only) {
    TellOfGate(recorded, absl::StrCat("table held: ", kDdlPending, ", DDL waits for approval while the flow goes on"));
    return true;
  }
  if (policy.pauses()) {
    const bool settled = std::all_of(recorded.begin(), recorded.end(),
                                     [](const ControlStore::RecordedDdl& entry) { return IsSettled(entry.event); });
    if (settled) {
      TraceEvent(spec::kResume, "Running", {});
      return true;
    }
    RETURN_IF_ERROR(PauseForDdl(recorded));
    return false;
  }
  for (const ControlStore::RecordedDdl& entry : recorded) {
    const int64_t id = entry.event.id;
    if (IsSettled(entry.event)) continue;
    if (entry.event.status == DdlStatus::kPending || entry.event.status == DdlStatus::kRejected) {
      RETURN_IF_ERROR(ApproveDdlEvent(*fenced_, id).status());
    }
    Log(LogLevel::kInfo, "applying DDL", {{"event", absl::StrCat(id)}, {"ddl", entry.event.ddl}});
    RETURN_IF_ERROR(
        ApplyDdlEvent(*fenced_, stored_.flow, id, {.generation = lease_.generation, .memory_limit = memory_limit_ / 4})
            .status());
  }
  return true;
}

void Worker::TellOfGate(const std::vector<ControlStore::RecordedDdl>& events, std::string_view what) const {
  for (const ControlStore::RecordedDdl& entry : events) {
    if (IsSettled(entry.event)) continue;
    TraceDdlGate(options_.flow_id, lease_.generation, entry.event.lsn, entry.event.ddl);
    if (!entry.added) continue;
    Log(LogLevel::kWarn, what,
        {{"reason", std::string(kDdlPending)},
         {"event", absl::StrCat(entry.event.id)},
         {"table", entry.event.table},
         {"ddl", entry.event.ddl},
         {"lsn", entry.event.lsn.ToString()}});
  }
}

absl::Status Worker::PauseForDdl(const std::vector<ControlStore::RecordedDdl>& events) {
  TellOfGate(events, absl::StrCat("flow paused: ", kDdlPending, ", DDL waits for approval"));
  RETURN_IF_ERROR(ReachFailpoint(Failpoint::kDdlPause));
  const absl::Status paused = fenced_->Transition(options_.flow_id, {FlowState::kRunning, FlowState::kPaused},
                                                  FlowState::kPaused, std::string(kDdlPending));
  TraceEvent(spec::kPause, "Paused", {});
  // A probe of a stopped flow leaves its state alone.
  return absl::IsFailedPrecondition(paused) && !IsFenced(paused) ? absl::OkStatus() : paused;
}

bool Worker::TryAgain(const absl::Status& status, int tries) const {
  if (!IsTransient(status)) return false;
  // A probe tells what it met instead of waiting it out; only a restart with text values is part of its work.
  if (options_.max_empty_reads > 0 && !absl::IsAborted(status)) return false;
  return stored_.flow.config.give_up_policy != GiveUpPolicy::kOnRetryExhaustion || tries < kMaxTries;
}

void Worker::SettleFailure(const absl::Status& status) {
  const std::string reason(status.message());
  fenced_->SetLastError(options_.flow_id, reason).IgnoreError();
  // Only a running flow fails by it: a probe of a stopped flow leaves the state alone.
  const absl::Status failed = fenced_->Transition(options_.flow_id, {FlowState::kRunning}, FlowState::kFailed, reason);
  if (failed.ok()) Log(LogLevel::kError, "flow failed", {{"reason", reason}});
  if (IsFenced(failed)) return;
  if (stored_.flow.config.failure_mode != FailureMode::kDropSlot) return;
  if (context_.shares_slot) {
    Log(LogLevel::kWarn, "failure_mode is drop_slot, but other flows read the slot; it stays",
        {{"slot", source_options_.slot}});
    return;
  }
  auto session = source_->Connect();
  const absl::Status dropped = session.ok() ? (*session)->DropSlot() : session.status();
  Log(LogLevel::kWarn,
      dropped.ok() ? "slot dropped, as failure_mode says; the next start needs -mode backfill"
                   : "failure_mode is drop_slot, but the slot could not be dropped",
      {{"slot", source_options_.slot}, {"error", std::string(dropped.message())}});
}

void Worker::SettleEnd() {
  // A stop is complete when its worker has ended; whoever sees it first writes it down.
  fenced_->Transition(options_.flow_id, {FlowState::kStopping}, FlowState::kStopped, "").IgnoreError();
}

std::string Worker::Summary() {
  std::string slot_state = "unknown";
  auto session = source_->Connect();
  if (session.ok()) {
    auto slot = (*session)->GetSlot();
    if (slot.ok()) {
      slot_state = slot->has_value()
                       ? absl::StrCat((*slot)->wal_status, ", confirmed ", (*slot)->confirmed_flush.ToString(), ", ",
                                      (*slot)->retained_bytes, " bytes of WAL retained")
                       : "missing";
    }
  }
  std::lock_guard lock(mutex_);
  return absl::StrCat("worker ended: ", changes_before_, " changes delivered, position ",
                      last_report_.acknowledged.ToString(), ", slot ", source_options_.slot, " ", slot_state);
}

void Worker::Finish(const absl::Status& why) {
  ending_ = true;
  stop_event_.Set();
  std::lock_guard lock(mutex_);
  if (end_.ok()) end_ = why;
  if (attempt_ != nullptr) attempt_->Stop();
}

}  // namespace wallaby
