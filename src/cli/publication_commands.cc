// wallaby-admin publication ...
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cli/admin.h"
#include "cli/command_line.h"
#include "cli/render.h"

namespace wallaby {
namespace {

std::string ListText(const v1::ListPublicationTablesResponse& list) {
  if (list.tables().empty()) return absl::StrCat("Publication ", list.publication(), " carries no tables.\n");
  Table out({"SCHEMA", "TABLE", "REPLICA IDENTITY", "SNAPSHOT"});
  for (const v1::PublicationTable& table : list.tables()) {
    out.Add({table.schema(), table.table(), table.replica_identity(), table.snapshot_state()});
  }
  return absl::StrCat("Publication ", list.publication(), "\n\n", out.Text());
}

std::string SyncText(const v1::SyncPublicationResponse& response) {
  std::string out;
  for (const std::string& name : response.added()) absl::StrAppend(&out, "added ", name, "\n");
  for (const std::string& name : response.removed()) absl::StrAppend(&out, "removed ", name, "\n");
  return out.empty() ? "The publication is as wanted already.\n" : out;
}

int List(const Invocation& invocation) {
  CommandLine line(invocation);
  std::string flow_id;
  line.FlowId(&flow_id);
  if (const auto status = line.Parse()) return *status;
  return line.Finish([&]() -> absl::Status {
    ASSIGN_OR_RETURN(Client* const client, line.Connect());
    ASSIGN_OR_RETURN(const v1::ListPublicationTablesResponse list,
                     CallOnFlow(*client, v1::ListPublicationTablesRequest(), flow_id));
    return line.Print(list, ListText(list));
  }());
}

struct SyncOptions {
  std::string flow_id;
  std::vector<std::string> tables;
  std::vector<std::string> schemas;
  std::string mode = "add";
  bool snapshot = false;
  bool pause = false;
  bool resume = false;
};

absl::Status SyncPublication(CommandLine& line, const SyncOptions& options) {
  ASSIGN_OR_RETURN(Client* const client, line.Connect());
  ASSIGN_OR_RETURN(const v1::Flow flow, CallOnFlow(*client, v1::GetFlowRequest(), options.flow_id));
  // One at rest needs no pause.
  const bool pause = options.pause && flow.state() == v1::FLOW_STATE_RUNNING;
  if (pause) {
    v1::PauseFlowRequest request;
    request.set_flow_id(flow.id());
    RETURN_IF_ERROR(client->Call(request).status());
  }
  v1::SyncPublicationRequest request;
  request.set_flow_id(flow.id());
  request.mutable_tables()->Assign(options.tables.begin(), options.tables.end());
  request.mutable_schemas()->Assign(options.schemas.begin(), options.schemas.end());
  request.set_mode(options.mode);
  request.set_snapshot(options.snapshot);
  const auto response = client->Call(request);
  if (!response.ok()) {
    if (!pause) return response.status();
    return Annotate(response.status(), absl::StrCat("the flow stays paused (wallaby-admin flow resume -flow-id ",
                                                    flow.id(), " lets it go on as it was)"));
  }
  if (options.resume) {
    v1::ResumeFlowRequest resume;
    resume.set_flow_id(flow.id());
    RETURN_IF_ERROR(Annotate(client->Call(resume).status(), "the publication is changed, but the flow does not go on"));
  }
  return line.Print(*response, SyncText(*response));
}

int Sync(const Invocation& invocation) {
  CommandLine line(invocation);
  SyncOptions options;
  line.FlowId(&options.flow_id);
  line.flags().List("tables", &options.tables, "SCHEMA.TABLE,...", "the tables wanted; without: what the flow names");
  line.flags().List("schemas", &options.schemas, "SCHEMA,...", "all tables of these schemas");
  line.flags().String("mode", &options.mode, "add|sync", "add: only adds; sync: also removes what is not named");
  line.flags().Bool("snapshot", &options.snapshot, "copy the rows that new tables hold already");
  line.flags().Bool("pause", &options.pause, "pause the flow first if it is running");
  line.flags().Bool("resume", &options.resume, "let the flow go on afterwards");
  if (const auto status = line.Parse()) return *status;
  if (options.mode != "add" && options.mode != "sync") {
    return line.flags().UsageError(absl::StrCat("-mode is '", options.mode, "'; allowed: add or sync"));
  }
  return line.Finish(SyncPublication(line, options));
}

}  // namespace

CommandGroup PublicationCommands() {
  return {"publication",
          "Publications: which tables a flow's source sends.",
          {{"list", "the tables that are published, and whether they are copied", List},
           {"sync", "publish more tables, or exactly those named", Sync}}};
}

}  // namespace wallaby
