#include "service/lag_explanation.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "service/flow_convert.h"
#include "service/slot_convert.h"
#include "spool/why_full.h"
#include "telemetry/metric_table.h"
#include "telemetry/metrics_snapshot.h"

namespace wallaby {
namespace {

// A flow that is this little behind is not behind: it confirms what it read once in a while.
constexpr int64_t kSmallLag = 1 << 20;
// A segment of WAL: less than that is kept in any case.
constexpr int64_t kSegment = 16 << 20;
// One write or commit that takes longer is stuck, or as good as that.
constexpr absl::Duration kStuck = absl::Seconds(5);
// Consumers that are at work acknowledge sooner.
constexpr absl::Duration kUnread = absl::Minutes(1);

std::string Bytes(int64_t bytes) {
  if (bytes < 1 << 20) return absl::StrCat(bytes / 1024, " KiB");
  if (bytes < int64_t{1} << 30) return absl::StrCat(bytes >> 20, " MiB");
  return absl::StrCat(bytes >> 30, " GiB");
}

std::string Seconds(absl::Duration duration) {
  return absl::FormatDuration(absl::Trunc(duration, absl::Seconds(1)));
}

class Explainer {
 public:
  explicit Explainer(const LagFacts& facts) : facts_(facts), flow_(facts.flow), slot_(facts.flow.slot()) {}

  v1::LagExplanation Explain() {
    Copy();
    (void)(Slot() || Gate() || NoWorker() || Failing() || SourceAway() || Snapshot() || SlowDestination() ||
           FailingLane() || HeldTables() || SpoolIsFull() || Decoding() || Network() || OnTheWay() || LaneBehind() ||
           Held() || Nothing());
    FullSpool();
    SlowReader();
    return std::move(out_);
  }

 private:
  bool Say(std::string_view where, std::string object, std::string sentence, std::string remedy = "") {
    out_.set_where(std::string(where));
    out_.set_object(std::move(object));
    out_.set_sentence(std::move(sentence));
    out_.set_remedy(std::move(remedy));
    return true;
  }
  std::string Admin(std::string_view command) const {
    return absl::StrCat("wallaby-admin ", command, " -flow-id ", flow_.id());
  }
  // What stands still costs the source.
  std::string Kept() const {
    return slot_.exists() ? absl::StrCat("; its slot keeps ", Bytes(slot_.retained_bytes()), " of WAL") : "";
  }

  void Copy();
  bool Slot();
  bool SayGate(std::string_view what, std::string_view cost);
  bool Gate();
  std::string Remedy(const std::string& reason) const;
  bool NoWorker();
  bool Failing();
  bool SourceAway();
  bool Snapshot();
  bool SlowDestination();
  bool FailingLane();
  bool LaneBehind();
  bool HeldTables();
  bool SpoolIsFull();
  bool Decoding();
  bool Network();
  bool OnTheWay();
  bool Held();
  bool Nothing();
  std::string FullText() const;
  void FullSpool();
  void SlowReader();

  const LagFacts& facts_;
  const v1::Flow& flow_;
  const v1::SlotStatus& slot_;
  v1::LagExplanation out_;
};

void Explainer::Copy() {
  out_.set_flow_id(flow_.id());
  out_.set_state(flow_.state());
  *out_.mutable_lag() = flow_.lag();
  *out_.mutable_slot() = slot_;
  out_.set_failing_seconds(absl::ToDoubleSeconds(facts_.failing));
  out_.set_error(flow_.error());
  *out_.mutable_stream_readers() = flow_.stream_readers();
  for (const DestinationWait& wait : facts_.destinations) {
    auto* destination = out_.add_destinations();
    destination->set_name(wait.name);
    destination->set_queued_bytes(wait.queued_bytes);
    destination->set_queue_limit_bytes(wait.queue_limit_bytes);
    destination->set_busy_seconds(absl::ToDoubleSeconds(wait.busy));
  }
}

bool Explainer::Slot() {
  if (!slot_.error().empty()) return false;  // nothing is known of it
  const std::string backfill = absl::StrCat("wallaby-worker -flow-id ", flow_.id(), " -mode backfill");
  if (!slot_.exists()) {
    const bool had = flow_.has_checkpoint() && !flow_.checkpoint().lsn().empty();
    return had && Say("slot_missing", slot_.name(),
                      absl::StrCat("Slot ", slot_.name(), " is gone from the source, and with it the changes since ",
                                   flow_.checkpoint().lsn(), ": every table is to be copied again."),
                      backfill);
  }
  if (slot_.wal_status() != "lost" && slot_.invalidation_reason().empty()) return false;
  const std::string reason =
      slot_.invalidation_reason().empty() ? "" : absl::StrCat(" (", slot_.invalidation_reason(), ")");
  return Say("slot_lost", slot_.name(),
             absl::StrCat("Slot ", slot_.name(), " is lost", reason,
                          ": the source has given up WAL that the flow needs, and every table is to be copied again."),
             backfill);
}

bool Explainer::Gate() {
  return !facts_.ddl.empty() && flow_.state() == v1::FLOW_STATE_PAUSED && SayGate("A gate holds the flow", Kept());
}

bool Explainer::SayGate(std::string_view what, std::string_view cost) {
  const DdlEvent& event = facts_.ddl.front();
  std::string_view next = "approve";
  if (event.status == DdlStatus::kApproved || event.status == DdlStatus::kFailed) next = "apply";
  const std::string error = event.error.empty() ? "" : absl::StrCat(", whose last try ended with: ", event.error);
  return Say("gate", absl::StrCat(event.id),
             absl::StrCat(what, ": schema change ", event.id, " of table ", event.table, " is ",
                          DdlStatusName(event.status), error, cost, "."),
             absl::StrCat("wallaby-admin ddl ", next, " -id ", event.id));
}

// With scope table the flow runs.
bool Explainer::HeldTables() {
  if (facts_.ddl.empty() || flow_.held_tables().empty()) return false;
  const int others = flow_.held_tables_size() - 1;
  const std::string more = others == 0 ? "" : absl::StrCat(" and ", others, others == 1 ? " other" : " others");
  return SayGate(absl::StrCat("A gate holds table ", flow_.held_tables(0).table(), more, ", while the others go on"),
                 absl::StrCat("; changes wait since ", flow_.held_tables(0).lsn()));
}

// A reason that ends with the commands that help; else to start it again.
std::string Explainer::Remedy(const std::string& reason) const {
  const size_t at = std::min(reason.find("wallaby-worker "), reason.find("wallaby-admin "));
  if (at == reason.npos) return Admin("flow start");
  const std::string commands = reason.substr(at);
  return absl::StrContains(commands, "-mode backfill") ? absl::StrCat(commands, "; ", Admin("flow start")) : commands;
}

bool Explainer::NoWorker() {
  const std::string state(FlowStateName(FlowStateFromProto(flow_.state())));
  const std::string& why = flow_.reason().empty() ? flow_.error() : flow_.reason();
  const std::string reason = why.empty() ? "" : absl::StrCat(" (", why, ")");
  if (flow_.state() == v1::FLOW_STATE_PAUSED) {
    return Say("paused", "", absl::StrCat("Nothing is delivered, because the flow is paused", reason, Kept(), "."),
               Admin("flow resume"));
  }
  if (flow_.state() != v1::FLOW_STATE_RUNNING && !facts_.worker_reports) {
    return Say("no_worker", "", absl::StrCat("No worker runs, because the flow is ", state, reason, Kept(), "."),
               Remedy(why));
  }
  if (facts_.worker_reports) return false;
  const std::string activity = flow_.activity().empty() ? "" : absl::StrCat(" (", flow_.activity(), ")");
  return Say("no_worker", "",
             absl::StrCat("The flow is ", state, ", but no worker has told about itself lately", activity, Kept(), "."),
             Admin("flow get"));
}

// An attempt's error begins with the destination that it is of.
bool Explainer::Failing() {
  if (facts_.failing <= absl::ZeroDuration() || flow_.error().empty()) return false;
  const std::string since =
      absl::StrCat("attempts fail for ", Seconds(facts_.failing), " now, the last with: ", flow_.error());
  for (const v1::Endpoint& destination : flow_.destinations()) {
    if (!absl::StrContains(flow_.error(), absl::StrCat("destination ", destination.name(), ":"))) continue;
    return Say("destination", destination.name(),
               absl::StrCat("Destination ", destination.name(), " does not take what arrives: ", since));
  }
  return Say("source", flow_.source().name(), absl::StrCat("The flow cannot be run: ", since));
}

bool Explainer::SourceAway() {
  return !slot_.error().empty() &&
         Say("source", flow_.source().name(),
             absl::StrCat("The source does not tell how far the flow is: ", slot_.error()), Admin("doctor"));
}

bool Explainer::Snapshot() {
  const auto due = std::count_if(flow_.tables().begin(), flow_.tables().end(),
                                 [](const v1::TableProgress& table) { return table.state() != "done"; });
  return due > 0 && Say("snapshot", "",
                        absl::StrCat("The first copy is under way: ", due, " of ", flow_.tables_size(),
                                     due == 1 ? " tables is" : " tables are", " not done, and changes wait for it."));
}

bool Explainer::SlowDestination() {
  if (facts_.destinations.empty()) return false;
  const auto weight = [](const DestinationWait& wait) {
    return std::pair(wait.busy >= kStuck ? wait.busy : absl::ZeroDuration(), wait.queued_bytes);
  };
  const DestinationWait& worst = *std::max_element(facts_.destinations.begin(), facts_.destinations.end(),
                                                   [&](const auto& a, const auto& b) { return weight(a) < weight(b); });
  if (worst.busy >= kStuck) {
    return Say("destination", worst.name,
               absl::StrCat("Destination ", worst.name, " has been at one write for ", Seconds(worst.busy), ", with ",
                            Bytes(worst.queued_bytes), " waiting behind it."));
  }
  // Half of the queue: more is let in only as fast as the destination takes it.
  if (worst.queued_bytes == 0 || worst.queued_bytes * 2 < worst.queue_limit_bytes) return false;
  return Say("destination", worst.name,
             absl::StrCat("Destination ", worst.name, " is slower than what arrives: ", Bytes(worst.queued_bytes),
                          " of at most ", Bytes(worst.queue_limit_bytes), " wait for it."));
}

// A destination that goes at its own pace holds nobody else.
bool Explainer::FailingLane() {
  for (const v1::DestinationStatus& lane : flow_.destination_status()) {
    if (lane.role() != "secondary" || lane.error().empty()) continue;
    const bool failed = lane.state() == "failed";
    return Say("destination", lane.name(),
               absl::StrCat("Destination ", lane.name(), " does not take what arrives, while the others go on: ",
                            failed ? "it is given up until the flow's next start" : "it is tried again",
                            ", the last try ended with: ", lane.error()),
               failed ? absl::StrCat(Admin("flow pause"), "; ", Admin("flow resume")) : "");
  }
  return false;
}

bool Explainer::LaneBehind() {
  const v1::DestinationStatus* worst = nullptr;
  for (const v1::DestinationStatus& lane : flow_.destination_status()) {
    if (lane.role() != "secondary" || lane.lag().bytes() < kSmallLag || lane.lag().seconds() == 0) continue;
    if (worst == nullptr || lane.lag().bytes() > worst->lag().bytes()) worst = &lane;
  }
  return worst != nullptr && Say("destination", worst->name(),
                                 absl::StrCat("Destination ", worst->name(), " is ", Bytes(worst->lag().bytes()),
                                              " behind while the others go on: ", worst->state(), "."));
}

bool Explainer::Decoding() {
  if (!slot_.has_sender() || slot_.sender().unsent_bytes() < kSmallLag) return false;
  return Say("decoding", absl::StrCat("pid ", slot_.sender().pid()),
             absl::StrCat("The source is still decoding: its process ", slot_.sender().pid(), " (",
                          slot_.sender().state(), ") has ", Bytes(slot_.sender().unsent_bytes()),
                          " of WAL before it, and the worker waits for what it sends."));
}

bool Explainer::Network() {
  if (!slot_.has_sender() || slot_.sender().unreceived_bytes() < kSmallLag) return false;
  return Say("network", "",
             absl::StrCat("Between source and worker: ", Bytes(slot_.sender().unreceived_bytes()),
                          " were sent and are not received; the network or the worker's machine is busy."));
}

bool Explainer::OnTheWay() {
  const bool behind = flow_.lag().bytes() >= kSmallLag && flow_.lag().seconds() != 0;
  if (!behind) return false;
  if (!flow_.activity().empty() && flow_.activity() != "streaming") {
    return Say(
        "worker", "",
        absl::StrCat("The worker is on its way, ", Bytes(flow_.lag().bytes()), " behind: ", flow_.activity(), "."));
  }
  return Say("worker", "",
             absl::StrCat("The worker is on its way: ", Bytes(flow_.lag().bytes()),
                          " are read and not confirmed yet, and no destination stands out."));
}

bool Explainer::Held() {
  if (slot_.holders().empty()) return false;
  if (HeldBytes(slot_) < kSegment) return false;
  const v1::SlotHolder& holder = slot_.holders(0);
  return Say("transaction", holder.pid() > 0 ? absl::StrCat("pid ", holder.pid()) : holder.gid(),
             absl::StrCat("Nothing lags, but the slot keeps ", Bytes(slot_.retained_bytes()),
                          " of WAL because of a transaction that is open at the source: ", holder.sentence(), "."),
             holder.sql());
}

// Empty: there is room, or no spool. The worker's activity says who has filled it.
std::string Explainer::FullText() const {
  if (!flow_.has_spool() || flow_.spool().full_in_seconds() != 0) return "";
  const size_t at = flow_.activity().find(kSpoolIsFull);
  const std::string who =
      at == std::string::npos ? "" : absl::StrCat(" (", flow_.activity().substr(at + kSpoolIsFull.size()), ")");
  return absl::StrCat("The spool is full", who, ": the slot is read no further until there is room in it");
}

// The source is not decoding then, whatever it has before it.
bool Explainer::SpoolIsFull() {
  const std::string text = FullText();
  return !text.empty() && slot_.sender().unsent_bytes() + slot_.sender().unreceived_bytes() >= kSmallLag &&
         Say("spool", "", absl::StrCat(text, Kept(), "."));
}

// Whatever the lag is about, this is what it costs the source.
void Explainer::FullSpool() {
  const std::string text = out_.where() == "spool" ? "" : FullText();
  if (!text.empty()) absl::StrAppend(out_.mutable_sentence(), " ", text, ".");
}

// What is delivered into a stream is not read yet.
void Explainer::SlowReader() {
  if (flow_.stream_readers().empty()) return;
  const v1::StreamReader& worst = flow_.stream_readers(0);
  if (absl::Seconds(worst.lag_seconds()) < kUnread) return;
  absl::StrAppend(out_.mutable_sentence(), " Consumer group ", worst.consumer_group(), " of stream ", worst.stream(),
                  " has not acknowledged ", worst.lag_messages(), " messages, the oldest for ",
                  Seconds(absl::Seconds(worst.lag_seconds())), ".");
  if (out_.where() == "nothing") out_.set_remedy(absl::StrCat("wallaby-admin stream groups -stream ", worst.stream()));
}

bool Explainer::Nothing() {
  if (!flow_.has_checkpoint() || flow_.checkpoint().lsn().empty()) {
    const std::string activity = flow_.activity().empty() ? "" : absl::StrCat(": ", flow_.activity());
    return Say("worker", "",
               absl::StrCat("Nothing is delivered yet: the flow has no place in the source's changes so far, and its "
                            "worker is at the start",
                            activity, "."),
               Admin("flow get"));
  }
  return Say("nothing", "", "Nothing lags: what is committed at the source is delivered.");
}

}  // namespace

absl::Status ReadLoads(const std::string& metrics, LagFacts* facts) {
  ASSIGN_OR_RETURN(const std::vector<MetricFamily> families, DecodeMetrics(metrics));
  const auto wait_of = [&](const MetricSample& sample) -> DestinationWait& {
    std::string name;
    for (const auto& [label, value] : sample.labels) {
      if (label == "destination") name = value;
    }
    for (DestinationWait& wait : facts->destinations) {
      if (wait.name == name) return wait;
    }
    return facts->destinations.emplace_back(DestinationWait{.name = name});
  };
  for (const MetricFamily& family : families) {
    for (const MetricSample& sample : family.samples) {
      if (family.def == &kWorkerFailing) facts->failing = absl::Seconds(sample.value);
      if (family.def == &kDestinationQueue) wait_of(sample).queued_bytes = static_cast<int64_t>(sample.value);
      if (family.def == &kDestinationQueueLimit) wait_of(sample).queue_limit_bytes = static_cast<int64_t>(sample.value);
      if (family.def == &kDestinationBusy) wait_of(sample).busy = absl::Seconds(sample.value);
    }
  }
  return absl::OkStatus();
}

v1::LagExplanation ExplainLag(const LagFacts& facts) {
  return Explainer(facts).Explain();
}

}  // namespace wallaby
