// Kubernetes dispatch: each run of a flow's worker is a batch/v1 Job (docs/dispatch.md).
#ifndef WALLABY_DISPATCH_KUBERNETES_KUBERNETES_DISPATCH_H_
#define WALLABY_DISPATCH_KUBERNETES_KUBERNETES_DISPATCH_H_

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "dispatch/dispatcher.h"
#include "flow/settings.h"

namespace wallaby {

struct KubernetesDispatcherOptions {
  KubernetesSettings settings;
  bool spools = false;  // there is a spool, on a volume of the Jobs
  // How often the store is compared with what runs. Changes in the cluster are told at once.
  absl::Duration review_interval = absl::Seconds(5);
  absl::Duration backoff_base = absl::Seconds(1);
  absl::Duration backoff_cap = absl::Seconds(60);
  // A Job that lived so long begins the backoff anew.
  absl::Duration stable_after = absl::Seconds(60);
  // A flow in `stopping` whose Job does not go (its node is lost) is stopped after this, once its lease has ended.
  absl::Duration give_up_after = absl::Minutes(3);
};

// INVALID_ARGUMENT names the setting that is missing or wrong. The API server need not be there yet. `store` must
// outlive the dispatcher. Jobs go on when this process ends; the next dispatcher finds them by their labels.
absl::StatusOr<std::unique_ptr<Dispatcher>> MakeKubernetesDispatcher(ControlStore* store,
                                                                     KubernetesDispatcherOptions options);

// Completes the Jobs' environment with those of the server's settings that workers need, where job_env does not say
// otherwise. Refuses a control store that a pod could not reach, and secrets that would stand readable in a Job.
absl::Status CompleteJobEnvironment(const Settings& settings, KubernetesSettings* kubernetes);

}  // namespace wallaby

#endif  // WALLABY_DISPATCH_KUBERNETES_KUBERNETES_DISPATCH_H_
