// wallaby-admin flow ...
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "base/sql_text.h"
#include "cli/admin.h"
#include "cli/command_line.h"
#include "cli/flow_file_input.h"
#include "cli/flow_text.h"
#include "postgres/ddl_capture_sql.h"
#include "postgres/source_options.h"
#include "service/flow_convert.h"

namespace wallaby {
namespace {

void DeclareFile(CommandLine& line, std::string* file) {
  line.flags().String("file", file, "FILE", "flow file, YAML or JSON; - is standard input");
  line.flags().Require("file");
}

// ---- definition ----

absl::Status CreateFlow(CommandLine& line, const std::string& file, bool start) {
  ASSIGN_OR_RETURN(const Flow flow, ReadFlowFile(file));
  RETURN_IF_ERROR(CheckFlowFile(file, flow));
  v1::CreateFlowRequest request;
  ASSIGN_OR_RETURN(*request.mutable_flow(), ToRequest(file, flow));
  request.set_start_immediately(start);
  ASSIGN_OR_RETURN(Client* const client, line.Connect());
  ASSIGN_OR_RETURN(const v1::Flow created, client->Call(request));
  return line.Print(created, FlowLine(created));
}

int Create(const Invocation& invocation) {
  CommandLine line(invocation);
  std::string file;
  bool start = false;
  DeclareFile(line, &file);
  line.flags().Bool("start", &start, "start it at once");
  if (const auto status = line.Parse()) return *status;
  return line.Finish(CreateFlow(line, file, start));
}

struct UpdateOptions {
  std::string file;
  std::string flow_id;
  bool pause = false;
  bool resume = false;
};

// Gives the flow's id, which `flow` may have named otherwise. `paused` says whether it was running until now.
absl::StatusOr<std::string> FindAndPause(Client& client, const std::string& flow, bool pause, bool* paused) {
  ASSIGN_OR_RETURN(const v1::Flow found, CallOnFlow(client, v1::GetFlowRequest(), flow));
  // One at rest cannot be paused, and needs no pause.
  *paused = pause && found.state() == v1::FLOW_STATE_RUNNING;
  if (*paused) {
    v1::PauseFlowRequest request;
    request.set_flow_id(found.id());
    RETURN_IF_ERROR(client.Call(request).status());
  }
  return found.id();
}

absl::Status UpdateFlow(CommandLine& line, const UpdateOptions& options) {
  ASSIGN_OR_RETURN(Flow flow, ReadFlowFile(options.file));
  if (flow.id.empty()) flow.id = options.flow_id;
  if (flow.id.empty()) return absl::InvalidArgumentError("which flow? Give -flow-id, or `id` in the flow file");
  if (!options.flow_id.empty() && flow.id != options.flow_id) {
    return absl::InvalidArgumentError(
        absl::StrCat(options.file, " is of the flow '", flow.id, "', -flow-id says '", options.flow_id, "'"));
  }
  RETURN_IF_ERROR(CheckFlowFile(options.file, flow));
  v1::UpdateFlowRequest request;
  ASSIGN_OR_RETURN(*request.mutable_flow(), ToRequest(options.file, flow));
  ASSIGN_OR_RETURN(Client* const client, line.Connect());
  bool paused = false;
  if (options.pause || !options.flow_id.empty()) {
    ASSIGN_OR_RETURN(flow.id, FindAndPause(*client, flow.id, options.pause, &paused));
    request.mutable_flow()->set_id(flow.id);
  }
  absl::StatusOr<v1::Flow> updated = client->Call(request);
  if (!updated.ok()) {
    if (!paused) return updated.status();
    return Annotate(updated.status(), absl::StrCat("the flow stays paused (wallaby-admin flow resume -flow-id ",
                                                   flow.id, " lets it go on as it was)"));
  }
  if (options.resume) {
    v1::ResumeFlowRequest resume;
    resume.set_flow_id(flow.id);
    updated = client->Call(resume);
    if (!updated.ok()) return Annotate(updated.status(), "the flow is updated, but does not go on");
  }
  return line.Print(*updated, FlowLine(*updated));
}

int Update(const Invocation& invocation) {
  CommandLine line(invocation);
  UpdateOptions options;
  DeclareFile(line, &options.file);
  line.flags().String("flow-id", &options.flow_id, "ID", "the flow, where the file has no `id`");
  line.flags().Bool("pause", &options.pause, "pause it first if it is running");
  line.flags().Bool("resume", &options.resume, "let it go on afterwards");
  if (const auto status = line.Parse()) return *status;
  return line.Finish(UpdateFlow(line, options));
}

void AddError(std::string subject, const absl::Status& status, v1::ValidateFlowResponse* response) {
  response->set_valid(false);
  auto* finding = response->add_findings();
  finding->set_severity("error");
  finding->set_subject(std::move(subject));
  finding->set_message(std::string(status.message()));
}

absl::StatusOr<v1::ValidateFlowResponse> FindingsOf(CommandLine& line, const std::string& file) {
  v1::ValidateFlowResponse response;
  const absl::StatusOr<Flow> flow = ReadFlowFile(file);
  if (absl::IsNotFound(flow.status())) return flow.status();
  absl::Status checked = flow.status();
  if (checked.ok()) checked = CheckFlowFile(file, *flow);
  if (!checked.ok()) {
    AddError("flow", checked, &response);
    return response;
  }
  v1::ValidateFlowRequest request;
  ASSIGN_OR_RETURN(*request.mutable_flow(), ToRequest(file, *flow));
  ASSIGN_OR_RETURN(Client* const client, line.Connect());
  return client->Call(request);
}

absl::Status ValidateFlowFile(CommandLine& line, const std::string& file) {
  ASSIGN_OR_RETURN(const v1::ValidateFlowResponse response, FindingsOf(line, file));
  RETURN_IF_ERROR(line.Print(response, FindingsText(response)));
  if (response.valid()) return absl::OkStatus();
  // Said again, for who keeps only stderr.
  const auto error = std::find_if(response.findings().begin(), response.findings().end(),
                                  [](const auto& finding) { return finding.severity() == "error"; });
  if (error == response.findings().end()) return absl::FailedPreconditionError("the flow is not valid");
  const auto errors = std::count_if(response.findings().begin(), response.findings().end(),
                                    [](const auto& finding) { return finding.severity() == "error"; });
  return absl::FailedPreconditionError(absl::StrCat(
      "the flow is not valid", errors > 1 ? absl::StrCat(" (", errors, " errors)") : "", ": ", error->subject(), ": ",
      error->message(), error->remedy().empty() ? "" : "; remedy: ", error->remedy()));
}

int Validate(const Invocation& invocation) {
  CommandLine line(invocation);
  std::string file;
  DeclareFile(line, &file);
  if (const auto status = line.Parse()) return *status;
  return line.Finish(ValidateFlowFile(line, file));
}

// ---- DDL capture ----

struct CaptureOptions {
  std::string file;
  std::string role;
  int server_version = 0;
};

absl::Status PrintCaptureSql(const CaptureOptions& options) {
  ASSIGN_OR_RETURN(const Flow flow, ReadFlowFile(options.file));
  RETURN_IF_ERROR(CheckFlowFile(options.file, flow));
  ASSIGN_OR_RETURN(const SourceOptions source, ParseSourceOptions(flow.source.name, flow.source.options));
  std::string sql = DdlCaptureSql(source, options.server_version);
  if (!options.role.empty()) {
    absl::StrAppend(&sql, "GRANT USAGE ON SCHEMA ", SqlIdentifier(source.state_schema), ", ",
                    SqlIdentifier(source.ddl_trigger_schema), " TO ", SqlIdentifier(options.role), ";\n");
  }
  std::fputs(sql.c_str(), stdout);
  return absl::OkStatus();
}

int CaptureSql(const Invocation& invocation) {
  CommandLine line(invocation);
  CaptureOptions options;
  DeclareFile(line, &options.file);
  line.flags().Int("server-version", &options.server_version, "MAJOR", "the source's PostgreSQL version, 14 to 18");
  line.flags().Require("server-version");
  line.flags().String("role", &options.role, "ROLE", "the flow's role, which gets the right to see the capture");
  if (const auto status = line.Parse()) return *status;
  if (options.server_version < 14 || options.server_version > 18) {
    return line.flags().UsageError("-server-version must be 14 to 18");
  }
  return line.Finish(PrintCaptureSql(options));
}

// ---- one flow ----

// Commands that are one request about one flow.
template <typename Request, typename Render>
int OnFlow(const Invocation& invocation, Render render) {
  CommandLine line(invocation);
  std::string flow_id;
  line.FlowId(&flow_id);
  if (const auto status = line.Parse()) return *status;
  return line.Finish([&]() -> absl::Status {
    ASSIGN_OR_RETURN(Client* const client, line.Connect());
    ASSIGN_OR_RETURN(const auto answer, CallOnFlow(*client, Request(), flow_id));
    return line.Print(answer, render(answer));
  }());
}

int Get(const Invocation& invocation) {
  return OnFlow<v1::GetFlowRequest>(invocation, [](const v1::Flow& flow) { return FlowText(flow, absl::Now()); });
}

int Start(const Invocation& invocation) {
  return OnFlow<v1::StartFlowRequest>(invocation, FlowLine);
}
int Pause(const Invocation& invocation) {
  return OnFlow<v1::PauseFlowRequest>(invocation, FlowLine);
}
int Stop(const Invocation& invocation) {
  return OnFlow<v1::StopFlowRequest>(invocation, FlowLine);
}
int Resume(const Invocation& invocation) {
  return OnFlow<v1::ResumeFlowRequest>(invocation, FlowLine);
}

int RunOnce(const Invocation& invocation) {
  return OnFlow<v1::RunFlowOnceRequest>(invocation, [](const v1::RunFlowOnceResponse& response) {
    return std::string(response.dispatched() ? "A worker was dispatched; it delivers what is waiting.\n"
                                             : "No worker was dispatched.\n");
  });
}

int Delete(const Invocation& invocation) {
  CommandLine line(invocation);
  v1::DeleteFlowRequest request;
  line.FlowId(request.mutable_flow_id());
  if (const auto status = line.Parse()) return *status;
  return line.Finish([&]() -> absl::Status {
    ASSIGN_OR_RETURN(Client* const client, line.Connect());
    ASSIGN_OR_RETURN(const v1::DeleteFlowResponse response, client->Call(request));
    const std::string slot =
        response.slot_readers().empty()
            ? "its slot at the source, where one is left, keeps WAL until it is dropped (wallaby-admin slot drop -dsn "
              "DSN -slot SLOT)"
            : absl::StrCat("its slot at the source stays, as other flows share it: ",
                           absl::StrJoin(response.slot_readers(), ", "));
    return line.Print(response, absl::StrCat(request.flow_id(), ": deleted; ", slot, "\n"));
  }());
}

int List(const Invocation& invocation) {
  CommandLine line(invocation);
  if (const auto status = line.Parse()) return *status;
  return line.Finish([&]() -> absl::Status {
    ASSIGN_OR_RETURN(Client* const client, line.Connect());
    ASSIGN_OR_RETURN(const v1::ListFlowsResponse flows, client->AllFlows());
    return line.Print(flows, FlowsText(flows, absl::Now()));
  }());
}

// ---- wait ----

struct WaitOptions {
  std::string flow_id;
  std::string state_name;
  FlowState state = FlowState::kUnspecified;
  absl::Duration timeout = absl::Minutes(1);
};

std::string Why(const v1::Flow& flow) {
  std::string why = flow.reason();
  if (!flow.error().empty() && flow.error() != flow.reason())
    absl::StrAppend(&why, why.empty() ? "" : "; ", flow.error());
  return why.empty() ? "" : absl::StrCat(": ", why);
}

absl::Status WaitForState(CommandLine& line, const WaitOptions& options) {
  constexpr absl::Duration kPoll = absl::Milliseconds(200);
  constexpr absl::Duration kShortest = absl::Milliseconds(100);
  const absl::Time end = absl::Now() + options.timeout;
  ASSIGN_OR_RETURN(Client* const client, line.Connect());
  v1::GetFlowRequest request;
  ASSIGN_OR_RETURN(v1::Flow flow, CallOnFlow(*client, request, options.flow_id));
  request.set_flow_id(flow.id());
  absl::Status last;
  while (flow.state() != FlowStateToProto(options.state)) {
    if (flow.state() == v1::FLOW_STATE_FAILED) {
      return absl::FailedPreconditionError(absl::StrCat("flow '", flow.id(), "' failed", Why(flow)));
    }
    const absl::Duration left = end - absl::Now();
    if (left <= absl::ZeroDuration()) {
      return absl::DeadlineExceededError(
          absl::StrCat("flow '", flow.id(), "' is not ", options.state_name, " after ",
                       absl::FormatDuration(options.timeout), ": it is ", StateText(flow.state()),
                       last.ok() ? Why(flow) : absl::StrCat(", as last heard: ", last.message())));
    }
    std::this_thread::sleep_for(absl::ToChronoNanoseconds(std::min(kPoll, left)));
    auto answer = client->Call(request, std::max(kShortest, std::min(Client::kLimit, end - absl::Now())));
    last = answer.status();
    if (answer.ok()) {
      flow = *std::move(answer);
    } else if (!IsTransient(last)) {  // a server that restarts is waited for
      return last;
    }
  }
  return line.Print(flow, FlowLine(flow));
}

int Wait(const Invocation& invocation) {
  CommandLine line(invocation);
  WaitOptions options;
  line.FlowId(&options.flow_id);
  line.flags().String("state", &options.state_name, "STATE", "created, running, paused, stopping, stopped or failed");
  line.flags().Require("state");
  line.flags().Duration("timeout", &options.timeout, "how long at most");
  if (const auto status = line.Parse()) return *status;
  const auto state = ParseFlowState(options.state_name);
  if (!state.ok()) return line.flags().UsageError(absl::StrCat("-state: ", state.status().message()));
  options.state = *state;
  return line.Finish(WaitForState(line, options));
}

}  // namespace

CommandGroup FlowCommands() {
  return {"flow",
          "Flows: one source, its destinations, and how they get on.",
          {{"create", "make a flow from a file", Create},
           {"update", "change a flow's definition", Update},
           {"get", "all about one flow", Get},
           {"list", "all flows", List},
           {"start", "start a flow that was created, stopped or failed", Start},
           {"pause", "end the worker and keep the flow's place", Pause},
           {"stop", "end the worker; what is under way is delivered first", Stop},
           {"resume", "let a paused or stopped flow go on", Resume},
           {"run-once", "deliver what is waiting, then end", RunOnce},
           {"delete", "forget a flow; its slot and what it delivered stay", Delete},
           {"validate", "every check that a start would make, changing nothing", Validate},
           {"capture-sql", "print the SQL with which a superuser installs the capture of schema changes", CaptureSql},
           {"wait", "wait until a flow is in a state", Wait}}};
}

}  // namespace wallaby
