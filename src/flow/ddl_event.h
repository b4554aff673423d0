// DdlEvent: one schema change of a flow's source on its way to the destinations.
//
//   pending -> approved -> applying -> applied
//   pending -> rejected (may still be approved)     applying -> failed -> applying
#ifndef WALLABY_FLOW_DDL_EVENT_H_
#define WALLABY_FLOW_DDL_EVENT_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/lsn.h"
#include "change/schema_change.h"
#include "flow/flow.h"

namespace wallaby {

// The reason of a flow that is paused for one.
inline constexpr std::string_view kDdlPending = "ddl_pending";

enum class DdlStatus { kPending, kApproved, kApplying, kApplied, kRejected, kFailed };

// "pending" and back; the same names in the store, on the wire and on the command line.
std::string_view DdlStatusName(DdlStatus status);
absl::StatusOr<DdlStatus> ParseDdlStatus(std::string_view name);

// That a destination has followed.
struct DdlReceipt {
  std::string destination;
  absl::Time at;
};

struct DdlEvent {
  int64_t id = 0;  // given by the store
  std::string flow_id;
  // Identity within the flow: commit LSN of the transaction and the event's ordinal among the transaction's.
  Lsn lsn;
  int32_t ordinal = 0;
  std::string ddl;    // the command as somebody typed it, or what was seen where nobody told
  std::string table;  // "schema.name" after the change
  DdlStatus status = DdlStatus::kPending;
  bool gated = false;  // the flow paused for it
  std::string plan;    // JSON, see PlanToJson
  std::string error;   // of the last try to apply it
  std::vector<DdlReceipt> receipts;
  absl::Time created_at;
};

// The plan as JSON: {"table", "steps": [{"step", ...}], "copy", "destinations": {NAME: [STATEMENT]}, "before",
// "after"}.
std::string PlanToJson(const SchemaChange& change, const std::map<std::string, std::vector<std::string>>& statements);
// The change in a plan. DATA_LOSS when it cannot be read.
absl::StatusOr<SchemaChange> ChangeFromPlan(std::string_view plan);

std::string ShapeToJson(const TableShape& shape);
absl::StatusOr<TableShape> ShapeFromJson(std::string_view json);

// What a flow does about DDL: its own settings over the server's, and the defaults that hang together.
struct EffectiveDdlPolicy {
  bool gate = false;
  bool auto_approve = true;
  bool auto_apply = true;
  DdlScope scope = DdlScope::kFlow;

  // Whether an event that is not applied by itself stops the flow.
  bool pauses() const { return gate && !(auto_approve && auto_apply); }
  // Whether it stops its tables only.
  bool holds_tables() const { return pauses() && scope != DdlScope::kFlow; }
};
EffectiveDdlPolicy ResolveDdlPolicy(const DdlPolicy& flow, const DdlPolicy& settings);
// INVALID_ARGUMENT for a scope that needs what is not there: a gate, and a spool for what waits.
absl::Status CheckDdlScope(const EffectiveDdlPolicy& policy, bool has_spool);

}  // namespace wallaby

#endif  // WALLABY_FLOW_DDL_EVENT_H_
