// KubernetesDispatcher: requests stand in kubernetes_dispatcher.cc, what the watchers tell in kubernetes_view.cc, what
// the supervising thread does in kubernetes_supervision.cc, and how Jobs are made and ended in kubernetes_jobs.cc.
//
// Decisions are level-triggered: each looks at the flow's state, its Jobs, its lease, and what was asked, and does the
// next step. So it does not matter which changes were missed, and a server that begins anew goes on where another
// ended.
#ifndef WALLABY_DISPATCH_KUBERNETES_KUBERNETES_DISPATCHER_H_
#define WALLABY_DISPATCH_KUBERNETES_KUBERNETES_DISPATCHER_H_

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/time/time.h"
#include "base/backoff.h"
#include "base/event.h"
#include "dispatch/dispatcher.h"
#include "dispatch/kubernetes/cluster_access.h"
#include "dispatch/kubernetes/job.h"
#include "dispatch/kubernetes/kube_client.h"
#include "dispatch/kubernetes/kubernetes_dispatch.h"
#include "dispatch/kubernetes/watcher.h"

namespace wallaby {

class KubernetesDispatcher final : public Dispatcher, private WatchListener {
 public:
  KubernetesDispatcher(ControlStore* store, KubernetesDispatcherOptions options, std::unique_ptr<ClusterAccess> access);
  ~KubernetesDispatcher() override;

  absl::Status Start() override;
  absl::Status Ensure(const std::string& flow_id, const DispatchOptions& options) override;
  void Stop(const std::string& flow_id) override;
  void Restart(const std::string& flow_id) override;
  bool IsActive(const std::string& flow_id) override;
  std::string Trouble(const std::string& flow_id) override;

 private:
  // A flow that is to be looked at again. Times are monotonic.
  struct Watch {
    explicit Watch(const KubernetesDispatcherOptions& options) : backoff(options.backoff_base, options.backoff_cap) {}

    std::optional<absl::Duration> asked_to_end;  // since when its Jobs are to be gone
    std::optional<DispatchOptions> next;         // follows at once when they are
    std::optional<absl::Duration> due;           // when to look again
    std::optional<absl::Duration> lingering;     // since when a pod outlives its Job
    bool resting = false;                        // its run completed as the settings want it: waits for a request
    int64_t generation = 0;                      // of the last Job made
    int64_t attempt = 0;
    std::string trouble;
    std::string told;  // the last trouble that was put into the store
    Backoff backoff;
  };
  struct SeenJob {
    JobView view;
    absl::Duration seen;  // first
    bool asked = false;   // we ended it
  };
  // An attempt that the store calls active.
  struct Recorded {
    int64_t id = 0;  // 0: the flow is not in the store
    std::string flow_id;
    std::string job;
  };
  struct End {
    std::string uid;
    Recorded attempt;
    std::optional<SeenJob> job;  // none: it is gone
    int exit_code = -1;
    std::string pod_trouble;
  };

  // WatchListener
  void OnList(const KubeResource& resource, const std::vector<Json>& objects, absl::Duration asked) override;
  void OnChange(const KubeResource& resource, const Json& object, bool gone) override;
  void OnHealth(const KubeResource& resource, const absl::Status& status) override;

  // With mutex_ held:
  Watch& WatchOf(const std::string& flow_id);
  void See(const JobView& view);
  void LookAt(const std::string& flow_id);  // soon
  std::vector<SeenJob> UnfinishedOf(const std::string& flow_id) const;
  const PodView* NewestPodOf(const std::string& job_uid) const;
  // A pod whose worker may still run; null without one. It can outlive its Job: one that was deleted by hand, or one
  // whose pod the garbage collector had not seen yet.
  const PodView* LivePodOf(const std::string& flow_id) const;
  // True while such a pod is waited for.
  bool AwaitsPod(const std::string& flow_id);

  // With calls_ held, and mutex_ not:
  absl::StatusOr<std::vector<JobView>> ListJobs(const std::string& flow_id);
  absl::Status EnsureJob(const std::string& flow_id, const DispatchOptions& options);
  absl::Status CreateNext(const std::string& flow_id, const DispatchOptions& options);
  absl::Status Create(const JobIdentity& identity, const DispatchOptions& options);
  JobIdentity NextIdentity(const std::string& flow_id, int64_t generation);
  // True when the Job of that name is the flow's and runs.
  absl::StatusOr<bool> Runs(const JobIdentity& identity);
  void EndJobs(const std::vector<SeenJob>& jobs, size_t spare);
  void Supervise();
  void Await();
  std::vector<std::string> TakeDue();
  void RecordStarts();
  void RecordEnds();
  std::vector<End> FindEnds();
  bool RecordEnd(const End& end);
  void Settle(const std::string& flow_id);
  void SettleRunning(const StoredFlow& flow, const std::vector<SeenJob>& unfinished, bool end);
  void SettleIdle(const StoredFlow& flow);
  // Without either lock. False when there is more to do.
  bool SettleStopping(const std::string& flow_id);
  void TryNext(const std::string& flow_id, const DispatchOptions& options);
  void Review();
  void PutOff(const std::string& flow_id, absl::Duration wait, std::string_view trouble);
  void TellTrouble(const std::string& flow_id);

  ControlStore* const store_;
  const KubernetesDispatcherOptions options_;
  const KubernetesSettings& settings_;
  const std::unique_ptr<ClusterAccess> access_;

  Event wake_;
  Event end_;
  std::thread supervisor_;
  std::unique_ptr<Watcher> job_watcher_;
  std::unique_ptr<Watcher> pod_watcher_;

  // Held over calls of the API, so that decisions on a flow do not cross. Taken before mutex_.
  std::mutex calls_;
  KubeClient client_;
  absl::Duration review_at_;
  bool attempts_loaded_ = false;

  // Held for moments only.
  std::mutex mutex_;
  std::map<std::string, SeenJob> jobs_;  // by uid
  std::map<std::string, PodView> pods_;  // by uid
  std::map<std::string, Watch> watches_;
  std::map<std::string, Recorded> attempts_;  // by the Job's uid
  std::set<std::string> look_at_;
  bool synced_ = false;  // jobs_ has been complete
  absl::Status health_;
  absl::Duration quiet_until_;  // the supervisor leaves the API server alone until then
};

}  // namespace wallaby

#endif  // WALLABY_DISPATCH_KUBERNETES_KUBERNETES_DISPATCHER_H_
