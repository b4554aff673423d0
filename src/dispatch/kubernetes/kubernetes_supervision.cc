// What the supervising thread does: records how Jobs begin and end, and takes the next step of each flow that is due.
#include <poll.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/clock.h"
#include "base/status.h"
#include "dispatch/kubernetes/kubernetes_dispatcher.h"
#include "dispatch/worker_process.h"
#include "store/for_each_flow.h"
#include "telemetry/log.h"

namespace wallaby {
namespace {

constexpr char kKind[] = "kubernetes";
constexpr absl::Duration kStoreRetry = absl::Seconds(1);
constexpr absl::Duration kLeaseLook = absl::Seconds(1);

absl::Duration Now() {
  return Clock::Real()->Monotonic();
}

std::string Text(const absl::Status& status) {
  return std::string(status.message());
}

std::string Seconds(absl::Duration duration) {
  return absl::FormatDuration(absl::Trunc(duration, absl::Milliseconds(100)));
}

// The uid at the end of "namespace/name/uid".
std::string UidOf(const std::string& handle) {
  return handle.substr(handle.rfind('/') + 1);
}

}  // namespace

void KubernetesDispatcher::Supervise() {
  while (!end_.Wait(absl::ZeroDuration())) {
    Await();
    std::lock_guard calls(calls_);
    RecordStarts();
    RecordEnds();
    for (const std::string& flow_id : TakeDue()) Settle(flow_id);
    if (Now() >= review_at_) {
      Review();
      review_at_ = Now() + options_.review_interval;
    }
  }
}

void KubernetesDispatcher::Await() {
  absl::Duration until;
  {
    std::lock_guard lock(mutex_);
    until = review_at_;
    for (const auto& [flow_id, watch] : watches_) {
      if (watch.due) until = std::min(until, std::max(*watch.due, quiet_until_));
    }
  }
  pollfd fds[] = {{end_.fd(), POLLIN, 0}, {wake_.fd(), POLLIN, 0}};
  const timespec timeout = absl::ToTimespec(std::max(until - Now(), absl::ZeroDuration()));
  ppoll(fds, 2, &timeout, nullptr);
  wake_.Clear();
}

std::vector<std::string> KubernetesDispatcher::TakeDue() {
  std::lock_guard lock(mutex_);
  if (!synced_ || Now() < quiet_until_) return {};
  std::set<std::string> due;
  due.swap(look_at_);
  for (const auto& [flow_id, watch] : watches_) {
    if (watch.due && *watch.due <= Now()) due.insert(flow_id);
  }
  return {due.begin(), due.end()};
}

// ---- attempts in the store ----

void KubernetesDispatcher::RecordStarts() {
  std::vector<JobView> starts;
  {
    std::lock_guard lock(mutex_);
    for (const auto& [uid, job] : jobs_) {
      if (job.view.unfinished() && !attempts_.contains(uid)) starts.push_back(job.view);
    }
  }
  if (starts.empty() && attempts_loaded_) return;
  // Those of before this server began, and what another server recorded meanwhile.
  const absl::StatusOr<std::vector<DispatchAttempt>> active = store_->ActiveAttempts();
  if (!active.ok()) return;
  {
    std::lock_guard lock(mutex_);
    for (const DispatchAttempt& attempt : *active) {
      if (attempt.kind == kKind)
        attempts_.try_emplace(UidOf(attempt.handle), Recorded{attempt.id, attempt.flow_id, ""});
    }
    attempts_loaded_ = true;
  }
  for (const JobView& job : starts) {
    DispatchAttempt attempt;
    attempt.flow_id = job.identity.flow_id;
    attempt.kind = kKind;
    attempt.handle = absl::StrCat(access_->name_space(), "/", job.name, "/", job.uid);
    attempt.started_at = job.created;
    std::unique_lock lock(mutex_);
    if (const auto found = attempts_.find(job.uid); found != attempts_.end()) {
      found->second.job = job.name;
      continue;
    }
    lock.unlock();
    const absl::StatusOr<int64_t> id = store_->AddAttempt(attempt);
    if (!id.ok() && !absl::IsNotFound(id.status())) {
      Log(LogLevel::kWarn, "the Job's start could not be recorded; trying again",
          {{"flow_id", attempt.flow_id}, {"job", job.name}, {"error", Text(id.status())}});
      continue;
    }
    lock.lock();
    attempts_[job.uid] = Recorded{id.value_or(0), attempt.flow_id, job.name};
  }
}

std::vector<KubernetesDispatcher::End> KubernetesDispatcher::FindEnds() {
  std::vector<End> ends;
  std::lock_guard lock(mutex_);
  if (!synced_) return ends;
  for (const auto& [uid, attempt] : attempts_) {
    const auto found = jobs_.find(uid);
    if (found != jobs_.end() && found->second.view.unfinished()) continue;
    End end{.uid = uid, .attempt = attempt};
    if (found != jobs_.end()) end.job = found->second;
    if (const PodView* pod = NewestPodOf(uid); pod != nullptr) {
      end.exit_code = pod->exit_code;
      end.pod_trouble = pod->trouble;
    }
    ends.push_back(std::move(end));
  }
  return ends;
}

void KubernetesDispatcher::RecordEnds() {
  for (const End& end : FindEnds()) {
    if (!RecordEnd(end)) return;
    std::lock_guard lock(mutex_);
    attempts_.erase(end.uid);
    LookAt(end.attempt.flow_id);
  }
}

bool KubernetesDispatcher::RecordEnd(const End& end) {
  const std::string& flow_id = end.attempt.flow_id;
  const std::string name = absl::StrCat("Job ", end.job ? end.job->view.name : end.attempt.job);
  const absl::StatusOr<StoredFlow> flow = store_->FindFlow(flow_id);
  // The state may ask for a worker of another kind by now.
  const auto wanted = flow.ok() ? WantedWorker(*flow, options_.spools) : std::nullopt;
  const bool spool = end.job && end.job->view.spool;
  bool asked = !wanted || wanted->spool != spool;
  {
    std::lock_guard lock(mutex_);
    asked = asked || WatchOf(flow_id).asked_to_end.has_value();
  }
  const bool completed = end.job && end.job->view.state == JobView::State::kSucceeded;
  const bool probe = end.job && end.job->view.probe;
  const bool unexpected = !asked && !completed && end.exit_code != kExitLeaseHeld;
  std::string outcome;
  if (completed) {
    outcome = absl::StrCat(name, " completed");
  } else if (end.job) {
    outcome = absl::StrCat(name, " failed: ", end.job->view.why, end.pod_trouble.empty() ? "" : "; ", end.pod_trouble);
  } else if (end.attempt.job.empty()) {
    outcome = "ended while no server watched it";
  } else {
    outcome = absl::StrCat(name, asked ? " was ended" : " was deleted, and not by WALlaby");
  }
  const absl::Status recorded =
      end.attempt.id == 0 ? absl::OkStatus() : store_->EndAttempt(end.attempt.id, end.exit_code, outcome);
  if (!recorded.ok() && !absl::IsNotFound(recorded)) {
    Log(LogLevel::kWarn, "a Job's end could not be recorded; trying again", {{"error", Text(recorded)}});
    return false;
  }
  Log(unexpected ? LogLevel::kWarn : LogLevel::kInfo, "Job ended", {{"flow_id", flow_id}, {"how", outcome}});
  if (unexpected || (probe && !completed)) store_->SetLastError(flow_id, outcome).IgnoreError();

  std::lock_guard lock(mutex_);
  Watch& watch = WatchOf(flow_id);
  if (completed && !probe && !spool && settings_.job_max_empty_reads > 0) watch.resting = true;
  if (end.job && absl::Now() - end.job->view.created >= options_.stable_after) watch.backoff.Reset();
  if (asked || watch.next) return true;
  const absl::Duration wait = end.exit_code == kExitLeaseHeld ? kLeaseLook : watch.backoff.Next();
  watch.due = Now() + wait;
  watch.trouble = watch.resting ? absl::StrCat(outcome, "; RunFlowOnce starts the next")
                                : absl::StrCat(outcome, "; the next begins within ", Seconds(wait));
  return true;
}

// ---- the next step of a flow ----

void KubernetesDispatcher::Settle(const std::string& flow_id) {
  const absl::StatusOr<StoredFlow> flow = store_->FindFlow(flow_id);
  std::vector<SeenJob> unfinished;
  {
    std::lock_guard lock(mutex_);
    unfinished = UnfinishedOf(flow_id);
  }
  if (absl::IsNotFound(flow.status())) {
    EndJobs(unfinished, 0);
    std::lock_guard lock(mutex_);
    if (unfinished.empty()) watches_.erase(flow_id);
    return;
  }
  if (!flow.ok()) {
    Log(LogLevel::kWarn, "the control store does not answer", {{"flow_id", flow_id}, {"error", Text(flow.status())}});
    PutOff(flow_id, kStoreRetry, "the control store does not answer");
    return;
  }
  if (unfinished.empty()) {
    SettleIdle(*flow);
    return;
  }
  bool end = false;
  {
    std::lock_guard lock(mutex_);
    Watch& watch = WatchOf(flow_id);
    const auto wanted = WantedWorker(*flow, options_.spools);
    const bool spooled_enough = unfinished.front().view.spool && !(wanted && wanted->spool);
    if ((flow->state == FlowState::kStopping || spooled_enough) && !watch.asked_to_end) watch.asked_to_end = Now();
    watch.due.reset();
    end = watch.asked_to_end.has_value();
  }
  SettleRunning(*flow, unfinished, end);
}

void KubernetesDispatcher::SettleRunning(const StoredFlow& flow, const std::vector<SeenJob>& unfinished, bool end) {
  const std::string& flow_id = flow.flow.id;
  // A worker that failed has put its flow into this state; the Job controller would start it again.
  const JobView& oldest = unfinished.front().view;
  const bool failed = flow.state == FlowState::kFailed && !oldest.probe && !oldest.spool;
  EndJobs(unfinished, end || failed ? 0 : 1);
  TellTrouble(flow_id);
  if (flow.state != FlowState::kStopping) return;
  std::unique_lock lock(mutex_);
  Watch& watch = WatchOf(flow_id);
  if (!watch.due) watch.due = Now() + kLeaseLook;
  if (Now() - watch.asked_to_end.value_or(Now()) < options_.give_up_after) return;
  lock.unlock();
  // The pods' node does not answer. Their worker has lost its lease, and with it the right to write.
  SettleStopping(flow_id);
}

bool KubernetesDispatcher::AwaitsPod(const std::string& flow_id) {
  Watch& watch = WatchOf(flow_id);
  const PodView* pod = LivePodOf(flow_id);
  if (pod == nullptr) {
    watch.lingering.reset();
    return false;
  }
  if (!watch.lingering) watch.lingering = Now();
  // After that its node is taken for lost; the lease keeps the two workers apart.
  if (Now() - *watch.lingering > options_.give_up_after) return false;
  watch.due = Now() + kLeaseLook;
  watch.trouble = absl::StrCat("waiting for pod ", pod->name, " to end");
  return true;
}

void KubernetesDispatcher::SettleIdle(const StoredFlow& flow) {
  const std::string& flow_id = flow.flow.id;
  {
    std::lock_guard lock(mutex_);
    if (AwaitsPod(flow_id)) return;
  }
  if (flow.state == FlowState::kStopping) {
    SettleStopping(flow_id);
    return;
  }
  DispatchOptions options;
  {
    std::lock_guard lock(mutex_);
    Watch& watch = WatchOf(flow_id);
    watch.asked_to_end.reset();
    const auto wanted = WantedWorker(flow, options_.spools);
    const bool running = flow.state == FlowState::kRunning;
    const bool probe_follows = watch.next && watch.next->max_empty_reads > 0;
    if (!wanted && !probe_follows) {
      watches_.erase(flow_id);
      return;
    }
    if (running && watch.resting && !watch.next) {
      watch.due.reset();
      return;
    }
    if (!watch.next && watch.due && *watch.due > Now()) return;
    if (!running) options = probe_follows ? *watch.next : *wanted;
  }
  TryNext(flow_id, options);
}

void KubernetesDispatcher::TryNext(const std::string& flow_id, const DispatchOptions& options) {
  if (const absl::Duration left = LeaseLeft(store_, flow_id); left > absl::ZeroDuration()) {
    PutOff(flow_id, std::min(left, kLeaseLook), "the next Job waits for the lease of the worker before it to end");
    return;
  }
  const absl::Status created = CreateNext(flow_id, options);
  if (created.ok()) return;
  absl::Duration wait;
  {
    std::lock_guard lock(mutex_);
    Watch& watch = WatchOf(flow_id);
    wait = std::max(watch.backoff.Next(), RetryAfter(created));
    // One that does not answer is not asked for the next flow either.
    if (IsTransient(created)) quiet_until_ = Now() + std::min(wait, absl::Seconds(5));
  }
  Log(LogLevel::kError, "no Job could be made; trying again", {{"flow_id", flow_id}, {"error", Text(created)}});
  PutOff(flow_id, wait, created.message());
  TellTrouble(flow_id);
}

bool KubernetesDispatcher::SettleStopping(const std::string& flow_id) {
  if (const absl::Duration left = LeaseLeft(store_, flow_id); left > absl::ZeroDuration()) {
    PutOff(flow_id, std::min(left, kLeaseLook), "");
    return false;
  }
  const absl::Status stopped = store_->Transition(flow_id, {FlowState::kStopping}, FlowState::kStopped, "");
  if (stopped.ok() || absl::IsFailedPrecondition(stopped) || absl::IsNotFound(stopped)) {
    std::lock_guard lock(mutex_);
    if (UnfinishedOf(flow_id).empty()) watches_.erase(flow_id);
    return true;
  }
  PutOff(flow_id, kStoreRetry, "the control store does not answer");
  return false;
}

void KubernetesDispatcher::TellTrouble(const std::string& flow_id) {
  const std::string trouble = Trouble(flow_id);
  {
    std::lock_guard lock(mutex_);
    Watch& watch = WatchOf(flow_id);
    const std::vector<SeenJob> unfinished = UnfinishedOf(flow_id);
    if (!unfinished.empty() && unfinished.front().view.deleting) return;
    if (trouble.empty() || trouble == watch.told) return;
    watch.told = trouble;
  }
  Log(LogLevel::kWarn, "a worker does not run", {{"flow_id", flow_id}, {"why", trouble}});
  store_->SetLastError(flow_id, trouble).IgnoreError();
}

void KubernetesDispatcher::Review() {
  {
    std::lock_guard lock(mutex_);
    if (!synced_ || Now() < quiet_until_) return;
  }
  const absl::Status status = ForEachFlow(*store_, [this](const StoredFlow& flow) {
    if (flow.state == FlowState::kStopping || WantedWorker(flow, options_.spools)) Settle(flow.flow.id);
    return absl::OkStatus();
  });
  if (!status.ok()) Log(LogLevel::kWarn, "the flows cannot be reviewed", {{"error", Text(status)}});
}

}  // namespace wallaby
