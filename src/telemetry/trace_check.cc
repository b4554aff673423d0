#include "telemetry/trace_check.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/lsn.h"
#include "base/status.h"
#include "nlohmann/json.hpp"
#include "telemetry/trace_events.h"

namespace wallaby {
namespace {

using nlohmann::json;

// In CrashRestore: the end of what each destination holds.
constexpr std::string_view kDestinationPrefix = "destination.";

template <typename... Parts>
absl::Status Broken(const Parts&... parts) {
  return absl::FailedPreconditionError(absl::StrCat(parts...));
}

absl::StatusOr<Lsn> ReadLsn(const json& text, std::string_view name) {
  if (!text.is_string()) return absl::InvalidArgumentError(absl::StrCat(name, " is not text"));
  const auto lsn = Lsn::Parse(text.get<std::string>());
  return lsn.ok() ? lsn : Annotate(lsn.status(), name);
}

}  // namespace

struct TraceChecker::Event {
  std::string flow_id;
  std::string action;
  int64_t generation = 0;
  Lsn lsn;
  std::string destination;              // Deliver
  std::map<std::string, Lsn> restored;  // CrashRestore
  bool backfill = false;                // CrashRestore
};

struct TraceChecker::FlowModel {
  int64_t generation = 0;
  std::map<std::string, Lsn> delivered;  // by destination
  std::set<Lsn> read;                    // in this attempt, and not yet known to be delivered everywhere
  Lsn last_read;
  Lsn checkpoint;
  Lsn acknowledged;
  std::optional<Lsn> gate;

  // What is delivered everywhere needs no watching any more.
  void ForgetDelivered() {
    if (delivered.empty()) return;
    Lsn least{UINT64_MAX};
    for (const auto& [name, end] : delivered) least = std::min(least, end);
    read.erase(read.begin(), read.upper_bound(least));
  }

  absl::Status Restore(const Event& event);
  absl::Status ReadBatch(const Event& event);
  absl::Status Deliver(const Event& event);
  absl::Status Checkpoint(const Event& event);
  absl::Status Acknowledge(const Event& event);
};

absl::Status TraceChecker::FlowModel::Restore(const Event& event) {
  if (!event.backfill) {
    if (event.lsn < acknowledged) {
      return Broken("the checkpoint found, ", event.lsn.ToString(), ", is before ", acknowledged.ToString(),
                    ", which the source was told to forget");
    }
    for (const auto& [name, end] : delivered) {
      const auto found = event.restored.find(name);
      if (found != event.restored.end() && found->second < end) {
        return Broken("destination ", name, " holds changes up to ", found->second.ToString(), ", but ", end.ToString(),
                      " was delivered there");
      }
    }
  }
  delivered = event.restored;
  checkpoint = event.lsn;
  if (event.backfill) acknowledged = std::min(acknowledged, checkpoint);
  read.clear();
  last_read = {};
  return absl::OkStatus();
}

absl::Status TraceChecker::FlowModel::ReadBatch(const Event& event) {
  if (!event.lsn.valid()) return absl::OkStatus();  // part of a transaction, or of a table's copy
  if (event.lsn < last_read) {
    return Broken("read ", event.lsn.ToString(), " after ", last_read.ToString(), ": reading went back");
  }
  last_read = event.lsn;
  read.insert(event.lsn);
  ForgetDelivered();
  return absl::OkStatus();
}

absl::Status TraceChecker::FlowModel::Deliver(const Event& event) {
  if (!event.lsn.valid()) return absl::OkStatus();  // parts of a table's copy
  if (event.destination.empty()) return absl::InvalidArgumentError("Deliver without a destination");
  if (gate.has_value() && event.lsn > *gate) {
    return Broken("delivered ", event.lsn.ToString(), " to ", event.destination, " past the gate at ", gate->ToString(),
                  " before the flow was resumed");
  }
  Lsn& end = delivered[event.destination];
  if (event.lsn < end) {
    return Broken("delivered ", event.lsn.ToString(), " to ", event.destination, " after ", end.ToString(),
                  ": delivery went back");
  }
  end = event.lsn;
  ForgetDelivered();
  return absl::OkStatus();
}

absl::Status TraceChecker::FlowModel::Checkpoint(const Event& event) {
  if (event.lsn < checkpoint) {
    return Broken("checkpoint ", event.lsn.ToString(), " after ", checkpoint.ToString(), ": the checkpoint went back");
  }
  if (gate.has_value() && event.lsn > *gate) {
    return Broken("checkpoint ", event.lsn.ToString(), " is past the gate at ", gate->ToString(),
                  " before the flow was resumed");
  }
  if (!read.empty() && *read.begin() <= event.lsn) {
    for (const auto& [name, end] : delivered) {
      if (end < *read.begin()) {
        return Broken("checkpoint ", event.lsn.ToString(), " passes ", read.begin()->ToString(),
                      ", which is not delivered to ", name, " (", end.ToString(), " is)");
      }
    }
    if (delivered.empty()) {
      return Broken("checkpoint ", event.lsn.ToString(), " passes ", read.begin()->ToString(),
                    ", which is delivered nowhere");
    }
  }
  checkpoint = event.lsn;
  return absl::OkStatus();
}

absl::Status TraceChecker::FlowModel::Acknowledge(const Event& event) {
  if (event.lsn > checkpoint) {
    return Broken("acknowledged ", event.lsn.ToString(), ", but the checkpoint is ", checkpoint.ToString());
  }
  if (event.generation < generation) return absl::OkStatus();
  if (event.lsn < acknowledged) {
    return Broken("acknowledged ", event.lsn.ToString(), " after ", acknowledged.ToString(),
                  ": the acknowledgement went back");
  }
  acknowledged = event.lsn;
  return absl::OkStatus();
}

TraceChecker::TraceChecker() = default;
TraceChecker::~TraceChecker() = default;

absl::Status TraceChecker::Add(std::string_view line) {
  const json in = json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!in.is_object()) return absl::InvalidArgumentError("is not a JSON object");
  Event event;
  for (const auto& [name, text] : {std::pair{"flow_id", &event.flow_id}, {"spec_action", &event.action}}) {
    const auto found = in.find(name);
    if (found == in.end() || !found->is_string()) return absl::InvalidArgumentError(absl::StrCat("has no ", name));
    *text = found->get<std::string>();
  }
  const auto generation = in.find("generation");
  if (generation == in.end() || !generation->is_number_integer()) {
    return absl::InvalidArgumentError("has no generation");
  }
  event.generation = generation->get<int64_t>();
  if (const auto lsn = in.find("lsn"); lsn != in.end()) {
    ASSIGN_OR_RETURN(event.lsn, ReadLsn(*lsn, "lsn"));
  }
  for (const auto& [name, value] : in.items()) {
    if (!name.starts_with(kDestinationPrefix)) continue;
    ASSIGN_OR_RETURN(event.restored[name.substr(kDestinationPrefix.size())], ReadLsn(value, name));
  }
  if (const auto name = in.find("destination"); name != in.end() && name->is_string()) {
    event.destination = name->get<std::string>();
  }
  event.backfill = in.contains("mode") && in["mode"] == "backfill";
  ++counts_[event.action];
  std::unique_ptr<FlowModel>& flow = flows_[event.flow_id];
  if (flow == nullptr) flow = std::make_unique<FlowModel>();
  return Check(event, flow.get());
}

absl::Status TraceChecker::Check(const Event& event, FlowModel* flow) {
  const std::string_view action = event.action;
  if (action == spec::kResume) {
    flow->gate.reset();
    return absl::OkStatus();
  }
  if (action == spec::kAcknowledge) return flow->Acknowledge(event);
  if (event.generation < flow->generation) {
    if (action == spec::kStart || action == spec::kCrashRestore) {
      return Broken("generation ", event.generation, " begins after ", flow->generation, ": generations went back");
    }
    return absl::OkStatus();
  }
  flow->generation = event.generation;
  if (action == spec::kCrashRestore) return flow->Restore(event);
  if (action == spec::kReadBatch) return flow->ReadBatch(event);
  if (action == spec::kDeliver) return flow->Deliver(event);
  if (action == spec::kCheckpoint) return flow->Checkpoint(event);
  if (action == spec::kReadDdl) {
    if (!flow->gate.has_value() || event.lsn < *flow->gate) flow->gate = event.lsn;
    return absl::OkStatus();
  }
  if (action == spec::kStart || action == spec::kPause || action == spec::kStop) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("has an action that the model does not have: '", action, "'"));
}

absl::StatusOr<TraceSummary> CheckTrace(std::istream& in) {
  TraceChecker checker;
  TraceSummary summary;
  std::string line;
  for (int64_t number = 1; std::getline(in, line); ++number) {
    if (line.empty()) continue;
    const absl::Status status = checker.Add(line);
    if (!status.ok()) return absl::Status(status.code(), absl::StrCat("line ", number, ": ", status.message()));
    ++summary.events;
  }
  summary.flows = checker.flows();
  summary.counts = checker.counts();
  return summary;
}

}  // namespace wallaby
