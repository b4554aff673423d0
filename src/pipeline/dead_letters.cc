#include "pipeline/dead_letters.h"

#include <algorithm>
#include <map>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "destination/destination.h"
#include "flow/destination_config.h"
#include "pipeline/instruments.h"
#include "telemetry/log.h"

namespace wallaby {
namespace {

constexpr int kPage = 1000;

// The flow's destinations, each made when a letter first asks for it.
class Receivers {
 public:
  explicit Receivers(const Flow& flow) : flow_(flow) {}

  absl::StatusOr<Destination*> Find(const std::string& name) {
    if (const auto made = made_.find(name); made != made_.end()) return made->second.get();
    const auto endpoint = std::find_if(flow_.destinations.begin(), flow_.destinations.end(),
                                       [&](const Endpoint& one) { return one.name == name; });
    if (endpoint == flow_.destinations.end()) {
      return absl::FailedPreconditionError(absl::StrCat("the flow has no destination '", name, "' any more"));
    }
    ASSIGN_OR_RETURN(const DestinationConfig config, ResolvedConfig(flow_, *endpoint));
    ASSIGN_OR_RETURN(std::unique_ptr<Destination> destination, MakeDestination(endpoint->type, config));
    return (made_[name] = std::move(destination)).get();
  }

 private:
  const Flow& flow_;
  std::map<std::string, std::unique_ptr<Destination>> made_;
};

}  // namespace

absl::Status StoredDeadLetters::Keep(const DeadLetter& letter) {
  RETURN_IF_ERROR(store_->PutDeadLetter(flow_id_, letter));
  CountDeadLetter(letter.destination);
  Log(LogLevel::kWarn, "a request was not taken and is kept as a dead letter",
      {{"flow_id", flow_id_},
       {"destination", letter.destination},
       {"key", letter.request.key},
       {"table", absl::StrCat(letter.request.schema, ".", letter.request.table)},
       {"position", letter.request.last.ToString()},
       {"reason", letter.reason}});
  return absl::OkStatus();
}

absl::Status ForEachDeadLetter(ControlStore& store, const std::string& flow_id, const DeadLetterChoice& choice,
                               absl::FunctionRef<absl::Status(int64_t id)> visit) {
  if (!choice.ids.empty()) {
    for (const int64_t id : choice.ids) {
      ASSIGN_OR_RETURN(const StoredDeadLetter stored, store.GetDeadLetter(flow_id, id));
      if (choice.destination.empty() || stored.letter.destination == choice.destination) RETURN_IF_ERROR(visit(id));
    }
    return absl::OkStatus();
  }
  int64_t after = 0;
  while (true) {
    ASSIGN_OR_RETURN(const std::vector<StoredDeadLetter> page,
                     store.DeadLetters(flow_id, choice.destination, after, kPage));
    if (page.empty()) return absl::OkStatus();
    for (const StoredDeadLetter& stored : page) RETURN_IF_ERROR(visit(stored.id));
    after = page.back().id;
  }
}

absl::StatusOr<DeadLetterReplay> ReplayDeadLetters(ControlStore& store, const Flow& flow,
                                                   const DeadLetterChoice& choice,
                                                   absl::FunctionRef<bool()> cancelled) {
  Receivers receivers(flow);
  DeadLetterReplay replay;
  bool ended = false;
  RETURN_IF_ERROR(ForEachDeadLetter(store, flow.id, choice, [&](int64_t id) -> absl::Status {
    if (ended || cancelled()) {
      ++replay.kept;
      return absl::OkStatus();
    }
    ASSIGN_OR_RETURN(StoredDeadLetter stored, store.GetDeadLetter(flow.id, id));
    const absl::StatusOr<Destination*> receiver = receivers.Find(stored.letter.destination);
    absl::Status sent = receiver.ok() ? (*receiver)->Resend(stored.letter.request) : receiver.status();
    if (sent.ok()) {
      ++replay.accepted;
      return store.DeleteDeadLetter(flow.id, id);
    }
    ++replay.kept;
    ended = !absl::IsInvalidArgument(sent);
    sent = Annotate(sent, absl::StrCat("dead letter ", id, " for destination ", stored.letter.destination));
    if (replay.error.ok()) replay.error = sent;
    if (ended) return absl::OkStatus();
    stored.letter.reason = std::string(sent.message());
    return store.PutDeadLetter(flow.id, stored.letter);
  }));
  return replay;
}

}  // namespace wallaby
