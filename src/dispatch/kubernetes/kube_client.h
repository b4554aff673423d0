// KubeClient: the calls of the Kubernetes API that dispatch needs, in one namespace.
//
// Statuses: NOT_FOUND; ALREADY_EXISTS; OUT_OF_RANGE for a resource version that is too old (410); UNAUTHENTICATED when
// fresh credentials were not accepted either; PERMISSION_DENIED naming the verb that the Role lacks; INVALID_ARGUMENT
// when the server refuses the object; RESOURCE_EXHAUSTED when it wants to be asked later (429); UNAVAILABLE and
// DEADLINE_EXCEEDED when it does not answer: then it is not known whether the call took effect.
#ifndef WALLABY_DISPATCH_KUBERNETES_KUBE_CLIENT_H_
#define WALLABY_DISPATCH_KUBERNETES_KUBE_CLIENT_H_

#include <functional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/event.h"
#include "base/http_client.h"
#include "dispatch/kubernetes/cluster_access.h"
#include "dispatch/kubernetes/json_fields.h"

namespace wallaby {

struct KubeResource {
  std::string_view api;   // "/apis/batch/v1"
  std::string_view name;  // "jobs"
};
inline constexpr KubeResource kJobs{"/apis/batch/v1", "jobs"};
inline constexpr KubeResource kPods{"/api/v1", "pods"};

// For one thread at a time.
class KubeClient {
 public:
  // `access` and `end` outlive the client; once `end` is set every call returns CANCELLED.
  KubeClient(ClusterAccess* access, const Event* end) : access_(access), end_(end) {}

  absl::StatusOr<Json> Create(const KubeResource& resource, const Json& object);
  // With everything that the object owns, before itself: it is gone when its pods are. Only the object with this uid.
  absl::Status Delete(const KubeResource& resource, const std::string& name, const std::string& uid);
  absl::StatusOr<Json> List(const KubeResource& resource, const std::string& label_selector);
  // Calls `on_event` for each change after `version` until the server ends the stream, which it does every few minutes
  // (OK), or `on_event` returns false (OK).
  absl::Status Watch(const KubeResource& resource, const std::string& label_selector, const std::string& version,
                     const std::function<bool(const Json&)>& on_event);

 private:
  struct Call {
    std::string_view verb;    // as RBAC names it
    std::string_view method;  // of HTTP
    const KubeResource* resource;
    std::string path;  // after the resource's, with the query
    std::string body;
    absl::Duration timeout = absl::Seconds(10);
    std::function<bool(std::string_view)> on_data;
  };
  absl::StatusOr<HttpResponse> Send(const Call& call);
  absl::StatusOr<HttpResponse> SendOnce(const Call& call);
  absl::Status ToStatus(const Call& call, const HttpResponse& response) const;

  ClusterAccess* const access_;
  const Event* const end_;
  HttpClient http_;
};

// What UNAVAILABLE and its like leave open: whether the call took effect.
bool IsOutcomeUnknown(const absl::Status& status);
// How long a server that wanted to be asked later asked to be left alone; zero without such a word.
absl::Duration RetryAfter(const absl::Status& status);

}  // namespace wallaby

#endif  // WALLABY_DISPATCH_KUBERNETES_KUBE_CLIENT_H_
