#include "pipeline/table_holds.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status.h"
#include "pipeline/ddl_apply.h"

namespace wallaby {

bool HeldGroup::settled() const {
  return std::all_of(events.begin(), events.end(), IsSettled);
}

bool HeldGroup::Has(uint32_t oid) const {
  return std::any_of(tables.begin(), tables.end(), [oid](const TableHold& hold) { return hold.oid == oid; });
}

std::string HeldGroup::Names() const {
  return absl::StrJoin(tables, ", ", [](std::string* out, const TableHold& hold) { out->append(hold.table); });
}

absl::StatusOr<std::vector<HeldGroup>> HeldGroups(ControlStore& store, const std::string& flow_id) {
  std::vector<HeldGroup> groups;
  ASSIGN_OR_RETURN(const std::vector<TableHold> holds, store.TableHolds(flow_id));
  if (holds.empty()) return groups;
  for (const TableHold& hold : holds) {
    if (groups.empty() || groups.back().from != hold.from) groups.push_back({.from = hold.from});
    groups.back().tables.push_back(hold);
  }
  ASSIGN_OR_RETURN(const std::vector<DdlEvent> events, store.ListDdl(flow_id, {}));
  for (const DdlEvent& event : events) {
    for (HeldGroup& group : groups) {
      if (group.from == event.lsn) group.events.push_back(event);
    }
  }
  return groups;
}

std::string GroupIdentity(const std::string& flow_id, Lsn from) {
  return absl::StrCat(flow_id, "/", from.ToString());
}

}  // namespace wallaby
