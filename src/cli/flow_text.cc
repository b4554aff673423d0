#include "cli/flow_text.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/render.h"
#include "flow/flow.h"
#include "service/flow_convert.h"
#include "service/slot_convert.h"

namespace wallaby {
namespace {

std::string EndpointText(const v1::Endpoint& endpoint) {
  const std::string_view type = EndpointTypeName(endpoint.type());
  const std::string_view shown = type.empty() ? "unknown type" : type;
  return endpoint.name().empty() ? std::string(shown) : absl::StrCat(endpoint.name(), " (", shown, ")");
}

std::string ActiveText(const v1::SlotStatus& slot) {
  if (!slot.error().empty()) return absl::StrCat("unknown: ", slot.error());
  if (!slot.exists()) return "no, it does not exist";
  if (!slot.active()) return "no";
  return slot.active_pid() > 0 ? absl::StrCat("yes (pid ", slot.active_pid(), ")") : "yes";
}

std::string RetainedText(const v1::SlotStatus& slot) {
  if (!slot.error().empty() || !slot.exists()) return std::string(kNothing);
  std::string text = SizeText(slot.retained_bytes());
  if (!slot.wal_status().empty() && slot.wal_status() != "reserved") absl::StrAppend(&text, ", ", slot.wal_status());
  if (!slot.invalidation_reason().empty()) absl::StrAppend(&text, ", invalid: ", slot.invalidation_reason());
  return text;
}

// The retained WAL's rate, and how much more of it the source bears.
std::string LimitText(const v1::SlotStatus& slot) {
  if (!slot.error().empty() || !slot.exists() || slot.keep_limit_bytes() == 0) return "";
  std::string text = slot.keep_limit_bytes() < 0 ? std::string("none")
                                                 : absl::StrCat(SizeText(slot.keep_limit_bytes()), ", ",
                                                                SizeText(slot.safe_wal_bytes()), " left");
  if (slot.has_growth())
    absl::StrAppend(&text, slot.growth() < 0
                               ? ", shrinking"
                               : absl::StrCat(", growing by ", SizeText(static_cast<int64_t>(slot.growth())), "/s"));
  if (slot.seconds_to_limit() >= 0) absl::StrAppend(&text, ", reached in ", SecondsText(slot.seconds_to_limit()));
  return text;
}

// What else decides over the slot, where there is something to tell.
void AddSlotOutlook(const v1::SlotStatus& slot, Fields* fields) {
  constexpr int64_t kSegment = 16 << 20;  // less than that is kept in any case
  if (const std::string limit = LimitText(slot); !limit.empty()) fields->Add("WAL limit", limit);
  if (!slot.disk().empty()) fields->Add("source's disk", slot.disk());
  if (HeldBytes(slot) >= kSegment && !slot.holders().empty()) fields->Add("held by", slot.holders(0).sentence());
  if (slot.failover()) fields->Add("failover slot", slot.synced() ? "yes, a standby's copy" : "yes");
  if (slot.idle_timeout_seconds() > 0) {
    fields->Add("idle limit",
                absl::StrCat(SecondsText(slot.idle_timeout_seconds()), slot.idle_seconds() < 0 ? "" : ", idle for ",
                             slot.idle_seconds() < 0 ? "" : SecondsText(slot.idle_seconds())));
  }
}

std::string LagText(const v1::Lag& lag) {
  if (lag.bytes() < 0 && lag.seconds() < 0) return std::string(kNothing);
  if (lag.seconds() < 0) return SizeText(lag.bytes());
  if (lag.bytes() < 0) return SecondsText(lag.seconds());
  return absl::StrCat(SizeText(lag.bytes()), ", ", SecondsText(lag.seconds()));
}

std::string LagText(const v1::Flow& flow) {
  return flow.has_lag() ? LagText(flow.lag()) : std::string(kNothing);
}

// "secondary, failing for 3m, at 0/16B3748, lag 2.0 KiB, 181s: ERROR"
std::string DestinationText(const v1::DestinationStatus& status, absl::Time now) {
  std::vector<std::string> parts;
  if (!status.role().empty()) parts.push_back(status.role());
  if (!status.state().empty()) parts.push_back(status.state());
  if (status.failing_since().seconds() > 0) {
    const absl::Duration failing = now - absl::FromUnixSeconds(status.failing_since().seconds());
    parts.push_back(absl::StrCat("for ", SecondsText(std::max(0.0, absl::ToDoubleSeconds(failing)))));
  }
  if (!status.lsn().empty()) parts.push_back(absl::StrCat("at ", status.lsn()));
  if (const std::string lag = LagText(status.lag()); lag != kNothing) parts.push_back(absl::StrCat("lag ", lag));
  const std::string text = parts.empty() ? std::string(kNothing) : absl::StrJoin(parts, ", ");
  return status.error().empty() ? text : absl::StrCat(text, ": ", status.error());
}

// "stream orders, 98 behind, the oldest for 12s, 2 in flight"
std::string ReaderText(const v1::StreamReader& reader) {
  std::string text = absl::StrCat("stream ", reader.stream(), ", ", reader.lag_messages(), " behind");
  if (reader.lag_messages() > 0) absl::StrAppend(&text, ", the oldest for ", SecondsText(reader.lag_seconds()));
  if (reader.in_flight() > 0) absl::StrAppend(&text, ", ", reader.in_flight(), " in flight");
  return text;
}

std::string SpoolText(const v1::SpoolStatus& spool) {
  const std::string behind = spool.behind_bytes() == 0 ? "nothing" : SizeText(spool.behind_bytes());
  std::string text = absl::StrCat(behind, " behind, ", SizeText(spool.size_bytes()), " of ",
                                  spool.limit_bytes() > 0 ? SizeText(spool.limit_bytes()) : "no limit");
  if (spool.full_in_seconds() >= 0) absl::StrAppend(&text, ", full in ", SecondsText(spool.full_in_seconds()));
  return text;
}

std::string HeldText(const v1::Flow& flow) {
  return absl::StrJoin(flow.held_tables(), ", ", [](std::string* out, const v1::HeldTable& table) {
    absl::StrAppend(out, table.table(), " from ", table.lsn());
  });
}

// By rows; where the source has no estimate, by parts.
std::string ProgressText(const v1::TableProgress& table) {
  if (table.state() == "done") return "100%";
  if (table.rows_estimated() <= 0) return PercentText(table.parts_done(), table.parts_total());
  // An estimate: all rows copied does not mean done.
  return PercentText(std::min(table.rows_copied(), table.rows_estimated() - 1), table.rows_estimated());
}

std::string TablesText(const v1::Flow& flow) {
  Table out({"TABLE", "STATE", ">PARTS", ">ROWS", ">DONE"});
  for (const v1::TableProgress& table : flow.tables()) {
    out.Add({table.table(), table.state(),
             table.parts_total() > 0 ? absl::StrCat(table.parts_done(), "/", table.parts_total()) : "",
             absl::StrCat(table.rows_copied()), ProgressText(table)});
  }
  return out.Text();
}

}  // namespace

std::string StateText(v1::FlowState state) {
  const std::string_view name = v1::FlowState_IsValid(state) ? FlowStateName(FlowStateFromProto(state)) : "";
  return name.empty() ? "unknown" : std::string(name);
}

std::string CheckpointText(const v1::Checkpoint& checkpoint) {
  return checkpoint.lsn().empty() ? std::string(kNothing) : checkpoint.lsn();
}

std::string CheckpointAge(const v1::Checkpoint& checkpoint, absl::Time now) {
  if (checkpoint.timestamp_unix_millis() <= 0) return std::string(kNothing);
  const absl::Duration age = now - absl::FromUnixMillis(checkpoint.timestamp_unix_millis());
  // Clocks of two machines.
  return SecondsText(std::max(0.0, absl::ToDoubleSeconds(age)));
}

std::string FlowText(const v1::Flow& flow, absl::Time now) {
  std::vector<std::string> destinations;
  for (const v1::Endpoint& destination : flow.destinations()) destinations.push_back(EndpointText(destination));
  std::string checkpoint = CheckpointText(flow.checkpoint());
  if (flow.checkpoint().timestamp_unix_millis() > 0) {
    absl::StrAppend(&checkpoint, " at ", TimeText(absl::FromUnixMillis(flow.checkpoint().timestamp_unix_millis())),
                    " (", CheckpointAge(flow.checkpoint(), now), " ago)");
  }
  Fields fields;
  fields.Add("id", flow.id());
  fields.Add("name", flow.name());
  fields.Add("state", StateText(flow.state()));
  fields.Add("reason", flow.reason());
  fields.Add("source", EndpointText(flow.source()));
  fields.Add("destinations", absl::StrJoin(destinations, ", "));
  fields.Add("last checkpoint", checkpoint);
  fields.Add("slot name", flow.slot().name());
  fields.Add("slot active", flow.has_slot() ? ActiveText(flow.slot()) : "");
  fields.Add("retained WAL", RetainedText(flow.slot()));
  AddSlotOutlook(flow.slot(), &fields);
  fields.Add("lag", LagText(flow));
  if (flow.has_spool()) fields.Add("spool", SpoolText(flow.spool()));
  fields.Add("pending DDL", absl::StrCat(flow.pending_ddl()));
  if (!flow.held_tables().empty()) fields.Add("held tables", HeldText(flow));
  for (const v1::DestinationStatus& status : flow.destination_status()) {
    if (flow.destination_status_size() > 1)
      fields.Add(absl::StrCat("to ", status.name()), DestinationText(status, now));
  }
  for (const v1::StreamReader& reader : flow.stream_readers()) {
    fields.Add(absl::StrCat("read by ", reader.consumer_group()), ReaderText(reader));
  }
  if (flow.dead_letters() > 0) fields.Add("dead letters", absl::StrCat(flow.dead_letters()));
  fields.Add("activity", flow.activity());
  fields.Add("last error", flow.error());
  const bool copying = std::any_of(flow.tables().begin(), flow.tables().end(),
                                   [](const v1::TableProgress& table) { return table.state() != "done"; });
  return copying ? absl::StrCat(fields.Text(), "\n", TablesText(flow)) : fields.Text();
}

std::string FlowsText(const v1::ListFlowsResponse& flows, absl::Time now) {
  if (flows.flows().empty()) return "There are no flows; make one with `wallaby-admin flow create -file FILE`.\n";
  Table out({"ID", "NAME", "STATE", "LAG", "CHECKPOINT", "AGE", "REASON"});
  for (const v1::Flow& flow : flows.flows()) {
    out.Add({flow.id(), flow.name(), StateText(flow.state()), LagText(flow), CheckpointText(flow.checkpoint()),
             CheckpointAge(flow.checkpoint(), now), flow.reason()});
  }
  return out.Text();
}

std::string FlowLine(const v1::Flow& flow) {
  return absl::StrCat(flow.id(), ": ", StateText(flow.state()),
                      flow.reason().empty() ? "" : absl::StrCat(" (", flow.reason(), ")"), "\n");
}

std::string FindingsText(const v1::ValidateFlowResponse& response) {
  std::string out;
  for (const auto& finding : response.findings()) {
    absl::StrAppend(&out, finding.severity(), ": ", finding.subject(), finding.subject().empty() ? "" : ": ",
                    finding.message(), "\n");
    if (!finding.remedy().empty()) absl::StrAppend(&out, "  remedy: ", finding.remedy(), "\n");
  }
  return absl::StrCat(out, response.valid() ? "The flow is valid.\n" : "The flow is not valid.\n");
}

}  // namespace wallaby
