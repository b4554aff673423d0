// Flow: one source, its destinations and the policies between them, as a user defines it.
#ifndef WALLABY_FLOW_FLOW_H_
#define WALLABY_FLOW_FLOW_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "base/wire_format.h"

namespace wallaby {

using Options = std::map<std::string, std::string>;

struct Endpoint {
  std::string name;
  std::string type;  // lower case, as in the flow file: "postgres", "duckdb"
  Options options;

  friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

// Values are those of the wire contract's enums; 0 is unspecified.
enum class AckPolicy { kUnspecified = 0, kAll = 1, kPrimary = 2 };
enum class FailureMode { kUnspecified = 0, kHoldSlot = 1, kDropSlot = 2 };
enum class GiveUpPolicy { kUnspecified = 0, kNever = 1, kOnRetryExhaustion = 2 };
enum class FlowState {
  kUnspecified = 0,
  kCreated = 1,
  kRunning = 2,
  kPaused = 3,
  kStopping = 4,
  kFailed = 5,
  kStopped = 6
};

// What waits at a gate.
enum class DdlScope {
  kUnspecified = 0,  // the flow
  kFlow = 1,
  kTable = 2,   // the altered table; the others flow on
  kLinked = 3,  // the altered table and all that foreign keys link it to, directly or over others
};

struct DdlPolicy {
  std::optional<bool> gate;
  std::optional<bool> auto_approve;
  std::optional<bool> auto_apply;
  DdlScope scope = DdlScope::kUnspecified;

  friend bool operator==(const DdlPolicy&, const DdlPolicy&) = default;
};

struct FlowConfig {
  AckPolicy ack_policy = AckPolicy::kUnspecified;  // unspecified: all
  std::string primary_destination;
  FailureMode failure_mode = FailureMode::kUnspecified;      // unspecified: hold_slot
  GiveUpPolicy give_up_policy = GiveUpPolicy::kUnspecified;  // unspecified: never
  DdlPolicy ddl;

  friend bool operator==(const FlowConfig&, const FlowConfig&) = default;
};

struct Flow {
  std::string id;
  std::string name;
  Endpoint source;
  std::vector<Endpoint> destinations;
  WireFormat wire_format = WireFormat::kUnspecified;
  int32_t parallelism = 0;  // 0: default
  FlowConfig config;

  friend bool operator==(const Flow&, const Flow&) = default;
};

// "running" and back; the same names in the flow file, on the command line and in the store.
std::string_view FlowStateName(FlowState state);
absl::StatusOr<FlowState> ParseFlowState(std::string_view name);

// True in the states in which a flow delivers nothing and its slot is read into the spool, where there is one: paused
// and failed. A stopped flow has nobody.
bool IsSpooled(FlowState state);

// ---- flow file ----
// JSON or YAML by content. INVALID_ARGUMENT names the key and the line where the parser gives one.
absl::StatusOr<Flow> ParseFlow(std::string_view text);
// JSON that ParseFlow reads back to an equal flow; what the store keeps.
std::string FlowToJson(const Flow& flow);

// Every check that needs no connection: known types and options, values, names, policies that fit together. Fills
// nothing in. The error names the option and what is allowed.
absl::Status ValidateFlow(const Flow& flow);

// A copy that may be shown: passwords and tokens replaced by "******", DSNs kept but for their password.
Flow Redacted(const Flow& flow);
// A DSN (URI or key=value) without its password.
std::string RedactDsn(std::string_view dsn);
// True when a secret stands in the flow in clear, as far as names tell. Redacted() hides more: all values in the query
// of an http URL.
bool HoldsSecret(const Flow& flow);
// For updates made from a redacted copy: puts the secrets of `stored` back wherever `update` still shows the mask.
// A DSN or an endpoint that now names another server, or trusts it for another reason, keeps the mask, which
// ValidateFlow refuses: who may change a flow but not see its password must not be able to send it elsewhere. Endpoints
// are matched by name.
void RestoreSecrets(const Flow& stored, Flow* update);

// ---- lifecycle ----
// The state after a request, or FAILED_PRECONDITION with the current state and what is allowed from it. A request whose
// end is reached already (start of a running flow, pause of a paused one) returns the current state. kDelete and
// kUpdate return the current state; kRunOnce returns running. kStop gives stopping; it is the end of the worker that
// makes it stopped. Reasons are not looked at: a flow that is paused for a DDL event must be refused by the caller.
enum class FlowRequest { kStart, kPause, kStop, kResume, kDelete, kUpdate, kRunOnce };
absl::StatusOr<FlowState> NextState(FlowState current, FlowRequest request);

}  // namespace wallaby

#endif  // WALLABY_FLOW_FLOW_H_
