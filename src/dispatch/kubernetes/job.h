// The Job of a flow's worker: its name, its labels, its definition, and what the API says of it and of its pods.
#ifndef WALLABY_DISPATCH_KUBERNETES_JOB_H_
#define WALLABY_DISPATCH_KUBERNETES_JOB_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "dispatch/kubernetes/json_fields.h"
#include "flow/kubernetes_settings.h"

namespace wallaby {

// Which run of a flow's worker a Job is. Generation is the revision of the flow when it began; attempts count within.
struct JobIdentity {
  std::string flow_id;
  int64_t generation = 0;
  int64_t attempt = 0;
};

// A valid RFC 1123 name of at most 63 characters, the same for the same run, and different for different ones.
std::string JobName(const std::string& prefix, const JobIdentity& identity);
// The flow's id where that is a valid label value, else what is left of it with a hash.
std::string FlowLabel(const std::string& flow_id);
// Selects the Jobs and pods of this installation, which its prefix names; of one flow, where given.
std::string JobSelector(const std::string& prefix, const std::string& flow_id = "");

// `max_empty_reads` > 0 makes a run that ends by itself; `probe` says that a request asked for that, not the settings.
// `spool`: the worker only fills the spool.
struct JobRun {
  int64_t max_empty_reads = 0;
  bool probe = false;
  bool spool = false;
};
Json JobObject(const KubernetesSettings& settings, const JobIdentity& identity, const JobRun& run);

struct JobView {
  std::string name;
  std::string uid;
  JobIdentity identity;
  bool probe = false;
  bool spool = false;
  enum class State { kActive, kSucceeded, kFailed } state = State::kActive;
  bool deleting = false;  // its pods may still run
  std::string why;        // of kFailed: "BackoffLimitExceeded: Job has reached the specified backoff limit"
  absl::Time created;
  int64_t version = 0;  // rises with each change; 0: not known

  bool unfinished() const { return state == State::kActive; }
};
// Nothing when it is not the Job of a flow.
std::optional<JobView> ParseJob(const Json& job);

struct PodView {
  std::string name;
  std::string uid;
  std::string job_uid;
  std::string flow_id;
  absl::Time created;
  bool spool = false;
  bool running = false;
  bool ended = false;
  int exit_code = -1;  // -1: none yet
  // What keeps it from running, or why it ended badly: "image x cannot be pulled (ImagePullBackOff): ..."; else "".
  std::string trouble;
};
std::optional<PodView> ParsePod(const Json& pod);

}  // namespace wallaby

#endif  // WALLABY_DISPATCH_KUBERNETES_JOB_H_
