// Tables that wait for a schema change while their flow goes on (config.ddl.scope). What has come for them since lies
// in the flow's spool. Those that wait from one transaction on are a group: they are let go, and caught up, together.
#ifndef WALLABY_PIPELINE_TABLE_HOLDS_H_
#define WALLABY_PIPELINE_TABLE_HOLDS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/lsn.h"
#include "flow/ddl_event.h"
#include "store/control_store.h"

namespace wallaby {

struct HeldGroup {
  Lsn from;
  std::vector<TableHold> tables;
  std::vector<DdlEvent> events;  // of the transaction at `from`

  // Nothing holds them any more.
  bool settled() const;
  bool Has(uint32_t oid) const;
  std::string Names() const;
};

// In order of `from`.
absl::StatusOr<std::vector<HeldGroup>> HeldGroups(ControlStore& store, const std::string& flow_id);

// The name under which destinations keep how far the group's tables are.
std::string GroupIdentity(const std::string& flow_id, Lsn from);

}  // namespace wallaby

#endif  // WALLABY_PIPELINE_TABLE_HOLDS_H_
