// wallaby-admin ddl ...
#include <cstdio>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "cli/admin.h"
#include "cli/command_line.h"
#include "cli/ddl_text.h"
#include "cli/flow_text.h"
#include "flow/ddl_event.h"

namespace wallaby {
namespace {

constexpr int kMostListed = 100'000;

absl::Status Print(const CommandLine& line, const google::protobuf::Message& message, const std::string& text) {
  if (!line.json()) return line.Print(message, text);
  ASSIGN_OR_RETURN(const std::string document, line.Document(message));
  std::fputs(WithPlans(document, line.pretty()).c_str(), stdout);
  return absl::OkStatus();
}

// Declares and reads -id. An exit status ends the command.
std::optional<int> ParseId(CommandLine& line, int64_t* id) {
  line.flags().Int("id", id, "ID", "the event, as `ddl list` shows it");
  line.flags().Require("id");
  if (const auto status = line.Parse()) return status;
  if (*id < 1) return line.flags().UsageError(absl::StrCat("-id is ", *id, "; allowed: 1 and above"));
  return std::nullopt;
}

// ---- what comes next ----

// The flow's first event that holds it.
absl::StatusOr<std::optional<v1::DDLEvent>> FirstHolding(Client& client, const std::string& flow_id) {
  v1::ListDDLRequest request;
  request.set_flow_id(flow_id);
  ASSIGN_OR_RETURN(const v1::ListDDLResponse list, client.Call(request));
  for (const v1::DDLEvent& event : list.events()) {
    if (!DdlNext(event).empty()) return event;
  }
  return std::nullopt;
}

// The state from a list, for which the server need not ask the source.
absl::StatusOr<v1::FlowState> StateOf(Client& client, const std::string& flow_id) {
  ASSIGN_OR_RETURN(const v1::ListFlowsResponse flows, client.AllFlows());
  for (const v1::Flow& flow : flows.flows()) {
    if (flow.id() == flow_id) return flow.state();
  }
  return absl::NotFoundError("the flow is gone");
}

// After an event was settled: another event, or the flow itself. What was asked for is done, so a failure here is none
// of the command.
std::string NextOfFlow(Client& client, const std::string& flow_id) {
  const auto holding = FirstHolding(client, flow_id);
  if (holding.ok() && holding->has_value()) {
    return absl::StrCat("; next: event ", (*holding)->id(), " is ", (*holding)->status(), ": ", DdlNext(**holding));
  }
  const auto state = StateOf(client, flow_id);
  if (state.ok() && *state == v1::FLOW_STATE_RUNNING) return absl::StrCat("; flow ", flow_id, " is running");
  const bool start = state.ok() && (*state == v1::FLOW_STATE_FAILED || *state == v1::FLOW_STATE_CREATED);
  return absl::StrCat("; next: wallaby-admin flow ", start ? "start" : "resume", " -flow-id ", flow_id);
}

std::string OutcomeLine(Client& client, const v1::DDLEvent& event) {
  const std::string next = DdlNext(event);
  return absl::StrCat(DdlOutcome(event),
                      next.empty() ? NextOfFlow(client, event.flow_id()) : absl::StrCat("; next: ", next), "\n");
}

// ---- commands ----

int List(const Invocation& invocation) {
  CommandLine line(invocation);
  v1::ListDDLRequest request;
  std::string flow_id;
  int limit = 0;
  int64_t before = 0;
  line.flags().String("status", request.mutable_status(), "STATUS",
                      "only pending, approved, applying, applied, rejected or failed ones");
  line.flags().Int("limit", &limit, "N", "only the newest so many");
  line.flags().Int("before", &before, "ID", "only those with a lower id");
  line.FlowId(&flow_id, /*required=*/false);
  if (const auto status = line.Parse()) return *status;
  if (limit < 0 || limit > kMostListed) {
    return line.flags().UsageError(absl::StrCat("-limit is ", limit, "; allowed: 0 (all) to ", kMostListed));
  }
  if (before < 0) return line.flags().UsageError(absl::StrCat("-before is ", before, "; allowed: 0 (all) and above"));
  request.set_limit(limit);
  request.set_before_id(before);
  if (!request.status().empty()) {
    const auto known = ParseDdlStatus(request.status());
    if (!known.ok()) return line.flags().UsageError(absl::StrCat("-", known.status().message()));
  }
  return line.Finish([&]() -> absl::Status {
    ASSIGN_OR_RETURN(Client* const client, line.Connect());
    ASSIGN_OR_RETURN(const v1::ListDDLResponse list,
                     flow_id.empty() ? client->Call(request) : CallOnFlow(*client, request, flow_id));
    return Print(line, list, DdlListText(list, request.status(), flow_id));
  }());
}

int Get(const Invocation& invocation) {
  CommandLine line(invocation);
  int64_t id = 0;
  if (const auto status = ParseId(line, &id)) return *status;
  return line.Finish([&]() -> absl::Status {
    ASSIGN_OR_RETURN(Client* const client, line.Connect());
    v1::GetDDLRequest request;
    request.set_id(id);
    ASSIGN_OR_RETURN(const v1::GetDDLResponse response, client->Call(request));
    return Print(line, response.event(), DdlText(response.event()));
  }());
}

// Commands that take one event a step on.
template <typename Request>
int OnEvent(const Invocation& invocation) {
  CommandLine line(invocation);
  int64_t id = 0;
  if (const auto status = ParseId(line, &id)) return *status;
  return line.Finish([&]() -> absl::Status {
    ASSIGN_OR_RETURN(Client* const client, line.Connect());
    Request request;
    request.set_id(id);
    ASSIGN_OR_RETURN(const auto response, client->Call(request));
    return Print(line, response.event(), line.json() ? "" : OutcomeLine(*client, response.event()));
  }());
}

}  // namespace

CommandGroup DdlCommands() {
  return {"ddl",
          "Schema changes of the sources, and whether the destinations follow them.",
          {{"list", "the events, of all flows or of one", List},
           {"get", "all about one event: its steps, and what runs at each destination", Get},
           {"approve", "let it be applied", OnEvent<v1::ApproveDDLRequest>},
           {"reject", "leave added columns out; any other change holds the flow", OnEvent<v1::RejectDDLRequest>},
           {"apply", "run it at every destination; the flow must be at rest", OnEvent<v1::ApplyDDLRequest>},
           {"mark-applied", "say that the destinations were changed by hand", OnEvent<v1::MarkDDLAppliedRequest>}}};
}

}  // namespace wallaby
