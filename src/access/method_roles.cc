#include "access/method_roles.h"

#include <algorithm>
#include <iterator>

namespace wallaby {
namespace {

struct Rpc {
  std::string_view path;
  Role role;
  bool changes;
};
constexpr bool kReads = false;
constexpr bool kChanges = true;

// viewer: looks. operator: steers what is defined. admin: defines, and takes away.
constexpr Rpc kRpcs[] = {
    {"/wallaby.v1.FlowService/GetFlow", Role::kViewer, kReads},
    {"/wallaby.v1.FlowService/ListFlows", Role::kViewer, kReads},
    {"/wallaby.v1.FlowService/ExplainLag", Role::kViewer, kReads},
    {"/wallaby.v1.FlowService/StartFlow", Role::kOperator, kChanges},
    {"/wallaby.v1.FlowService/StopFlow", Role::kOperator, kChanges},
    {"/wallaby.v1.FlowService/ResumeFlow", Role::kOperator, kChanges},
    {"/wallaby.v1.FlowService/PauseFlow", Role::kOperator, kChanges},
    {"/wallaby.v1.FlowService/RunFlowOnce", Role::kOperator, kChanges},
    {"/wallaby.v1.FlowService/CreateFlow", Role::kAdmin, kChanges},
    {"/wallaby.v1.FlowService/UpdateFlow", Role::kAdmin, kChanges},
    {"/wallaby.v1.FlowService/DeleteFlow", Role::kAdmin, kChanges},
    // Changes nothing, but connects to whatever server the request names, with the secrets of a stored flow.
    {"/wallaby.v1.FlowService/ValidateFlow", Role::kAdmin, kReads},

    {"/wallaby.v1.DDLService/ListPendingDDL", Role::kViewer, kReads},
    {"/wallaby.v1.DDLService/ListDDL", Role::kViewer, kReads},
    {"/wallaby.v1.DDLService/GetDDL", Role::kViewer, kReads},
    {"/wallaby.v1.DDLService/ApproveDDL", Role::kOperator, kChanges},
    {"/wallaby.v1.DDLService/RejectDDL", Role::kOperator, kChanges},
    {"/wallaby.v1.DDLService/ApplyDDL", Role::kOperator, kChanges},
    {"/wallaby.v1.DDLService/MarkDDLApplied", Role::kOperator, kChanges},

    {"/wallaby.v1.CheckpointService/GetCheckpoint", Role::kViewer, kReads},
    {"/wallaby.v1.CheckpointService/ListCheckpoints", Role::kViewer, kReads},
    {"/wallaby.v1.CheckpointService/PutCheckpoint", Role::kAdmin, kChanges},

    {"/wallaby.v1.DeadLetterService/ListDeadLetters", Role::kViewer, kReads},
    // Shows rows.
    {"/wallaby.v1.DeadLetterService/GetDeadLetter", Role::kOperator, kReads},
    {"/wallaby.v1.DeadLetterService/ReplayDeadLetters", Role::kOperator, kChanges},
    {"/wallaby.v1.DeadLetterService/DropDeadLetters", Role::kAdmin, kChanges},

    {"/wallaby.v1.SourceService/ListSlots", Role::kViewer, kReads},
    {"/wallaby.v1.SourceService/GetSlot", Role::kViewer, kReads},
    {"/wallaby.v1.SourceService/ListPublicationTables", Role::kViewer, kReads},
    {"/wallaby.v1.SourceService/DiagnoseFlow", Role::kViewer, kReads},
    // As ValidateFlow.
    {"/wallaby.v1.SourceService/DiagnoseDefinition", Role::kAdmin, kReads},
    {"/wallaby.v1.SourceService/DropSlot", Role::kAdmin, kChanges},
    {"/wallaby.v1.SourceService/SyncPublication", Role::kAdmin, kChanges},

    {"/wallaby.v1.StreamService/ListStreams", Role::kViewer, kReads},
    {"/wallaby.v1.StreamService/ListStreamGroups", Role::kViewer, kReads},
    // Hand out rows of the source, and move a group on. Too many to be told one by one: they count as reading.
    {"/wallaby.v1.StreamService/Pull", Role::kOperator, kReads},
    {"/wallaby.v1.StreamService/Ack", Role::kOperator, kReads},
    {"/wallaby.v1.StreamService/Replay", Role::kOperator, kChanges},
    {"/wallaby.v1.StreamService/DeleteStreamGroup", Role::kOperator, kChanges},

    // Probes have no token.
    {"/grpc.health.v1.Health/Check", Role::kNone, kReads},
    {"/grpc.health.v1.Health/Watch", Role::kNone, kReads},
    {"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", Role::kViewer, kReads},
};

struct Http {
  std::string_view method;
  std::string_view path;
  Role role;
  bool changes;
};
constexpr Http kHttp[] = {
    {"GET", "/healthz", Role::kNone, kReads},
    {"GET", "/readyz", Role::kNone, kReads},
    {"GET", "/dbos-healthz", Role::kNone, kReads},
    {"GET", "/metrics", Role::kViewer, kReads},
    {"GET", "/conductor", Role::kViewer, kReads},
    {"GET", "/dbos-workflow-queues-metadata", Role::kViewer, kReads},
    {"POST", "/workflows", Role::kViewer, kReads},  // lists them
    {"POST", "/queues", Role::kViewer, kReads},     // the same
    {"POST", "/dbos-workflow-recovery", Role::kOperator, kChanges},
    // What only is a GET because DBOS has it so.
    {"GET", "/deactivate", Role::kAdmin, kChanges},
    {"POST", "/dbos-global-timeout", Role::kAdmin, kChanges},
    {"POST", "/dbos-garbage-collect", Role::kAdmin, kChanges},
};

}  // namespace

std::optional<MethodRole> RoleOfRpc(std::string_view path) {
  const auto* found =
      std::find_if(std::begin(kRpcs), std::end(kRpcs), [path](const Rpc& rpc) { return rpc.path == path; });
  if (found == std::end(kRpcs)) return std::nullopt;
  return MethodRole{found->role, found->changes};
}

MethodRole RoleOfHttp(std::string_view method, std::string_view path) {
  for (const Http& http : kHttp) {
    if (http.method == method && http.path == path) return {http.role, http.changes};
  }
  // /workflows/ID, /workflows/ID/steps; POST /workflows/ID/cancel and the like.
  if (path.starts_with("/workflows/")) {
    if (method == "GET") return {Role::kViewer, kReads};
    if (method == "POST") return {Role::kOperator, kChanges};
  }
  return {Role::kAdmin, method != "GET"};
}

}  // namespace wallaby
