#include "dispatch/kubernetes/kubernetes_dispatcher.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/status.h"
#include "dispatch/worker_process.h"
#include "telemetry/log.h"

namespace wallaby {

KubernetesDispatcher::KubernetesDispatcher(ControlStore* store, KubernetesDispatcherOptions options,
                                           std::unique_ptr<ClusterAccess> access)
    : store_(store),
      options_(std::move(options)),
      settings_(options_.settings),
      access_(std::move(access)),
      client_(access_.get(), &end_) {}

KubernetesDispatcher::~KubernetesDispatcher() {
  end_.Set();
  job_watcher_.reset();
  pod_watcher_.reset();
  if (supervisor_.joinable()) supervisor_.join();
}

absl::Status KubernetesDispatcher::Start() {
  Log(LogLevel::kInfo, "workers are Kubernetes Jobs",
      {{"api_server", access_->server()}, {"namespace", access_->name_space()}, {"access", access_->origin()}});
  review_at_ = Clock::Real()->Monotonic();
  const std::string selector = JobSelector(settings_.job_name_prefix);
  WatchListener* const listener = this;
  job_watcher_ = std::make_unique<Watcher>(access_.get(), kJobs, selector, listener);
  pod_watcher_ = std::make_unique<Watcher>(access_.get(), kPods, selector, listener);
  supervisor_ = std::thread([this] { Supervise(); });
  return absl::OkStatus();
}

absl::Status KubernetesDispatcher::Ensure(const std::string& flow_id, const DispatchOptions& options) {
  std::lock_guard calls(calls_);
  const absl::Status status = EnsureJob(flow_id, options);
  if (status.ok()) return status;
  const absl::Duration wait = [&] {
    std::lock_guard lock(mutex_);
    return WatchOf(flow_id).backoff.Next();
  }();
  PutOff(flow_id, std::max(wait, RetryAfter(status)), status.message());
  // A flow that should run gets its Job as soon as the API server takes it; a request for one run wants to know.
  const absl::StatusOr<StoredFlow> flow = store_->GetFlow(flow_id);
  const bool follows = IsTransient(status) && flow.ok() && flow->state == FlowState::kRunning;
  if (!follows) return status;
  Log(LogLevel::kWarn, "no Job could be made; it will be tried again",
      {{"flow_id", flow_id}, {"error", std::string(status.message())}});
  TellTrouble(flow_id);
  return absl::OkStatus();
}

absl::Status KubernetesDispatcher::EnsureJob(const std::string& flow_id, const DispatchOptions& options) {
  bool active = false;
  {
    std::lock_guard lock(mutex_);
    Watch& watch = WatchOf(flow_id);
    watch.resting = false;
    active = !UnfinishedOf(flow_id).empty();
    if (active && watch.asked_to_end) {
      watch.next = options;
      LookAt(flow_id);
      return absl::OkStatus();
    }
  }
  const absl::StatusOr<std::vector<JobView>> jobs = ListJobs(flow_id);
  if (!jobs.ok()) return active ? absl::OkStatus() : jobs.status();
  for (const JobView& job : *jobs) {
    if (!job.unfinished()) continue;
    if (job.deleting || job.spool || (job.probe && options.max_empty_reads == 0)) {
      std::lock_guard lock(mutex_);
      Watch& watch = WatchOf(flow_id);
      watch.next = options;
      if (job.spool && !watch.asked_to_end) watch.asked_to_end = Clock::Real()->Monotonic();
      LookAt(flow_id);
    }
    return absl::OkStatus();
  }
  {
    std::lock_guard lock(mutex_);
    if (AwaitsPod(flow_id)) {
      WatchOf(flow_id).next = options;
      return absl::OkStatus();
    }
  }
  // Somebody else runs it, perhaps by hand, or a pod that is being killed: as good as ours, and followed by ours.
  if (const absl::Duration left = LeaseLeft(store_, flow_id); left > absl::ZeroDuration()) {
    PutOff(flow_id, left, "its lease is held by a worker of before, or of somewhere else; the Job waits for that");
    return absl::OkStatus();
  }
  return CreateNext(flow_id, options);
}

void KubernetesDispatcher::Stop(const std::string& flow_id) {
  bool idle = false;
  {
    std::lock_guard lock(mutex_);
    Watch& watch = WatchOf(flow_id);
    watch.next.reset();
    watch.resting = false;
    idle = synced_ && UnfinishedOf(flow_id).empty() && LivePodOf(flow_id) == nullptr;
    if (!idle && !watch.asked_to_end) watch.asked_to_end = Clock::Real()->Monotonic();
    LookAt(flow_id);
  }
  if (idle) SettleStopping(flow_id);
}

void KubernetesDispatcher::Restart(const std::string& flow_id) {
  std::lock_guard lock(mutex_);
  const auto found = watches_.find(flow_id);
  const bool runs = !UnfinishedOf(flow_id).empty();
  if (found == watches_.end() && !runs) return;
  Watch& watch = WatchOf(flow_id);
  if (runs) {
    watch.next = DispatchOptions();
    if (!watch.asked_to_end) watch.asked_to_end = Clock::Real()->Monotonic();
  } else {
    watch.due.reset();
  }
  LookAt(flow_id);
}

bool KubernetesDispatcher::IsActive(const std::string& flow_id) {
  std::lock_guard lock(mutex_);
  const std::vector<SeenJob> unfinished = UnfinishedOf(flow_id);
  const PodView* const pod = LivePodOf(flow_id);
  return (pod != nullptr && !pod->spool) ||
         std::any_of(unfinished.begin(), unfinished.end(), [](const SeenJob& job) { return !job.view.spool; });
}

std::string KubernetesDispatcher::Trouble(const std::string& flow_id) {
  std::lock_guard lock(mutex_);
  const std::vector<SeenJob> unfinished = UnfinishedOf(flow_id);
  if (!unfinished.empty()) {
    const JobView& job = unfinished.front().view;
    if (job.deleting) return absl::StrCat("Job ", job.name, " is ending");
    const PodView* pod = NewestPodOf(job.uid);
    return pod == nullptr || pod->trouble.empty() ? "" : absl::StrCat("Job ", job.name, ", ", pod->trouble);
  }
  const auto found = watches_.find(flow_id);
  if (found == watches_.end()) return "";
  if (!health_.ok()) return absl::StrCat("waiting: ", health_.message());
  return found->second.trouble;
}

absl::StatusOr<std::unique_ptr<Dispatcher>> MakeKubernetesDispatcher(ControlStore* store,
                                                                     KubernetesDispatcherOptions options) {
  RETURN_IF_ERROR(CheckKubernetesSettings(options.settings));
  ASSIGN_OR_RETURN(std::unique_ptr<ClusterAccess> access, ClusterAccess::Load(options.settings));
  return std::make_unique<KubernetesDispatcher>(store, std::move(options), std::move(access));
}

}  // namespace wallaby
