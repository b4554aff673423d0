#include "dispatch/kubernetes/watcher.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/status.h"

namespace wallaby {
namespace {

constexpr absl::Duration kBackoffBase = absl::Milliseconds(200);
constexpr absl::Duration kBackoffCap = absl::Seconds(5);
constexpr int64_t kGone = 410;

}  // namespace

Watcher::Watcher(ClusterAccess* access, const KubeResource& resource, std::string selector, WatchListener* listener)
    : resource_(resource),
      selector_(std::move(selector)),
      listener_(listener),
      client_(access, &end_),
      backoff_(kBackoffBase, kBackoffCap),
      thread_([this] { Run(); }) {}

Watcher::~Watcher() {
  end_.Set();
  thread_.join();
}

void Watcher::Run() {
  while (!end_.Wait(absl::ZeroDuration())) {
    absl::Status status = version_.empty() ? List() : Follow();
    if (absl::IsCancelled(status)) continue;
    if (absl::IsOutOfRange(status)) {
      version_.clear();
      status = absl::OkStatus();
    }
    if (status.ok()) {
      backoff_.Reset();
      continue;
    }
    // A cut is taken up again; where that fails, too, what happened meanwhile is in a new list.
    version_.clear();
    listener_->OnHealth(resource_, status);
    end_.Wait(std::max(backoff_.Next(), RetryAfter(status)));
  }
}

absl::Status Watcher::List() {
  const absl::Duration asked = Clock::Real()->Monotonic();
  ASSIGN_OR_RETURN(const Json list, client_.List(resource_, selector_));
  listener_->OnList(resource_, Field(list, "items").get<std::vector<Json>>(), asked);
  listener_->OnHealth(resource_, absl::OkStatus());
  version_ = TextField(Field(list, "metadata"), "resourceVersion");
  return absl::OkStatus();
}

absl::Status Watcher::Follow() {
  absl::Status told;
  bool heard = false;
  const absl::Status cut = client_.Watch(resource_, selector_, version_, [&](const Json& event) {
    if (!heard) listener_->OnHealth(resource_, absl::OkStatus());
    heard = true;
    return Take(event, &told);
  });
  RETURN_IF_ERROR(told);
  // A stream that brought something and was cut is taken up again at once.
  return heard && IsOutcomeUnknown(cut) ? absl::OkStatus() : cut;
}

bool Watcher::Take(const Json& event, absl::Status* status) {
  const std::string type = TextField(event, "type");
  const Json& object = Field(event, "object");
  if (type == "ERROR") {
    const int64_t code = IntField(object, "code");
    const std::string text = absl::StrCat("watch of ", resource_.name, " ended: ", TextField(object, "message"));
    *status = code == kGone ? absl::OutOfRangeError(text) : absl::UnavailableError(text);
    return false;
  }
  if (const std::string version = TextField(Field(object, "metadata"), "resourceVersion"); !version.empty()) {
    version_ = version;
  }
  if (type == "BOOKMARK") return true;
  listener_->OnChange(resource_, object, type == "DELETED");
  return true;
}

}  // namespace wallaby
