#include "dispatch/kubernetes/job.h"

#include <algorithm>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/stable_hash.h"

namespace wallaby {
namespace {

constexpr char kFlow[] = "wallaby/flow-id";
constexpr char kGeneration[] = "wallaby/generation";
constexpr char kAttempt[] = "wallaby/attempt";
constexpr char kRun[] = "wallaby/run";
constexpr char kOnce[] = "once";
constexpr char kStream[] = "stream";
constexpr char kSpool[] = "spool";
constexpr size_t kMaxName = 63;
constexpr size_t kHash = 10;
// A worker makes durable what is on its way before it ends.
constexpr int64_t kGraceSeconds = 120;
// The group of the image's user, who has to be able to write to volumes.
constexpr int64_t kVolumeGroup = 10001;

// In letters and digits that cannot be mistaken for each other.
std::string Hash(std::string_view text) {
  uint64_t hash = StableHash64(text);
  constexpr std::string_view kDigits = "0123456789abcdfghjkmnpqrstvwxyz";
  std::string out;
  for (size_t i = 0; i < kHash; ++i, hash /= kDigits.size()) out += kDigits[hash % kDigits.size()];
  return out;
}

// Lower case letters and digits, with one '-' for each run of others, none at the ends.
std::string Sanitised(std::string_view text, size_t max) {
  std::string out;
  for (const char c : text) {
    if (out.size() >= max) break;
    if (absl::ascii_isalnum(c)) {
      out += absl::ascii_tolower(c);
    } else if (!out.empty() && out.back() != '-') {
      out += '-';
    }
  }
  while (!out.empty() && out.back() == '-') out.pop_back();
  return out;
}

bool IsLabelValue(std::string_view value) {
  const auto allowed = [](char c) { return absl::ascii_isalnum(c) || c == '-' || c == '_' || c == '.'; };
  return !value.empty() && value.size() <= kMaxName && absl::ascii_isalnum(value.front()) &&
         absl::ascii_isalnum(value.back()) && std::all_of(value.begin(), value.end(), allowed);
}

Json Labels(const KubernetesSettings& settings, const JobIdentity& identity, const JobRun& run) {
  Json labels = settings.job_labels;
  labels["app"] = "wallaby";
  labels["app.kubernetes.io/managed-by"] = "wallaby";
  labels["app.kubernetes.io/instance"] = settings.job_name_prefix;
  labels[kFlow] = FlowLabel(identity.flow_id);
  labels[kGeneration] = absl::StrCat(identity.generation);
  labels[kAttempt] = absl::StrCat(identity.attempt);
  labels[kRun] = run.spool ? kSpool : run.probe ? kOnce : kStream;
  return labels;
}

Json Annotations(const KubernetesSettings& settings, const JobIdentity& identity) {
  Json annotations = settings.job_annotations;
  annotations[kFlow] = identity.flow_id;
  return annotations;
}

Json Container(const KubernetesSettings& settings, const JobIdentity& identity, const JobRun& run) {
  std::vector<std::string> args = settings.job_args;
  args.insert(args.end(), {"-flow-id", identity.flow_id});
  if (run.spool) args.insert(args.end(), {"-mode", "spool"});
  if (run.max_empty_reads > 0) args.insert(args.end(), {"-max-empty-reads", absl::StrCat(run.max_empty_reads)});
  Json container = {
      {"name", "worker"},
      {"image", settings.job_image},
      {"command", settings.job_command.empty() ? std::vector<std::string>{"wallaby-worker"} : settings.job_command},
      {"args", args},
      {"terminationMessagePolicy", "FallbackToLogsOnError"},
      {"securityContext", {{"allowPrivilegeEscalation", false}, {"capabilities", {{"drop", {"ALL"}}}}}}};
  if (!settings.job_image_pull_policy.empty()) container["imagePullPolicy"] = settings.job_image_pull_policy;
  for (const auto& [name, value] : settings.job_env) {
    container["env"].push_back({{"name", name}, {"value", value}});
  }
  for (const KubernetesSettings::EnvSource& source : settings.job_env_from) {
    container["envFrom"].push_back({{source.secret ? "secretRef" : "configMapRef", {{"name", source.name}}}});
  }
  for (const KubernetesSettings::Volume& volume : settings.job_volumes) {
    container["volumeMounts"].push_back(
        {{"name", volume.claim}, {"mountPath", volume.path}, {"readOnly", volume.read_only}});
  }
  return container;
}

Json PodSpec(const KubernetesSettings& settings, const JobIdentity& identity, const JobRun& run) {
  Json spec = {{"restartPolicy", "Never"},
               {"terminationGracePeriodSeconds", kGraceSeconds},
               {"securityContext", {{"runAsNonRoot", true}, {"seccompProfile", {{"type", "RuntimeDefault"}}}}},
               {"containers", Json::array({Container(settings, identity, run)})}};
  for (const KubernetesSettings::Volume& volume : settings.job_volumes) {
    spec["volumes"].push_back({{"name", volume.claim}, {"persistentVolumeClaim", {{"claimName", volume.claim}}}});
  }
  if (!settings.job_volumes.empty()) {
    spec["securityContext"]["fsGroup"] = kVolumeGroup;
    spec["securityContext"]["fsGroupChangePolicy"] = "OnRootMismatch";
  }
  if (settings.job_service_account.empty()) {
    spec["automountServiceAccountToken"] = false;  // workers do not talk to the API server
  } else {
    spec["serviceAccountName"] = settings.job_service_account;
  }
  return spec;
}

absl::Time ParseTimestamp(const std::string& text) {
  absl::Time time = absl::UnixEpoch();
  std::string error;
  absl::ParseTime(absl::RFC3339_full, text, &time, &error);
  return time;
}

int64_t NumberLabel(const Json& labels, const char* name) {
  int64_t number = 0;
  return absl::SimpleAtoi(TextField(labels, name), &number) ? number : 0;
}

// "Reason: message", or what there is of it.
std::string ReasonAndMessage(const Json& object) {
  const std::string reason = TextField(object, "reason");
  const std::string message = TextField(object, "message");
  return absl::StrCat(reason, reason.empty() || message.empty() ? "" : ": ", message);
}

// The condition of this type, when it is true.
const Json* TrueCondition(const Json& status, std::string_view type) {
  for (const Json& condition : Field(status, "conditions")) {
    if (TextField(condition, "type") == type && TextField(condition, "status") == "True") return &condition;
  }
  return nullptr;
}

// Why a pod that has not ended does not run; "" when nothing is known to be wrong.
std::string WaitingTrouble(const Json& status, const std::string& image) {
  for (const Json& container : Field(status, "containerStatuses")) {
    const Json& waiting = Field(Field(container, "state"), "waiting");
    const std::string reason = TextField(waiting, "reason");
    if (reason.empty() || reason == "ContainerCreating" || reason == "PodInitializing") continue;
    if (reason == "ImagePullBackOff" || reason == "ErrImagePull" || reason == "InvalidImageName" ||
        reason == "ErrImageNeverPull") {
      return absl::StrCat("image ", image, " cannot be pulled (", reason, "): ", TextField(waiting, "message"),
                          "; correct WALLABY_K8S_JOB_IMAGE or the registry's access");
    }
    return absl::StrCat("its container does not start (", reason, "): ", TextField(waiting, "message"));
  }
  for (const Json& condition : Field(status, "conditions")) {
    if (TextField(condition, "type") == "PodScheduled" && TextField(condition, "status") == "False") {
      return absl::StrCat("it is not scheduled: ", ReasonAndMessage(condition));
    }
  }
  return "";
}

// Why a pod failed.
std::string FailureTrouble(const Json& status, int exit_code) {
  if (const std::string why = ReasonAndMessage(status); !why.empty()) return absl::StrCat("it failed: ", why);
  if (const Json* disruption = TrueCondition(status, "DisruptionTarget"); disruption != nullptr) {
    return absl::StrCat("it was disrupted: ", ReasonAndMessage(*disruption));
  }
  return exit_code < 0 ? "it failed" : absl::StrCat("its worker ended with exit status ", exit_code);
}

}  // namespace

std::string FlowLabel(const std::string& flow_id) {
  if (IsLabelValue(flow_id)) return flow_id;
  const std::string stem = Sanitised(flow_id, kMaxName - kHash - 1);
  return absl::StrCat(stem, stem.empty() ? "" : "-", Hash(flow_id));
}

std::string JobName(const std::string& prefix, const JobIdentity& identity) {
  const std::string tail = absl::StrCat("-", Hash(identity.flow_id), "-", identity.generation, "-", identity.attempt);
  const size_t used = prefix.size() + tail.size() + 1;
  const std::string stem = Sanitised(identity.flow_id, used < kMaxName ? kMaxName - used : 0);
  return absl::StrCat(prefix, stem.empty() ? "" : "-", stem, tail);
}

std::string JobSelector(const std::string& prefix, const std::string& flow_id) {
  return absl::StrCat("app=wallaby,app.kubernetes.io/managed-by=wallaby,app.kubernetes.io/instance=", prefix,
                      flow_id.empty() ? "" : absl::StrCat(",", kFlow, "=", FlowLabel(flow_id)));
}

Json JobObject(const KubernetesSettings& settings, const JobIdentity& identity, const JobRun& run) {
  const Json labels = Labels(settings, identity, run);
  const Json annotations = Annotations(settings, identity);
  // An eviction or a drained node is not the worker's failure, and does not count towards the limit.
  const Json disruption = {{"action", "Ignore"},
                           {"onPodConditions", Json::array({{{"type", "DisruptionTarget"}, {"status", "True"}}})}};
  return {{"apiVersion", "batch/v1"},
          {"kind", "Job"},
          {"metadata",
           {{"name", JobName(settings.job_name_prefix, identity)}, {"labels", labels}, {"annotations", annotations}}},
          {"spec",
           {{"backoffLimit", run.probe ? 0 : settings.job_backoff_limit},
            {"ttlSecondsAfterFinished", settings.job_ttl_seconds},
            // The next pod only when the one before has ended: it would meet its lease.
            {"podReplacementPolicy", "Failed"},
            {"podFailurePolicy", {{"rules", Json::array({disruption})}}},
            {"template",
             {{"metadata", {{"labels", labels}, {"annotations", annotations}}},
              {"spec", PodSpec(settings, identity, run)}}}}}};
}

std::optional<JobView> ParseJob(const Json& job) {
  const Json& metadata = Field(job, "metadata");
  const Json& labels = Field(metadata, "labels");
  JobView view;
  view.name = TextField(metadata, "name");
  view.uid = TextField(metadata, "uid");
  view.identity.flow_id = TextField(Field(metadata, "annotations"), kFlow);
  if (view.name.empty() || view.uid.empty() || view.identity.flow_id.empty()) return std::nullopt;
  view.identity.generation = NumberLabel(labels, kGeneration);
  view.identity.attempt = NumberLabel(labels, kAttempt);
  view.probe = TextField(labels, kRun) == kOnce;
  view.spool = TextField(labels, kRun) == kSpool;
  view.deleting = !TextField(metadata, "deletionTimestamp").empty();
  view.created = ParseTimestamp(TextField(metadata, "creationTimestamp"));
  if (!absl::SimpleAtoi(TextField(metadata, "resourceVersion"), &view.version)) view.version = 0;
  const Json& status = Field(job, "status");
  if (const Json* failed = TrueCondition(status, "Failed"); failed != nullptr) {
    view.state = JobView::State::kFailed;
    view.why = ReasonAndMessage(*failed);
  } else if (TrueCondition(status, "Complete") != nullptr) {
    view.state = JobView::State::kSucceeded;
  }
  return view;
}

std::optional<PodView> ParsePod(const Json& pod) {
  const Json& metadata = Field(pod, "metadata");
  PodView view;
  view.name = TextField(metadata, "name");
  view.uid = TextField(metadata, "uid");
  view.flow_id = TextField(Field(metadata, "annotations"), kFlow);
  for (const Json& owner : Field(metadata, "ownerReferences")) {
    if (TextField(owner, "kind") == "Job") view.job_uid = TextField(owner, "uid");
  }
  if (view.uid.empty() || view.flow_id.empty() || view.job_uid.empty()) return std::nullopt;
  view.spool = TextField(Field(metadata, "labels"), kRun) == kSpool;
  view.created = ParseTimestamp(TextField(metadata, "creationTimestamp"));
  const Json& status = Field(pod, "status");
  const std::string phase = TextField(status, "phase");
  for (const Json& container : Field(status, "containerStatuses")) {
    const Json& terminated = Field(Field(container, "state"), "terminated");
    view.exit_code = static_cast<int>(IntField(terminated, "exitCode", view.exit_code));
  }
  view.running = phase == "Running" && view.exit_code < 0;
  view.ended = phase == "Succeeded" || phase == "Failed";
  const Json& containers = Field(Field(pod, "spec"), "containers");
  const std::string image = containers.is_array() && !containers.empty() ? TextField(containers[0], "image") : "";
  if (phase == "Failed") {
    view.trouble = FailureTrouble(status, view.exit_code);
  } else if (!view.ended) {
    view.trouble = WaitingTrouble(status, image);
  }
  if (!view.trouble.empty()) view.trouble = absl::StrCat("pod ", view.name, ": ", view.trouble);
  return view;
}

}  // namespace wallaby
