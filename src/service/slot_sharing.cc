#include "service/slot_sharing.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status.h"
#include "pipeline/checkpoint_keys.h"
#include "postgres/connection.h"
#include "service/flow_doctor.h"
#include "service/source_access.h"
#include "store/for_each_flow.h"

namespace wallaby {
namespace {

absl::StatusOr<std::vector<StoredFlow>> OtherFlows(const std::string& flow_id, ControlStore& store) {
  std::vector<StoredFlow> flows;
  RETURN_IF_ERROR(ForEachFlow(store, [&](const StoredFlow& stored) {
    if (stored.flow.id != flow_id) flows.push_back(stored);
    return absl::OkStatus();
  }));
  return flows;
}

std::string OptionOf(const Flow& flow, const std::string& name) {
  const auto found = flow.source.options.find(name);
  return found == flow.source.options.end() ? "" : found->second;
}

// Where one of the DSNs cannot be followed here, the same text leads to the same server.
bool SameSlot(const Flow& a, const Flow& b) {
  if (OptionOf(a, "slot") != OptionOf(b, "slot")) return false;
  if (OptionOf(a, "dsn") == OptionOf(b, "dsn")) return true;
  const auto source_a = OptionsOfSource(a);
  const auto source_b = OptionsOfSource(b);
  if (!source_a.ok() || !source_b.ok()) return false;
  const std::string server = ServerOfDsn(source_a->dsn);
  return !server.empty() && server == ServerOfDsn(source_b->dsn);
}

}  // namespace

absl::StatusOr<std::vector<StoredFlow>> FlowsOnSlotOf(const Flow& flow, ControlStore& store) {
  ASSIGN_OR_RETURN(std::vector<StoredFlow> flows, OtherFlows(flow.id, store));
  std::erase_if(flows, [&](const StoredFlow& stored) { return !SameSlot(flow, stored.flow); });
  return flows;
}

absl::Status CheckSharedPublication(const Flow& flow, ControlStore& store) {
  ASSIGN_OR_RETURN(const std::vector<StoredFlow> flows, FlowsOnSlotOf(flow, store));
  const std::string publication = OptionOf(flow, "publication");
  for (const StoredFlow& stored : flows) {
    const std::string other = OptionOf(stored.flow, "publication");
    if (other == publication) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "option publication of source '", flow.source.name, "': got '", publication, "'; flow '", stored.flow.id,
        "' reads slot ", OptionOf(flow, "slot"), " with the publication '", other,
        "', and flows on one slot read the same; name that publication (the options tables and schemas say what a flow "
        "carries of it), or another slot"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<StoredFlow>> FlowsThatNeedSlot(const Flow& flow, const std::string& system_identifier,
                                                          const std::string& slot, ControlStore& store,
                                                          ControlStore& checkpoints) {
  ASSIGN_OR_RETURN(const std::vector<StoredFlow> flows, OtherFlows(flow.id, store));
  std::vector<StoredFlow> needing;
  for (const StoredFlow& stored : flows) {
    if (OptionOf(stored.flow, "slot") != slot) continue;
    ASSIGN_OR_RETURN(const std::optional<Checkpoint> checkpoint, checkpoints.GetCheckpoint(stored.flow.id));
    const auto is = [&](const char* key, const std::string& value) {
      const auto found = checkpoint->metadata.find(key);
      return found != checkpoint->metadata.end() && found->second == value;
    };
    const bool reads = SameSlot(flow, stored.flow) || (checkpoint && !system_identifier.empty() &&
                                                       is(kSystemKey, system_identifier) && is(kSlotKey, slot));
    if (reads && (checkpoint || HasWorker(stored.state))) needing.push_back(stored);
  }
  return needing;
}

std::string IdsOf(const std::vector<StoredFlow>& flows) {
  return absl::StrJoin(
      flows, ", ", [](std::string* out, const StoredFlow& stored) { absl::StrAppend(out, "'", stored.flow.id, "'"); });
}

}  // namespace wallaby
