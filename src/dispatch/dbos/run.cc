#include "dispatch/dbos/run.h"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/clock.h"
#include "base/status.h"
#include "dispatch/worker_process.h"
#include "telemetry/log.h"

namespace wallaby {
namespace {

constexpr absl::Duration kRetry = absl::Seconds(1);
// A worker of this process that was asked to end is followed this soon.
constexpr absl::Duration kPlaceWait = absl::Milliseconds(100);
constexpr char kAttemptKind[] = "dbos";

// Steps of a run of a flow. Their numbers are part of the application version.
constexpr int kCheckStep = 1;
constexpr int kRunStep = 2;

std::string Text(const absl::Status& status) {
  return std::string(status.message());
}

}  // namespace

DbosRun::DbosRun(const Context* context, DbosStore::ClaimedRun claimed)
    : context_(context),
      claimed_(std::move(claimed)),
      input_(claimed_.name == kRunFlowWorkflow
                 ? ParseRunFlowInput(claimed_.serialization, claimed_.input)
                 : absl::StatusOr<RunFlowInput>(absl::NotFoundError("this workflow runs no flow"))) {
  if (input_.ok()) flow_id_ = input_->flow_id;
  thread_ = std::thread([this] { Body(); });
}

DbosRun::~DbosRun() {
  thread_.join();
}

void DbosRun::Abandon() {
  abandon_.Set();
}

void DbosRun::Kill() {
  kill_.Set();
}

void DbosRun::Body() {
  const MaybeResult result = Execute();
  if (result) Write(*result);
  Log(LogLevel::kInfo, "workflow run ended",
      {{"workflow_id", claimed_.id},
       {"flow_id", flow_id_},
       {"how", !result      ? "it is another's now"
               : result->ok ? "SUCCESS"
                            : "ERROR"},
       {"result", result ? result->text : ""}});
  ended_ = true;
  context_->on_end();
}

DbosRun::MaybeResult DbosRun::Execute() {
  const int64_t most = context_->options.max_retries;
  if (most > 0 && claimed_.attempts > most + 1) {
    Log(LogLevel::kError, "workflow was recovered too often and is given up",
        {{"workflow_id", claimed_.id},
         {"flow_id", flow_id_},
         {"attempts", absl::StrCat(claimed_.attempts)},
         {"remedy", "find out why it does not get on, then resume the workflow or start the flow again"}});
    Insist([&]() -> absl::StatusOr<bool> {
      RETURN_IF_ERROR(context_->dbos->DeadLetter(claimed_));
      return true;
    }).IgnoreError();
    return std::nullopt;
  }
  Log(LogLevel::kInfo, "workflow run began",
      {{"workflow_id", claimed_.id}, {"flow_id", flow_id_}, {"attempt", absl::StrCat(claimed_.attempts)}});
  if (claimed_.name == kDispatchWorkflow) return RunTick();
  if (claimed_.name != kRunFlowWorkflow) {
    return Result{
        false, PortableError("NotFound", absl::StrCat("workflow ", claimed_.name, " is not registered; ", "there are ",
                                                      kRunFlowWorkflow, " and ", kDispatchWorkflow))};
  }
  if (!input_.ok()) return Result{false, PortableError("InvalidInput", Text(input_.status()))};
  return RunFlow(*input_);
}

absl::StatusOr<bool> DbosRun::Insist(const std::function<absl::StatusOr<bool>()>& attempt) {
  bool told = false;
  while (true) {
    absl::StatusOr<bool> done = attempt();
    if (done.ok() || !IsTransient(done.status())) return done;
    if (!told) {
      Log(LogLevel::kWarn, "a workflow run waits for the database",
          {{"workflow_id", claimed_.id}, {"error", Text(done.status())}});
    }
    told = true;
    if (abandon_.Wait(kRetry)) return done.status();
  }
}

bool DbosRun::Record(int number, const char* name, const Result& result, absl::Time started) {
  DbosStore::Step step;
  step.number = number;
  step.name = name;
  (result.ok ? step.output : step.error) = result.text;
  step.started = started;
  const auto owned = Insist([&] { return context_->dbos->RecordStep(claimed_, step); });
  return owned.ok() && *owned;
}

void DbosRun::Write(const Result& result) {
  const auto written = Insist([&] {
    return result.ok ? context_->dbos->Succeed(claimed_, result.text) : context_->dbos->Fail(claimed_, result.text);
  });
  if (written.ok() && *written) return;
  Log(LogLevel::kWarn, "the end of a workflow run was not recorded",
      {{"workflow_id", claimed_.id},
       {"why", written.ok() ? "the row belongs to another run by now" : Text(written.status())}});
}

// ---- a tick ----

DbosRun::MaybeResult DbosRun::RunTick() {
  const absl::Time started = absl::Now();
  // The row's own time, so that a second try queues the same runs. What a client wrote into the input does not matter.
  const absl::Time at = absl::FromUnixMillis(claimed_.created_at_ms);
  FlowRuns::Ticked ticked;
  const auto done = Insist([&]() -> absl::StatusOr<bool> {
    ASSIGN_OR_RETURN(ticked, context_->flow_runs->Tick(at, claimed_.id));
    return true;
  });
  if (abandon_.Wait(absl::ZeroDuration())) return std::nullopt;
  if (!done.ok()) return Result{false, PortableError("DispatchFailed", Text(done.status()))};
  const Result result{true, absl::StrCat("{\"enqueued\":", ticked.enqueued, ",\"skipped\":", ticked.skipped, "}")};
  if (!Record(1, "enqueue_runs", result, started)) return std::nullopt;
  return result;
}

// ---- a run of a flow ----

absl::StatusOr<StoredFlow> DbosRun::AwaitFlow(const std::string& flow_id) {
  absl::StatusOr<StoredFlow> flow = absl::UnknownError("");
  Insist([&]() -> absl::StatusOr<bool> {
    flow = context_->store->GetFlow(flow_id);
    if (!flow.ok()) return flow.status();
    return true;
  }).IgnoreError();
  return flow;
}

std::string DbosRun::WhyFenced(const absl::StatusOr<StoredFlow>& flow, const RunFlowInput& input) const {
  if (!flow.ok()) return Text(flow.status());
  if (flow->state == FlowState::kStopping) return "the flow is stopping";
  // A probe may look at a flow in any state, as RunFlowOnce does.
  if (flow->state != FlowState::kRunning && input.max_empty_reads == 0) {
    return absl::StrCat("the flow is ", FlowStateName(flow->state));
  }
  if (input.generation != 0 && input.generation != flow->revision) {
    return absl::StrCat("the flow is at generation ", flow->revision, ", the run is of ", input.generation);
  }
  return "";
}

DbosRun::MaybeResult DbosRun::RunFlow(const RunFlowInput& input) {
  // A run that ended and could not say so.
  std::optional<DbosStore::Step> before;
  const auto asked = Insist([&]() -> absl::StatusOr<bool> {
    ASSIGN_OR_RETURN(before, context_->dbos->FindStep(claimed_.id, kRunStep));
    return true;
  });
  if (!asked.ok()) return std::nullopt;
  if (before) {
    return before->error.empty() ? Result{true, PortableText("ok")} : Result{false, before->error};
  }
  const absl::Time started = absl::Now();
  const absl::StatusOr<StoredFlow> flow = AwaitFlow(input.flow_id);
  if (abandon_.Wait(absl::ZeroDuration())) return std::nullopt;
  // Ours are of a generation, and the flow was deleted since; a client may have mistaken the id.
  if (absl::IsNotFound(flow.status()) && input.generation == 0) {
    return Result{false, PortableError("NotFound", Text(flow.status()))};
  }
  const std::string fenced = WhyFenced(flow, input);
  const Result check{true, fenced.empty() ? absl::StrCat("{\"generation\":", flow->revision, "}")
                                          : absl::StrCat("{\"fenced\":", PortableText(fenced), "}")};
  // Looked at in every attempt; recorded in the first.
  if (!Record(kCheckStep, "check_generation", check, started)) return std::nullopt;
  if (!fenced.empty()) {
    Log(LogLevel::kInfo, "workflow run is fenced",
        {{"workflow_id", claimed_.id}, {"flow_id", input.flow_id}, {"why", fenced}});
    return Result{true, PortableText("fenced")};
  }
  const auto noted = Insist([&]() -> absl::StatusOr<bool> {
    RETURN_IF_ERROR(context_->dbos->NoteFlow(claimed_, input.flow_id, flow->revision));
    return true;
  });
  if (!noted.ok()) return std::nullopt;
  return RunWorker(input);
}

bool DbosRun::AwaitPlace(const RunFlowInput& input, MaybeResult* end) {
  // The lease says whether a worker runs; a workflow's status does not, because CANCELLED comes before the end.
  while (true) {
    const absl::Duration left = LeaseLeft(context_->store, input.flow_id);
    if (left == absl::ZeroDuration() && context_->take_place(this)) break;
    if (abandon_.Wait(left == absl::ZeroDuration() ? kPlaceWait : std::min(left, kRetry))) return false;
    const absl::StatusOr<StoredFlow> flow = AwaitFlow(input.flow_id);
    if (abandon_.Wait(absl::ZeroDuration())) return false;
    if (!WhyFenced(flow, input).empty()) {
      *end = Result{true, PortableText("fenced")};
      return false;
    }
  }
  // Who abandons a run looks for its worker after that.
  if (!abandon_.Wait(absl::ZeroDuration())) return true;
  has_worker_ = false;
  return false;
}

DbosRun::MaybeResult DbosRun::RunWorker(const RunFlowInput& input) {
  const absl::Time started = absl::Now();
  while (true) {
    if (MaybeResult end; !AwaitPlace(input, &end)) return end;
    const absl::StatusOr<Process::Exit> exit = RunProcess(input);
    if (abandon_.Wait(absl::ZeroDuration())) return std::nullopt;
    if (exit.ok() && exit->code != 0 && !exit->crashed &&
        LeaseLeft(context_->store, input.flow_id) > absl::ZeroDuration()) {
      continue;  // another was quicker
    }
    if (!exit.ok()) context_->store->SetLastError(input.flow_id, Text(exit.status())).IgnoreError();
    const bool ok = exit.ok() && exit->code == 0;
    const Result result{
        ok, ok ? PortableText("ok")
               : PortableError("WorkerFailed", exit.ok() ? WhyFailed(input.flow_id, *exit) : Text(exit.status()))};
    const auto checkpoint = context_->checkpoints->GetCheckpoint(input.flow_id);
    const std::string lsn =
        checkpoint.ok() && checkpoint->has_value() ? absl::StrCat("\"", (*checkpoint)->lsn.ToString(), "\"") : "null";
    const Result step{ok, ok ? absl::StrCat("{\"checkpoint\":", lsn, "}") : result.text};
    if (!Record(kRunStep, "run", step, started)) return std::nullopt;
    return result;
  }
}

std::string DbosRun::WhyFailed(const std::string& flow_id, const Process::Exit& exit) {
  const std::string how =
      absl::StrCat("the worker of flow ", flow_id, exit.crashed ? " was " : " ended with ", exit.text);
  if (exit.crashed) {
    context_->store->SetLastError(flow_id, absl::StrCat("the worker was ", exit.text)).IgnoreError();
    return how;
  }
  const absl::StatusOr<StoredFlow> flow = context_->store->GetFlow(flow_id);
  if (!flow.ok() || flow->last_error.empty()) return how;
  return absl::StrCat(how, ": ", flow->last_error);
}

absl::StatusOr<Process::Exit> DbosRun::RunProcess(const RunFlowInput& input) {
  std::vector<std::string> args = {"-flow-id", input.flow_id};
  if (input.max_empty_reads > 0) args.insert(args.end(), {"-max-empty-reads", absl::StrCat(input.max_empty_reads)});
  if (!context_->options.config_file.empty()) args.insert(args.end(), {"-config", context_->options.config_file});
  // It must not outlive this process: the workflow would be recovered, and nobody could cancel the worker.
  args.insert(args.end(), {"-parent", absl::StrCat(getpid())});
  const absl::StatusOr<std::unique_ptr<Process>> process = Process::Spawn(context_->options.worker, args);
  if (!process.ok()) {
    has_worker_ = false;
    return process.status();
  }
  const pid_t pid = (*process)->pid();
  Log(LogLevel::kInfo, "worker process started",
      {{"flow_id", input.flow_id}, {"workflow_id", claimed_.id}, {"pid", absl::StrCat(pid)}});
  const int64_t attempt = RecordAttempt(input.flow_id, **process);
  const Process::Exit exit = AwaitEnd(**process);
  Log(exit.code == 0 ? LogLevel::kInfo : LogLevel::kWarn, "worker process ended",
      {{"flow_id", input.flow_id}, {"pid", absl::StrCat(pid)}, {"how", exit.text}});
  ReleaseLeaseOf(context_->store, input.flow_id, pid);
  if (attempt != 0) context_->store->EndAttempt(attempt, exit.code, exit.text).IgnoreError();
  has_worker_ = false;
  return exit;
}

int64_t DbosRun::RecordAttempt(const std::string& flow_id, const Process& process) {
  // Those of servers that crashed: their workers are gone, or the flow's place would not be free.
  const auto before = context_->store->ActiveAttempts();
  if (before.ok()) {
    for (const DispatchAttempt& attempt : *before) {
      if (attempt.flow_id != flow_id || attempt.kind != kAttemptKind) continue;
      context_->store->EndAttempt(attempt.id, -1, "ended while no server watched it").IgnoreError();
    }
  }
  DispatchAttempt attempt;
  attempt.flow_id = flow_id;
  attempt.kind = kAttemptKind;
  attempt.handle = process.handle();
  attempt.started_at = absl::Now();
  return context_->store->AddAttempt(attempt).value_or(0);
}

Process::Exit DbosRun::AwaitEnd(Process& process) {
  absl::Duration kill_at = absl::InfiniteDuration();
  bool asked = false;
  while (!process.ended()) {
    pollfd fds[] = {{process.fd(), POLLIN, 0}, {asked ? -1 : abandon_.fd(), POLLIN, 0}, {kill_.fd(), POLLIN, 0}};
    const absl::Duration left = std::max(kill_at - Clock::Real()->Monotonic(), absl::ZeroDuration());
    const timespec timeout = absl::ToTimespec(std::min(left, absl::Hours(1)));
    ppoll(fds, std::size(fds), &timeout, nullptr);
    if (!asked && abandon_.Wait(absl::ZeroDuration())) {
      asked = true;
      process.Signal(SIGTERM).IgnoreError();
      kill_at = Clock::Real()->Monotonic() + context_->options.kill_after;
    }
    if (kill_.Wait(absl::ZeroDuration()) || Clock::Real()->Monotonic() >= kill_at) {
      Log(LogLevel::kError, "the worker does not end; killing it",
          {{"flow_id", flow_id_}, {"pid", absl::StrCat(process.pid())}});
      process.Signal(SIGKILL).IgnoreError();
      kill_.Clear();
      kill_at = Clock::Real()->Monotonic() + context_->options.kill_after;
    }
  }
  return process.Reap();
}

void DbosRun::NoteProgress() {
  if (progress_noted_ || claimed_.attempts <= 1 || !has_worker_) return;
  const auto checkpoint = context_->checkpoints->GetCheckpoint(flow_id_);
  if (!checkpoint.ok()) return;
  const Lsn lsn = checkpoint->has_value() ? (*checkpoint)->lsn : Lsn();
  if (!began_at_) began_at_ = lsn;
  if (lsn == *began_at_) return;
  progress_noted_ = context_->dbos->ResetAttempts(claimed_).ok();
}

}  // namespace wallaby
