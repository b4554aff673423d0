// wallaby-admin checkpoint ...
#include <map>
#include <string>

#include "absl/time/clock.h"
#include "cli/admin.h"
#include "cli/command_line.h"
#include "cli/flow_text.h"
#include "cli/render.h"

namespace wallaby {
namespace {

std::string When(const v1::Checkpoint& checkpoint) {
  const int64_t millis = checkpoint.timestamp_unix_millis();
  return millis > 0 ? TimeText(absl::FromUnixMillis(millis)) : std::string(kNothing);
}

std::string OneText(const v1::FlowCheckpoint& entry, absl::Time now) {
  Fields fields;
  fields.Add("flow", entry.flow_id());
  fields.Add("lsn", entry.checkpoint().lsn());
  fields.Add("time", When(entry.checkpoint()));
  fields.Add("age", CheckpointAge(entry.checkpoint(), now));
  const auto& metadata = entry.checkpoint().metadata();
  for (const auto& [key, value] : std::map<std::string, std::string>(metadata.begin(), metadata.end())) {
    fields.Add(key, value);
  }
  return fields.Text();
}

std::string ListText(const v1::ListCheckpointsResponse& list, absl::Time now) {
  if (list.checkpoints().empty()) return "There are no checkpoints.\n";
  Table out({"FLOW", "LSN", "TIME", "AGE"});
  for (const v1::FlowCheckpoint& entry : list.checkpoints()) {
    out.Add(
        {entry.flow_id(), entry.checkpoint().lsn(), When(entry.checkpoint()), CheckpointAge(entry.checkpoint(), now)});
  }
  return out.Text();
}

int Get(const Invocation& invocation) {
  CommandLine line(invocation);
  std::string flow_id;
  line.FlowId(&flow_id);
  if (const auto status = line.Parse()) return *status;
  return line.Finish([&]() -> absl::Status {
    ASSIGN_OR_RETURN(Client* const client, line.Connect());
    ASSIGN_OR_RETURN(const v1::FlowCheckpoint entry, CallOnFlow(*client, v1::GetCheckpointRequest(), flow_id));
    return line.Print(entry, OneText(entry, absl::Now()));
  }());
}

int List(const Invocation& invocation) {
  CommandLine line(invocation);
  if (const auto status = line.Parse()) return *status;
  return line.Finish([&]() -> absl::Status {
    ASSIGN_OR_RETURN(Client* const client, line.Connect());
    ASSIGN_OR_RETURN(const v1::ListCheckpointsResponse list, client->Call(v1::ListCheckpointsRequest()));
    return line.Print(list, ListText(list, absl::Now()));
  }());
}

}  // namespace

CommandGroup CheckpointCommands() {
  return {"checkpoint",
          "Checkpoints: up to where all destinations of a flow have everything.",
          {{"get", "of one flow", Get}, {"list", "of all flows", List}}};
}

}  // namespace wallaby
