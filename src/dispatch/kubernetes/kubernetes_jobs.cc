// How the dispatcher makes and ends Jobs.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/clock.h"
#include "base/status.h"
#include "dispatch/kubernetes/kubernetes_dispatcher.h"
#include "telemetry/log.h"

namespace wallaby {
namespace {

constexpr int kMaxNames = 5;

}  // namespace

absl::StatusOr<std::vector<JobView>> KubernetesDispatcher::ListJobs(const std::string& flow_id) {
  ASSIGN_OR_RETURN(const Json list, client_.List(kJobs, JobSelector(settings_.job_name_prefix, flow_id)));
  std::vector<JobView> jobs;
  std::lock_guard lock(mutex_);
  for (const Json& object : Field(list, "items")) {
    const auto job = ParseJob(object);
    if (!job || job->identity.flow_id != flow_id) continue;
    See(*job);
    jobs.push_back(jobs_.at(job->uid).view);
  }
  return jobs;
}

JobIdentity KubernetesDispatcher::NextIdentity(const std::string& flow_id, int64_t generation) {
  std::lock_guard lock(mutex_);
  Watch& watch = WatchOf(flow_id);
  int64_t last = watch.generation == generation ? watch.attempt : 0;
  for (const auto& [uid, job] : jobs_) {
    const JobIdentity& identity = job.view.identity;
    if (identity.flow_id == flow_id && identity.generation == generation) last = std::max(last, identity.attempt);
  }
  return {flow_id, generation, last + 1};
}

absl::Status KubernetesDispatcher::CreateNext(const std::string& flow_id, const DispatchOptions& options) {
  ASSIGN_OR_RETURN(const StoredFlow flow, store_->GetFlow(flow_id));
  for (int i = 0; i < kMaxNames; ++i) {
    const JobIdentity identity = NextIdentity(flow_id, flow.revision);
    absl::Status created = Create(identity, options);
    if (created.ok()) return created;
    // Another server was quicker, or an answer was lost on its way: the name tells.
    if (!absl::IsAlreadyExists(created) && !IsOutcomeUnknown(created)) return created;
    const absl::StatusOr<bool> runs = Runs(identity);
    if (runs.ok() && *runs) {
      RecordStarts();
      return absl::OkStatus();
    }
    if (!runs.ok() && absl::IsNotFound(runs.status()) && absl::IsAlreadyExists(created)) {
      return absl::FailedPreconditionError(absl::StrCat(
          "the name ", JobName(settings_.job_name_prefix, identity), " is taken in namespace ", access_->name_space(),
          " by a Job that is not this flow's; delete that Job, or set another WALLABY_K8S_JOB_NAME_PREFIX"));
    }
    if (!runs.ok() && !absl::IsNotFound(runs.status())) return created;
    if (!absl::IsAlreadyExists(created) && i > 0) return created;
  }
  return absl::UnavailableError(absl::StrCat("no free Job name was found for flow ", flow_id));
}

absl::Status KubernetesDispatcher::Create(const JobIdentity& identity, const DispatchOptions& options) {
  JobRun run;
  run.probe = options.max_empty_reads > 0;
  run.spool = options.spool;
  run.max_empty_reads = run.spool ? 0 : run.probe ? options.max_empty_reads : settings_.job_max_empty_reads;
  ASSIGN_OR_RETURN(const Json object, client_.Create(kJobs, JobObject(settings_, identity, run)));
  const auto job = ParseJob(object);
  if (!job) return absl::UnavailableError("the Kubernetes API server answered create jobs with something else");
  {
    std::lock_guard lock(mutex_);
    See(*job);
    Watch& watch = WatchOf(identity.flow_id);
    watch.generation = identity.generation;
    watch.attempt = identity.attempt;
    watch.next.reset();
    watch.due.reset();
    watch.asked_to_end.reset();
    watch.trouble.clear();
    watch.told.clear();
  }
  Log(LogLevel::kInfo, "Job created", {{"flow_id", identity.flow_id}, {"job", job->name}});
  RecordStarts();
  return absl::OkStatus();
}

absl::StatusOr<bool> KubernetesDispatcher::Runs(const JobIdentity& identity) {
  ASSIGN_OR_RETURN(const std::vector<JobView> jobs, ListJobs(identity.flow_id));
  const std::string name = JobName(settings_.job_name_prefix, identity);
  for (const JobView& job : jobs) {
    if (job.name == name) return job.unfinished() && !job.deleting;
  }
  return absl::NotFoundError("no such Job");
}

// The oldest `spare` Jobs stay.
void KubernetesDispatcher::EndJobs(const std::vector<SeenJob>& jobs, size_t spare) {
  std::vector<SeenJob> oldest = jobs;
  std::sort(oldest.begin(), oldest.end(),
            [](const SeenJob& a, const SeenJob& b) { return a.view.created < b.view.created; });
  for (size_t i = spare; i < oldest.size(); ++i) {
    const JobView& job = oldest[i].view;
    if (job.deleting) continue;
    const absl::Status status = client_.Delete(kJobs, job.name, job.uid);
    if (!status.ok() && !absl::IsNotFound(status)) {
      Log(LogLevel::kWarn, "the Job could not be deleted; trying again",
          {{"flow_id", job.identity.flow_id}, {"job", job.name}, {"error", std::string(status.message())}});
      PutOff(job.identity.flow_id, std::max(absl::Seconds(1), RetryAfter(status)), status.message());
      continue;
    }
    Log(LogLevel::kInfo, "Job is ending", {{"flow_id", job.identity.flow_id}, {"job", job.name}});
    std::lock_guard lock(mutex_);
    const auto found = jobs_.find(job.uid);
    if (found == jobs_.end()) continue;
    found->second.asked = true;
    found->second.view.deleting = true;
    if (absl::IsNotFound(status)) {
      jobs_.erase(found);
      LookAt(job.identity.flow_id);
    }
  }
}

void KubernetesDispatcher::PutOff(const std::string& flow_id, absl::Duration wait, std::string_view trouble) {
  std::lock_guard lock(mutex_);
  Watch& watch = WatchOf(flow_id);
  watch.due = Clock::Real()->Monotonic() + wait;
  watch.trouble = std::string(trouble);
  wake_.Set();
}

}  // namespace wallaby
