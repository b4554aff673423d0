// Watcher: follows the objects of one kind: a list, then a stream of changes, taken up again where it was cut.
//
// Each watcher has a thread. The stream ends every few minutes and whenever the connection does; it goes on from the
// last resource version seen, bookmarks included. When the server no longer has that version (410), everything is
// listed anew.
#ifndef WALLABY_DISPATCH_KUBERNETES_WATCHER_H_
#define WALLABY_DISPATCH_KUBERNETES_WATCHER_H_

#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/backoff.h"
#include "base/event.h"
#include "dispatch/kubernetes/cluster_access.h"
#include "dispatch/kubernetes/kube_client.h"

namespace wallaby {

// Called on the watcher's thread.
class WatchListener {
 public:
  virtual ~WatchListener() = default;
  // All there are; what is not among them is gone. The list was asked for at `asked`, of the monotonic clock.
  virtual void OnList(const KubeResource& resource, const std::vector<Json>& objects, absl::Duration asked) = 0;
  // `gone`: it was deleted, and this is how it was last.
  virtual void OnChange(const KubeResource& resource, const Json& object, bool gone) = 0;
  // Whether the server is heard; a failure each time that it is met, OK when it is over.
  virtual void OnHealth(const KubeResource& resource, const absl::Status& status) = 0;
};

class Watcher {
 public:
  // `access` and `listener` outlive the watcher.
  Watcher(ClusterAccess* access, const KubeResource& resource, std::string selector, WatchListener* listener);
  ~Watcher();
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;

 private:
  void Run();
  absl::Status List();
  absl::Status Follow();
  // False when the stream is of no more use.
  bool Take(const Json& event, absl::Status* status);

  const KubeResource resource_;
  const std::string selector_;
  WatchListener* const listener_;
  Event end_;
  KubeClient client_;
  Backoff backoff_;
  std::string version_;  // empty: to be listed
  std::thread thread_;
};

}  // namespace wallaby

#endif  // WALLABY_DISPATCH_KUBERNETES_WATCHER_H_
