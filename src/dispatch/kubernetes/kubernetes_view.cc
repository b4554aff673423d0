// What the dispatcher knows of the cluster: the Jobs and pods that the watchers tell of.
#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "dispatch/kubernetes/kubernetes_dispatcher.h"
#include "telemetry/log.h"

namespace wallaby {

KubernetesDispatcher::Watch& KubernetesDispatcher::WatchOf(const std::string& flow_id) {
  return watches_.try_emplace(flow_id, options_).first->second;
}

void KubernetesDispatcher::LookAt(const std::string& flow_id) {
  look_at_.insert(flow_id);
  wake_.Set();
}

void KubernetesDispatcher::See(const JobView& view) {
  const auto [found, added] = jobs_.try_emplace(view.uid, SeenJob{view, Clock::Real()->Monotonic()});
  // A list and a stream may bring the same change, one after the other.
  if (!added && (view.version == 0 || view.version >= found->second.view.version)) {
    const bool deleting = found->second.view.deleting;
    found->second.view = view;
    found->second.view.deleting |= deleting;
  }
  LookAt(view.identity.flow_id);
}

std::vector<KubernetesDispatcher::SeenJob> KubernetesDispatcher::UnfinishedOf(const std::string& flow_id) const {
  std::vector<SeenJob> unfinished;
  for (const auto& [uid, job] : jobs_) {
    if (job.view.identity.flow_id == flow_id && job.view.unfinished()) unfinished.push_back(job);
  }
  return unfinished;
}

const PodView* KubernetesDispatcher::NewestPodOf(const std::string& job_uid) const {
  const PodView* newest = nullptr;
  for (const auto& [uid, pod] : pods_) {
    if (pod.job_uid == job_uid && (newest == nullptr || pod.created >= newest->created)) newest = &pod;
  }
  return newest;
}

const PodView* KubernetesDispatcher::LivePodOf(const std::string& flow_id) const {
  for (const auto& [uid, pod] : pods_) {
    if (pod.flow_id == flow_id && !pod.ended) return &pod;
  }
  return nullptr;
}

void KubernetesDispatcher::OnList(const KubeResource& resource, const std::vector<Json>& objects,
                                  absl::Duration asked) {
  std::lock_guard lock(mutex_);
  std::set<std::string> there;
  if (resource.name == kPods.name) {
    pods_.clear();
    for (const Json& object : objects) {
      const auto pod = ParsePod(object);
      if (!pod) continue;
      LookAt(pod->flow_id);
      pods_[pod->uid] = *pod;
    }
    return;
  }
  for (const Json& object : objects) {
    const auto job = ParseJob(object);
    if (!job) continue;
    there.insert(job->uid);
    See(*job);
  }
  for (auto job = jobs_.begin(); job != jobs_.end();) {
    // One that was made while the list was on its way need not be in it.
    const bool gone = !there.contains(job->first) && job->second.seen < asked;
    if (gone) LookAt(job->second.view.identity.flow_id);
    job = gone ? jobs_.erase(job) : std::next(job);
  }
  if (!synced_) {
    synced_ = true;
    for (const auto& [flow_id, watch] : watches_) look_at_.insert(flow_id);
    wake_.Set();
  }
}

void KubernetesDispatcher::OnChange(const KubeResource& resource, const Json& object, bool gone) {
  std::lock_guard lock(mutex_);
  if (resource.name == kPods.name) {
    const auto pod = ParsePod(object);
    if (!pod) return;
    if (gone) {
      pods_.erase(pod->uid);
    } else {
      pods_[pod->uid] = *pod;
    }
    LookAt(pod->flow_id);
    return;
  }
  const auto job = ParseJob(object);
  if (!job) return;
  if (gone) {
    jobs_.erase(job->uid);
    LookAt(job->identity.flow_id);
  } else {
    See(*job);
  }
}

void KubernetesDispatcher::OnHealth(const KubeResource& resource, const absl::Status& status) {
  if (!status.ok()) {
    Log(LogLevel::kWarn, absl::StrCat("the ", resource.name, " of workers cannot be watched; trying again"),
        {{"error", std::string(status.message())}});
  }
  std::lock_guard lock(mutex_);
  health_ = status;
  if (!status.ok()) return;
  quiet_until_ = absl::ZeroDuration();
  wake_.Set();
}

}  // namespace wallaby
